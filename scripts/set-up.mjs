// Makes a checkout ready to run: packages, addon, compiled TypeScript, each only if missing or stale. Where the addon cannot be
// built, the committed WebAssembly module is the engine.
// Starts on a fresh clone, so it imports nothing but Node's own modules.
import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const windows = process.platform === "win32";

/** What the addon is compiled with: how it is called where it is missing, and what to install. */
const TOOLS = {
  cargo: "cargo is missing: install Rust 1.89 or newer (https://rustup.rs)",
  cc: "cc is missing: install a C compiler (gcc or clang), which Rust links with",
};

/**
 * Returns whether there is an addon; without one the WebAssembly engine runs. Throws one sentence that says what to install
 * or which step failed; the step has printed the rest.
 */
export function setUp() {
  installPackages();
  const hasAddon = setUpAddon();
  compileTypeScript();
  return { hasAddon };
}

function setUpAddon() {
  const addon = builtAddon();
  const stale = isStale(addon, ["native", "Cargo.toml", "Cargo.lock", "scripts/build-native.mjs"]);
  const lacking = missingTool();
  if (lacking === undefined) {
    if (stale) step("Building the addon with cargo", "build:native");
    return true;
  }
  if (modified(addon) === 0) {
    console.log(`moraine: no addon is built, and the WebAssembly engine runs. For the native one: ${lacking}.`);
    return false;
  }
  if (!stale) return true;
  throw new Error(`${addon} is older than its sources, and ${lacking}; or remove it, and the WebAssembly engine runs.`);
}

/** The library, which the broker's types are checked against, too. */
export function compileTypeScript() {
  if (isStale("dist/index.js", ["src", "tsconfig.json", "tsconfig.build.json", "package-lock.json"])) {
    step("Compiling the TypeScript", "build:ts");
  }
}

/** What the linters need beside the tools: the packages, nothing built. */
export function installPackages() {
  if (arePackagesMissing(".")) step("Installing development packages", "ci");
}

/** The broker, a package of its own over the library: its packages, which the linters need too, … */
export function installBrokerPackages() {
  if (arePackagesMissing("broker")) step("Installing the broker's packages", "ci", "broker");
}

/** … and itself. */
export function compileBroker() {
  const sources = ["src", "tsconfig.build.json", "package-lock.json"].map((name) => `broker/${name}`);
  if (isStale("broker/dist/main.js", ["dist/index.js", ...sources])) step("Compiling the broker", "build", "broker");
}

function arePackagesMissing(folder) {
  const [packages, lock] = [join(folder, "node_modules"), join(folder, "package-lock.json")];
  return !isLink(packages) && isStale(join(packages, ".package-lock.json"), [lock]);
}

/** Runs a script of package.json, or `npm ci`, of a package in a folder; returns whether it succeeded. */
export function npm(script, folder = ".") {
  const args = script === "ci" ? ["ci", "--no-audit", "--loglevel=error"] : ["run", "--silent", script];
  const cwd = join(root, folder);
  return spawnSync("npm", args, { cwd, stdio: ["ignore", "inherit", "inherit"], shell: windows }).status === 0;
}

function step(what, script, folder) {
  console.log(`moraine: ${what[0].toLowerCase()}${what.slice(1)} …`);
  if (!npm(script, folder)) throw new Error(`${what} failed.`);
}

/** For programs that compile Rust, whatever engine runs. */
export function requireTools() {
  const lacking = missingTool();
  if (lacking !== undefined) throw new Error(`${lacking}, and run this again.`);
}

/** What keeps this machine from compiling Rust, in a sentence; undefined where nothing does. */
export function missingTool() {
  if (!runs("cargo")) return TOOLS.cargo;
  return windows || runs("cc") ? undefined : TOOLS.cc;
}

export function runs(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

/** The addon for this platform; a name that does not exist if it was never built. */
function builtAddon() {
  const prefix = `moraine.${process.platform}-${process.arch}`;
  const found = entries("prebuilds").find((name) => name.startsWith(prefix) && name.endsWith(".node"));
  return join("prebuilds", found ?? prefix);
}

function isStale(output, inputs) {
  return modified(output) < Math.max(...inputs.map(newest));
}

/** npm would delete what lies behind a link before it installs: packages of another checkout, which are not ours to renew. */
function isLink(path) {
  return lstatSync(join(root, path), { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** Latest change below a path. Directories count: removing a file changes nothing else. */
function newest(path) {
  return Math.max(modified(path), ...entries(path).map((name) => newest(join(path, name))));
}

function modified(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function entries(path) {
  const isDirectory = statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory();
  return isDirectory ? readdirSync(join(root, path)) : [];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    setUp();
  } catch (error) {
    console.error(`moraine: ${error.message}`);
    process.exitCode = 1;
  }
}
