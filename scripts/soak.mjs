// Crashes on the simulated disk for as long as asked, on all cores: random workloads, each core its own seeds, then every
// call of two long workloads failing. `npm run soak -- --minutes N [--seed S] [--cores C] [--release]`.
// A line of docs/reliability-ledger.md says what was tried.
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const LEDGER = "docs/reliability-ledger.md";
/** Between the first seeds of two cores: more workloads than one gets through. */
const SEEDS_OF_A_CORE = 10_000_000;
/** The test prints these. */
const TALLY =
  /(\d+) crash states of \d+ workloads .* \[(\d+), (\d+), (\d+)\] crashes within recovery by depth, (\d+) opened from a queue checkpoint on, (\d+) with a rotten record: (\d+) states a second(?:, (\d+) a second of one core)?/;
const FAILING_CALLS = /(\d+) runs with a call that fails/;

function numberOf(name, text, least) {
  const value = Number(text);
  if (text !== "" && Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} is ${JSON.stringify(text)}; it must be a whole number from ${least} on.`);
}

/** Compiles the tests; returns the program. */
function build(release) {
  const args = ["test", "--locked", "-p", "moraine-core", "--test", "crash", "--no-run", "--message-format=json"];
  const { status, stdout } = spawnSync("cargo", release ? [...args, "--release"] : args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const artifacts = (stdout ?? "").split("\n").filter((line) => line.startsWith("{"));
  const program = artifacts.map((line) => JSON.parse(line).executable).findLast((path) => typeof path === "string");
  if (status !== 0 || program === undefined) throw new Error("the crash tests do not compile; cargo has said why.");
  return program;
}

function run(program, seed, minutes) {
  const environment = {
    MORAINE_CRASH_SEED: String(seed),
    MORAINE_CRASH_MINUTES: String(minutes),
    MORAINE_CRASH_STATES: String(Number.MAX_SAFE_INTEGER),
    RUST_BACKTRACE: "0",
  };
  const tests = ["random_workloads", "nth_call", "--nocapture", "--test-threads=1"];
  return new Promise((resolve, reject) => {
    const child = spawn(program, tests, { cwd: root, env: { ...process.env, ...environment } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ seed, output, failed: status !== 0, signal }));
  });
}

function tallyOf({ seed, output, failed, signal }) {
  const [, ...counted] = (TALLY.exec(output) ?? []).map(Number);
  const [states = 0, one = 0, two = 0, three = 0, resumed = 0, rotten = 0, perSecond = 0, perCore = perSecond] =
    counted;
  const calls = Number(FAILING_CALLS.exec(output)?.[1] ?? 0);
  console.log(`seeds from ${seed}: ${states} states, ${perSecond} a second, ${perCore} a second of one core`);
  if (failed) console.error(signal === null ? output : `${output}\nended by ${signal}`);
  return { states, deeper: one + two + three, resumed, rotten, calls, perSecond, perCore, failed };
}

function commit() {
  const git = (...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout?.trim() ?? "";
  return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain") === "" ? "" : " and changes"}`;
}

try {
  const number = { type: "string" };
  const { values } = parseArgs({
    options: { minutes: number, seed: number, cores: number, release: { type: "boolean", default: false } },
  });
  const minutes = numberOf("minutes", values.minutes ?? "1", 1);
  const seed = numberOf("seed", values.seed ?? String(Math.floor(Date.now() / 1000)), 0);
  const cores = numberOf("cores", values.cores ?? String(availableParallelism()), 1);
  const program = build(values.release);
  const runs = Array.from({ length: cores }, (_, core) => run(program, seed + core * SEEDS_OF_A_CORE, minutes));
  const tallies = (await Promise.all(runs)).map(tallyOf);
  const sum = (of) => tallies.reduce((total, tally) => total + tally[of], 0);
  const failures = tallies.filter(({ failed }) => failed).length;
  const perCore = Math.round(sum("perCore") / cores);
  console.log(
    `${sum("states")} states, ${sum("perSecond")} a second, ${perCore} a second of one core, ${failures} failed`,
  );
  const date = new Date().toISOString().slice(0, 10);
  const seeds = Array.from({ length: cores }, (_, core) => seed + core * SEEDS_OF_A_CORE).join(", ");
  const columns = [
    date,
    commit(),
    seeds,
    sum("states"),
    sum("deeper"),
    sum("resumed"),
    sum("rotten"),
    sum("calls"),
    perCore,
  ];
  appendFileSync(`${root}/${LEDGER}`, `| ${[...columns, failures].join(" | ")} |\n`);
  process.exitCode = failures === 0 ? 0 : 1;
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
