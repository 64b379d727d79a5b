// AddressSanitizer: the Rust tests of everything that has unsafe code or is called by it, then the addon in Node.js under the
// contract suite and under threads. `npm run sanitize`, or `-- --only rust`, `-- --only node`; Linux alone.
// Everything is built into a folder of its own below target/. The last line is `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { attempt, cargoTests, conclude, vitestTests } from "./counted-runs.mjs";
import { compileTypeScript, installPackages, requireTools } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "sanitize");
const reports = join(folder, "reports");
/** The package with the addon that is looked at: Node.js loads prebuilds/ beside the sources. */
const copy = join(folder, "package");
const COPIED = ["dist", "examples", "package.json", "src", "test", "tsconfig.json", "vitest.config.ts"];

const RUST_TESTS = [
  ["-p", "moraine-host"],
  ["-p", "moraine-core", "--test", "engine", "--test", "format"],
];
const PROGRAMS = [
  ["test/threads/round.mjs", "1", "20"],
  ["test/threads/round.mjs", "2", "20"],
  ["examples/worker-pool/main.mjs"],
];

/**
 * SIGBUS is ours (native/host/src/fault.rs); Node.js frees nothing when it leaves. What was freed is kept for a while to see who uses
 * it: of the default of 256 MB a test that looks at its memory would see the growth.
 */
const OPTIONS = ["handle_sigbus=0", "detect_leaks=0", "quarantine_size_mb=64"];
/** The errors are written to files: a process that was meant to die, or is not waited for, is found out, too. */
const looking = {
  ...process.env,
  // Sanitizers are an unstable option of rustc, which the stable one has if it is told so.
  RUSTC_BOOTSTRAP: "1",
  RUSTFLAGS: "-Zsanitizer=address",
  CARGO_TARGET_DIR: folder,
  ASAN_OPTIONS: [...OPTIONS, `log_path=${join(reports, "report")}`].join(":"),
};

function hostTriple() {
  const { stdout } = spawnSync("rustc", ["-vV"], { encoding: "utf8" });
  const [, triple] = /^host: (\S+)$/m.exec(stdout ?? "") ?? [];
  if (triple === undefined) throw new Error("rustc is missing: install Rust (https://rustup.rs) and run this again.");
  if (!triple.includes("-linux-gnu")) throw new Error(`this needs Linux with glibc; here it is ${triple}.`);
  return triple;
}

/** clang's runtime as a library: rustc has it only as a part of programs, and this program is Node.js. */
function runtime(triple) {
  const [processor] = triple.split("-");
  const { stdout } = spawnSync("clang", ["--print-runtime-dir"], { encoding: "utf8" });
  const folders = [stdout?.trim() ?? "", ...installedRuntimes()];
  const names = [`libclang_rt.asan-${processor}.so`, "libclang_rt.asan.so"];
  const found = folders.flatMap((path) => names.map((name) => join(path, name))).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Error(
    "clang's AddressSanitizer is missing: install it (libclang-rt-19-dev of Debian or Ubuntu, or any newer one) and run this again.",
  );
}

/** Where Debian and its kin put them, the newest first. */
function installedRuntimes() {
  const entries = (path) => (existsSync(path) ? readdirSync(path) : []);
  const versions = entries("/usr/lib").flatMap((name) => /^llvm-(\d+)$/.exec(name)?.[1] ?? []);
  return versions
    .sort((one, other) => Number(other) - Number(one))
    .flatMap((version) =>
      entries(`/usr/lib/llvm-${version}/lib/clang`).map((name) => `/usr/lib/llvm-${version}/lib/clang/${name}/lib`),
    )
    .flatMap((path) => entries(path).map((name) => join(path, name)));
}

/** Says whether an error that is there is seen, by what `command` starts: otherwise silence means nothing. */
function control(what, triple, kind, command, env) {
  const built = join(folder, `freed.${kind}`);
  const flags = ["--edition", "2024", "--target", triple, "-Zsanitizer=address", "--crate-type", kind];
  const { status } = spawnSync("rustc", [...flags, "-o", built, join(root, "test/sanitize/freed.rs")], {
    env: looking,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("test/sanitize/freed.rs does not compile; rustc has said why.");
  const [program, ...args] = command(built);
  const { stderr } = spawnSync(program, args, { encoding: "utf8", env: { ...env, ASAN_OPTIONS: OPTIONS.join(":") } });
  const seen = stderr.includes("AddressSanitizer: heap-use-after-free");
  console.log(`moraine: ${what}: an error on purpose is ${seen ? "seen" : `NOT SEEN:\n${stderr}`}`);
  return { passed: seen ? 1 : 0, failed: seen ? 0 : 1, notRun: 0 };
}

async function rustPart(triple) {
  const counts = [control("Rust", triple, "bin", (program) => [program], looking)];
  for (const tests of RUST_TESTS) {
    const args = ["--locked", "--no-fail-fast", "--target", triple, ...tests];
    counts.push(await attempt(() => cargoTests(args, { cwd: root, env: looking })));
  }
  return counts;
}

async function nodePart(triple) {
  const env = { ...looking, LD_PRELOAD: runtime(triple) };
  makePackage(triple);
  const load = (addon) => [process.execPath, "-e", `process.dlopen({ exports: {} }, ${JSON.stringify(addon)})`];
  const counts = [control("Node.js", triple, "cdylib", load, env)];
  // One file of tests at a time: beside others the memory of a process with the sanitizer swings by tens of megabytes, which a test
  // of memory takes for growth.
  const contract = ["--project", "native", "--maxWorkers", "1"];
  counts.push(await attempt(() => vitestTests(contract, { cwd: copy, env })));
  for (const args of PROGRAMS) {
    console.log(`moraine: node ${args.join(" ")}`);
    const { status, signal } = spawnSync(process.execPath, args, { cwd: copy, env, stdio: "inherit" });
    if (status !== 0) console.error(`moraine: it left with ${signal ?? status}`);
    counts.push({ passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, notRun: 0 });
  }
  return counts;
}

/** The addon built as the tests are: with checks of overflow, and lines in what is reported. */
function makePackage(triple) {
  requireTools();
  installPackages();
  compileTypeScript();
  const args = ["build", "--locked", "--profile", "test", "--target", triple, "-p", "moraine-napi"];
  const { status } = spawnSync("cargo", args, { cwd: root, env: looking, stdio: "inherit" });
  if (status !== 0) throw new Error("the addon does not compile; cargo has said why.");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(join(copy, "prebuilds"), { recursive: true });
  for (const path of COPIED) cpSync(join(root, path), join(copy, path), { recursive: true });
  symlinkSync(realpathSync(join(root, "node_modules")), join(copy, "node_modules"));
  const addon = `moraine.${process.platform}-${process.arch}-gnu.node`;
  cpSync(join(folder, triple, "debug", "libmoraine_napi.so"), join(copy, "prebuilds", addon));
}

/** Every report is a failure. */
function reported() {
  const files = readdirSync(reports);
  for (const name of files) console.error(`\n${readFileSync(join(reports, name), "utf8")}`);
  console.log(`moraine: ${files.length} reports of AddressSanitizer`);
  return { passed: 0, failed: files.length, notRun: 0 };
}

try {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const parts = { rust: rustPart, node: nodePart };
  if (values.only !== undefined && !Object.hasOwn(parts, values.only))
    throw new Error(`--only is ${JSON.stringify(values.only)}; it must be rust or node.`);
  const triple = hostTriple();
  if (values.only !== "rust") runtime(triple);
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const counts = [];
  for (const [name, part] of Object.entries(parts)) {
    if (values.only === undefined || values.only === name) counts.push(...[await attempt(() => part(triple))].flat());
  }
  conclude([...counts, reported()]);
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
