// A copy of the Rust sources in which bugs are planted one after the other, built incrementally in a folder of its own.
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { changedBy, environment, LAYERS, patchOf } from "./planted-bugs.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const COPIED = ["Cargo.toml", "Cargo.lock", "native", "wasm", "test/fixtures"];

/** Whether the patch of a bug applies to the sources in `folder`; what git says where it does not. */
export function tryPatch(folder, name, ...args) {
  // A tree within a repository would be taken for a part of it, and its files for others.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(folder), GIT_DIR: join(folder, ".no-repository") };
  const { status, stderr, error } = spawnSync("git", ["apply", "-C2", ...args, patchOf(name)], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  if (error) throw new Error(`git cannot be started: ${error.message}`);
  return { applied: status === 0, said: stderr.trim() };
}

/** The tree: made anew from the sources, built where it was built before. */
export function makeTree() {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
  const folder = join(target, "planted", "tree");
  mkdirSync(folder, { recursive: true });
  for (const path of COPIED) mirror(join(root, path), join(folder, path));
  const build = join(target, "planted", "build");
  if (!existsSync(build)) takeOverDependencies(join(target, "debug"), join(build, "debug"));
  return new Tree(folder, build);
}

/** What other people's crates were compiled to need not be compiled again: files whose names end in the same hash. */
function takeOverDependencies(from, to) {
  if (!existsSync(join(from, ".fingerprint"))) return;
  const foreign = readdirSync(join(from, ".fingerprint")).filter((name) => !name.startsWith("moraine"));
  const hashes = new Set(foreign.map((name) => name.slice(name.lastIndexOf("-") + 1)));
  for (const part of [".fingerprint", "build", "deps"]) {
    for (const name of existsSync(join(from, part)) ? readdirSync(join(from, part)) : []) {
      const [, hash] = /-([0-9a-f]{16})(?:\.\w+)?$/.exec(name) ?? [];
      if (!hashes.has(hash)) continue;
      cpSync(join(from, part, name), join(to, part, name), { recursive: true, preserveTimestamps: true });
    }
  }
}

/** Makes `to` the same as `from`; what is the same already stays as old as it is, so that it is not compiled again. */
function mirror(from, to) {
  if (!statSync(from).isDirectory()) {
    if (!existsSync(to) || !readFileSync(from).equals(readFileSync(to))) {
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, readFileSync(from));
    }
    return;
  }
  const names = readdirSync(from);
  mkdirSync(to, { recursive: true });
  for (const gone of readdirSync(to).filter((name) => !names.includes(name))) {
    rmSync(join(to, gone), { recursive: true });
  }
  for (const name of names) mirror(join(from, name), join(to, name));
}

class Tree {
  #folder;
  #target;

  constructor(folder, target) {
    this.#folder = folder;
    this.#target = target;
  }

  /** Plants a bug, and takes it out again when `act` has ended. */
  async with(name, act) {
    const { applied, said } = tryPatch(this.#folder, name);
    if (!applied) return { caught: false, why: `its patch does not apply to these sources any more: ${said}` };
    try {
      return await act();
    } finally {
      for (const path of changedBy(readFileSync(patchOf(name), "utf8"))) {
        rmSync(join(this.#folder, path), { force: true });
        if (existsSync(join(root, path))) cpSync(join(root, path), join(this.#folder, path));
      }
    }
  }

  /** Compiles the tests of a layer; their programs, or what the compiler says. */
  build(layer) {
    const { package: of, programs, features = "" } = LAYERS[layer];
    const tests = programs.flatMap((program) => (program === "lib" ? ["--lib"] : ["--test", program]));
    const which = ["-p", of, "--features", features, ...tests];
    const args = ["test", "--locked", ...which, "--no-run", "--message-format=json-render-diagnostics"];
    const { status, stdout, stderr, error } = spawnSync("cargo", args, {
      cwd: this.#folder,
      env: { ...process.env, CARGO_TARGET_DIR: this.#target },
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
    if (error) throw new Error(`cargo cannot be started: ${error.message}`);
    const artifacts = stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
    const built = artifacts
      .filter(({ executable }) => typeof executable === "string")
      .map(({ executable }) => executable);
    return { compiled: status === 0 && built.length === programs.length, programs: built, said: stderr };
  }

  /** Runs the tests of a layer, each program for so long at most. */
  async run(bug, programs, longestMs) {
    const { package: of, tests } = LAYERS[bug.layer];
    const env = { ...process.env, ...environment(bug) };
    const cwd = join(this.#folder, "native", of.replace("moraine-", ""));
    const runs = [];
    for (const program of programs) runs.push(await runOne(program, tests, { cwd, env }, longestMs));
    return runs;
  }
}

function runOne(program, tests, options, longestMs) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, tests, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, longestMs);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, output, timedOut });
    });
  });
}
