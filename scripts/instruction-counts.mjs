// What calls of the store cost in instructions, as callgrind counts them, held against scripts/instruction-counts.json. No
// time is measured: the numbers are the same on a busy machine, and of the code as it is published.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { missingTool, runs } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const EXPECTED = "scripts/instruction-counts.json";
const TARGET = "x86_64-unknown-linux-gnu";
/** The example is built as releases are, whatever else is told to be, and keeps the names of its functions. */
const BUILD = [
  ...["rustc", "--release", "--target", TARGET, "--locked", "-p", "moraine-host", "--example", "counts"],
  ...["--message-format=json-render-diagnostics", "--", "-C", "strip=none"],
];
const OTHERWISE =
  /^(CARGO_PROFILE_RELEASE_.*|CARGO_INCREMENTAL|(CARGO_(ENCODED_|BUILD_|TARGET_.*_))?RUSTFLAGS|GLIBC_TUNABLES)$/;
/** Length of the path below which stores are made, wherever temporary files go: opening one copies paths. */
const PATH_BYTES = 120;
const MEASURED = "counts::measured";

/** Instructions per message, call or queue, by what is counted. @typedef {Record<string, number>} Counts */

/** What keeps this machine from counting, in a sentence; undefined where nothing does. */
export function missing() {
  return otherMachine() ?? missingTools();
}

/** What nobody can install. */
function otherMachine() {
  if (process.platform !== "linux" || process.arch !== "x64") return "instructions are counted on Linux x64 alone";
  if (!/\bavx2\b/.test(readFileSync("/proc/cpuinfo", "utf8"))) return "the processor has no AVX2, and takes other ways";
  return undefined;
}

function missingTools() {
  return missingTool() ?? (runs("valgrind") ? undefined : "valgrind is missing: install it (apt-get install valgrind)");
}

/** Compiles what is counted; returns the program. */
export function build() {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OTHERWISE.test(name)));
  const options = { cwd: root, env, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] };
  const { status, stdout } = spawnSync("cargo", BUILD, options);
  const said = (stdout ?? "").split("\n").filter((line) => line.startsWith("{"));
  const program = said.map((line) => JSON.parse(line).executable).findLast((path) => typeof path === "string");
  if (status !== 0 || program === undefined) throw new Error("what is counted does not compile; cargo has said why.");
  return program;
}

/** Runs the program and counts. @returns {Counts} */
export function count(program) {
  const folder = mkdtempSync(join(tmpdir(), "moraine-counts-"));
  try {
    const out = join(folder, "out");
    const stores = join(folder, "s".repeat(Math.max(1, PATH_BYTES - folder.length)));
    mkdirSync(stores);
    const callgrind = ["--command-line-only=yes", "--quiet", "--vgdb=no", "--tool=callgrind"];
    const sections = [`--toggle-collect=${MEASURED}`, `--dump-after=${MEASURED}`, `--callgrind-out-file=${out}`];
    const { status, signal, stdout } = spawnSync("valgrind", [...callgrind, ...sections, program], {
      env: { PATH: process.env.PATH, TMPDIR: stores },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (status !== 0) throw new Error(`what is counted ended with ${signal ?? status}.`);
    return perUnit(stdout, (part) => readFileSync(`${out}.${part}`, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What the program says it did, a line `TIMES NAME` for each section, and what callgrind counted in each. Of two sections with
 * one name the difference counts: what both have beside it is left out.
 * @param {string} said
 * @param {(part: number) => string} dump By the number of the section, from 1 on.
 * @returns {Counts}
 */
export function perUnit(said, dump) {
  const sections = [...said.matchAll(/^(\d+) (.+)$/gm)].map(([, times, name], at) => {
    const total = /^totals: (\d+)$/m.exec(dump(at + 1))?.[1];
    if (!(Number(total) > 0)) throw new Error(`callgrind counted nothing for ${name}.`);
    return { name: name ?? "", times: Number(times), total: Number(total) };
  });
  const counts = {};
  for (const { name, times, total } of sections) {
    const before = sections.find((section) => section.name === name && section.times < times);
    counts[name] = Math.round((total - (before?.total ?? 0)) / (times - (before?.times ?? 0)));
  }
  return counts;
}

/**
 * A line for each count, and whether it is as expected.
 * @param {Counts} expected
 * @param {Counts} counted
 * @param {number} tolerance By which part of it a count may differ.
 * @param {Counts} own Wider tolerances, of counts that are not the same in each run.
 */
export function compare(expected, counted, tolerance, own = {}) {
  const percent = (part) => `${part < 0 ? "−" : "+"}${Math.abs(part * 100).toFixed(1)} %`;
  return [...new Set([...Object.keys(expected), ...Object.keys(counted)])].map((name) => {
    const [was, is] = [expected[name], counted[name]];
    if (is === undefined) return { name, fits: false, line: `${name}: expected, and not counted` };
    const instructions = `${name}: ${is.toLocaleString("en")} instructions`;
    if (was === undefined) return { name, fits: false, line: `${instructions}, and no number is expected` };
    const most = Math.max(tolerance, own[name] ?? 0);
    const fits = Math.abs(is - was) <= was * most;
    const allowed = fits ? "" : `, more than ${most * 100} %`;
    const line = `${instructions}, ${was.toLocaleString("en")} expected: ${percent(is / was - 1)}${allowed}`;
    return { name, fits, line };
  });
}

function compiler() {
  return (
    /^rustc [\d.]+/.exec(spawnSync("rustc", ["--version"], { cwd: root, encoding: "utf8" }).stdout ?? "")?.[0] ??
    "unknown"
  );
}

function readExpected() {
  return JSON.parse(readFileSync(join(root, EXPECTED), "utf8"));
}

/** Counts as tests: each number is one. Where nothing can be counted they are not run; in CI a missing tool is a failure. */
export function instructionCounts() {
  const expected = readExpected();
  const lacking = missing();
  if (lacking !== undefined) {
    console.log(`\nmoraine: instructions are not counted. ${lacking}.`);
    const numbers = Object.keys(expected.counts).length;
    return process.env.CI && otherMachine() === undefined
      ? { passed: 0, failed: numbers, notRun: 0 }
      : { passed: 0, failed: 0, notRun: numbers };
  }
  const same = compiler() === expected.compiler;
  const tolerance = same ? expected.tolerance : expected.toleranceOfOtherCompilers;
  console.log(
    `\nInstructions, each way by ${tolerance * 100} %${same ? "" : `, as ${compiler()} is not ${expected.compiler}`}:`,
  );
  const compared = compare(expected.counts, count(build()), tolerance, expected.ownTolerances);
  for (const { fits, line } of compared) console.log(`  ${fits ? "✓" : "✗"} ${line}`);
  const failed = compared.filter(({ fits }) => !fits).length;
  if (failed > 0) console.log(`If that is meant, \`npm run counts -- --write\` writes ${EXPECTED} anew.`);
  return { passed: compared.length - failed, failed, notRun: 0 };
}

/** Writes what is counted now as what is expected. */
export function write() {
  const lacking = missing();
  if (lacking !== undefined) throw new Error(`instructions cannot be counted. ${lacking}.`);
  const expected = { ...readExpected(), compiler: compiler(), counts: count(build()) };
  writeFileSync(join(root, EXPECTED), `${JSON.stringify(expected, null, 2)}\n`);
  for (const { line } of compare(expected.counts, expected.counts, 0)) console.log(line);
}
