// Starts the broker from a checkout: builds the store and the broker as far as anything is missing or has changed, then runs the
// command with the arguments given, as if it had been typed where npm was called.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { setUp } from "../../scripts/set-up.mjs";

const broker = fileURLToPath(new URL("..", import.meta.url));
const main = join(broker, "dist/main.js");
const root = fileURLToPath(new URL("../..", import.meta.url));
const called = process.env.INIT_CWD ?? process.cwd();

function step(what, args) {
  console.error(`moraine-broker: ${what} …`);
  const { status } = spawnSync("npm", args, {
    cwd: broker,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (status !== 0) throw new Error(`${what} failed`);
}

function changed(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(found.mtimeMs, ...readdirSync(path).map((name) => changed(join(path, name))));
}

try {
  process.chdir(root);
  setUp();
  if (!existsSync(join(broker, "node_modules", ".package-lock.json")))
    step("installing packages", ["ci", "--no-audit"]);
  const sources = ["src", "tsconfig.build.json"].map((path) => changed(join(broker, path)));
  if (changed(main) < Math.max(...sources)) step("compiling", ["run", "--silent", "build"]);
  process.chdir(called);
  process.argv[1] = main;
  await import(pathToFileURL(main).href);
} catch (error) {
  console.error(`moraine-broker: ${error.message}`);
  process.exitCode = 1;
}
