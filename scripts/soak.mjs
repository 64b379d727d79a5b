// Crashes on the simulated disk for as long as asked, on all cores: random workloads, on a disk that
// fails at random too, then every call of two long workloads failing. `npm run soak -- --minutes N [--seed S] [--cores C]`; `npm run soak -- --exhaustive`: every state of every small
// workload instead. A row of docs/reliability-ledger.md says what was tried.
import { spawn, spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { commit, enter, numberOf, today } from "./ledger.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const HEAD = "| date | commit | workloads from |";
/** Between the first seeds of runs that begin a second apart: more workloads than a core gets through in one. */
const SEEDS_A_SECOND = 100;
/** The test prints these. */
const TALLY =
  /(\d+) crash states of \d+ workloads .* \[(\d+), (\d+), (\d+)\] crashes within recovery by depth, (\d+) opened from a queue checkpoint on, (\d+) with a rotten record: (\d+) states a second(?:, (\d+) a second of one core)?/;
const FAILING_CALLS = /(\d+) runs with a call that fails/;
const FAILING_DISKS = /(\d+) workloads on a disk that fails at random/;

/** Compiles the tests; returns the program. */
function build() {
  const args = ["test", "--profile", "soak", "--locked", "-p", "moraine-core", "--test", "crash", "--no-run"];
  const { status, stdout } = spawnSync("cargo", [...args, "--message-format=json"], {
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

function run(program, { seed, minutes, cores, exhaustive }) {
  const environment = {
    MORAINE_CRASH_SEED: String(seed),
    MORAINE_CRASH_MINUTES: String(minutes),
    MORAINE_CRASH_CORES: String(cores),
    MORAINE_CRASH_STATES: String(Number.MAX_SAFE_INTEGER),
    RUST_BACKTRACE: "0",
  };
  const tests = [
    ...(exhaustive ? ["small"] : ["random_workloads", "faults", "nth_call"]),
    "--nocapture",
    "--test-threads=1",
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(program, tests, { cwd: root, env: { ...process.env, ...environment } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ output, failed: status !== 0, signal }));
  });
}

function tallyOf({ output, failed, signal }) {
  const [, ...counted] = (TALLY.exec(output) ?? []).map(Number);
  const [states = 0, one = 0, two = 0, three = 0, resumed = 0, rotten = 0, perSecond = 0, perCore = perSecond] =
    counted;
  const calls = [FAILING_CALLS, FAILING_DISKS].reduce((sum, of) => sum + Number(of.exec(output)?.[1] ?? 0), 0);
  console.log(`${states} states, ${perSecond} a second, ${perCore} a second of one core`);
  if (failed) console.error(signal === null ? output : `${output}\nended by ${signal}`);
  return [states, one + two + three, resumed, rotten, calls, perCore, failed ? 1 : 0];
}

try {
  const number = { type: "string" };
  const exhaustive = { type: "boolean", default: false };
  const { values } = parseArgs({ options: { minutes: number, seed: number, cores: number, exhaustive } });
  const options = {
    minutes: numberOf("minutes", values.minutes ?? (values.exhaustive ? "600" : "1"), 1),
    seed: numberOf("seed", values.seed ?? String(Math.floor(Date.now() / 1000) * SEEDS_A_SECOND), 0),
    cores: numberOf("cores", values.cores ?? String(availableParallelism()), 1),
    exhaustive: values.exhaustive,
  };
  const program = build();
  const tried = commit();
  const tally = tallyOf(await run(program, options));
  const row = [today(), tried, options.exhaustive ? "all small" : options.seed, ...tally];
  enter(HEAD, row, (sum) => `${sum(4)} crash states, ${sum(8)} runs with failing calls.`);
  process.exitCode = tally.at(-1) === 0 ? 0 : 1;
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
