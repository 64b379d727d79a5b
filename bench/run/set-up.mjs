// Makes the benchmarks ready to run: their packages, and the floor, each only if missing or stale.
import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const bench = fileURLToPath(new URL("..", import.meta.url));
const FLOOR = "floor/build/Release/floor.node";

/** Throws where the packages cannot be installed. A floor or a peer that cannot be had is left out later, with the reason. */
export function setUp() {
  const isLink = lstatSync(join(bench, "node_modules"), { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  if (!isLink && modified("node_modules/.package-lock.json") < modified("package-lock.json")) {
    console.log("bench: installing its packages …");
    if (!run("npm", ["ci", "--no-audit", "--loglevel=error"]))
      throw new Error("Installing the packages of bench/ failed.");
  }
  const sources = readdirSync(join(bench, "floor")).filter((name) => /\.(cc|h|txt)$/.test(name));
  if (modified(FLOOR) < Math.max(...sources.map((name) => modified(`floor/${name}`)))) {
    console.log("bench: building the floor …");
    run("npx", ["--no-install", "cmake-js", "compile", "-d", "floor", "-O", "floor/build", "--log-level", "error"]);
  }
}

function run(command, args) {
  const shell = process.platform === "win32";
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: bench,
    encoding: "utf8",
    shell,
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) console.error(`${stdout ?? ""}${stderr ?? ""}`.trim().split("\n").slice(-20).join("\n"));
  return status === 0;
}

const modified = (path) => statSync(join(bench, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
