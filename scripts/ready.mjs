// What CI does: formats, lints and types checked, then every test. Ends as `npm test` does.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { compileTypeScript, installBrokerPackages, installPackages, npm, requireTools } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** How scripts/build-wasm.mjs leaves when it knows no compiler here. */
const NOT_COMPARED = 3;

/** The addon as it is published, but put together in less time: in pieces that know less of each other. */
const QUICK = { CARGO_PROFILE_RELEASE_LTO: "off", CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16" };

/** What the tests need, and what takes one core or waits for the network: built while the linters run. */
function prepare() {
  const addon = build("npm", ["run", "--silent", "build:native"], QUICK);
  const counted = addon.then(() => build(process.execPath, ["scripts/counts.mjs", "--build"]));
  return Promise.all([counted, oracles(), moduleFits()]);
}

/** Whether wasm/moraine.wasm is what its sources make. A compiler that is not in its manifest cannot tell: a failure in CI alone. */
async function moduleFits() {
  const status = await build(process.execPath, ["scripts/build-wasm.mjs", "--check"]);
  return status === 0 || (status === NOT_COMPARED && !process.env.CI);
}

/** One after the other: they share Maven's folder. */
async function oracles() {
  if (["java", "mvn"].some((tool) => spawnSync(tool, ["--version"], { stdio: "ignore" }).status !== 0)) return;
  for (const line of ["4", "5"]) await build("test/interop/oracle/oracle", ["build", "--rocketmq", line]);
}

/** A build that fails is begun again by whoever needs it, and fails there. */
async function build(command, args, settings = {}) {
  const env = { ...process.env, ...settings };
  const [status] = await once(
    spawn(command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] }),
    "close",
  );
  return status;
}

function check() {
  if (!npm("lint")) throw new Error("npm run lint found problems; npm run format mends what a tool can mend.");
  if (!npm("check")) throw new Error("npm run check found type errors.");
}

// Nobody debugs there, and a panic says its line without notes for that.
if (process.env.CI) Object.assign(process.env, { CARGO_PROFILE_DEV_DEBUG: "none", CARGO_PROFILE_TEST_DEBUG: "none" });

try {
  requireTools();
  installPackages();
  installBrokerPackages();
  compileTypeScript();
  const prepared = prepare();
  check();
  const [, , fits] = await prepared;
  if (!fits) throw new Error("wasm/moraine.wasm could not be built again as it was committed.");
  await import("./test.mjs");
} catch (error) {
  console.error(`moraine: ${error.message}`);
  console.log("\n0 passed, 1 failed");
  process.exitCode = 1;
}
