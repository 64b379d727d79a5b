// Which bugs are planted (test/planted), by which layer of tests each must be noticed, and what counts as noticed.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../test/planted", import.meta.url));

/** What the crash rig prints where something was said to be safe before its sync (native/core/tests/crash/ordering.rs). */
const BEFORE_ITS_SYNC = /is not synced|is not the table that the watermark names|no slot of the watermark is synced/;
/** … and where one bit turned over costs more than its message (rot.rs). */
const COST_MORE =
  /a bad record below what was said to be durable|is rotten, the message at \d+ is lost|has other bytes/;

const crash = { package: "moraine-core", programs: ["crash"], rotates: true };
/**
 * Layers: which tests of which programs, how many of them, and, where several layers are one test, what it prints when it is
 * this one that went red. `rotates`: quick to build and to run. The program `lib` is the tests within the sources.
 */
export const LAYERS = {
  "random-workloads": { ...crash, tests: ["random_workloads"] },
  "small-workloads": { ...crash, tests: ["small"] },
  ordering: { ...crash, tests: ["random_workloads"], says: BEFORE_ITS_SYNC },
  rot: { ...crash, tests: ["random_workloads"], says: COST_MORE },
  "nth-call": { ...crash, tests: ["nth_call"] },
  engine: { package: "moraine-core", programs: ["engine"], tests: [] },
  "engine-model": { package: "moraine-core", programs: ["engine_model"], tests: [] },
  upkeep: { package: "moraine-core", programs: ["upkeep"], tests: [] },
  host: { package: "moraine-host", programs: ["shared", "lock", "replicate"], tests: [] },
  models: { package: "moraine-host", programs: ["models"], features: "models", tests: [] },
  "stalled-disk": { package: "moraine-host", programs: ["lib"], tests: ["stall"] },
};
/** Crash states that are tried, where the list does not say that a bug takes more. */
const STATES = 12_000;

/** The same states in each run, so that what is noticed once is noticed always. */
export function environment({ states = STATES }) {
  return {
    MORAINE_CRASH_STATES: String(states),
    MORAINE_CRASH_SEED: "1",
    MORAINE_MODEL_SEED: "1",
    RUST_BACKTRACE: "0",
  };
}

/** The list. Throws where it is not in order. */
export function readBugs() {
  const bugs = JSON.parse(readFileSync(join(folder, "bugs.json"), "utf8"));
  const names = new Set(bugs.map(({ name }) => name));
  if (names.size < bugs.length) throw new Error("bugs.json names a bug twice.");
  for (const { name, layer } of bugs) {
    if (!(layer in LAYERS))
      throw new Error(`${name} names the layer ${layer}; there are ${Object.keys(LAYERS).join(", ")}.`);
    if (!existsSync(patchOf(name))) throw new Error(`${name} has no patch: ${patchOf(name)} is missing.`);
  }
  const strays = readdirSync(folder).filter(
    (file) => file.endsWith(".patch") && !names.has(file.replace(/\.patch$/, "")),
  );
  if (strays.length > 0) throw new Error(`bugs.json does not name ${strays.join(", ")}.`);
  return bugs;
}

/** The file with the patch of a bug. */
export function patchOf(name) {
  return join(folder, `${name}.patch`);
}

/** The files that a patch changes, below the repository. */
export function changedBy(patch) {
  return [...patch.matchAll(/^\+\+\+ b\/(.+)$/gm)].map(([, path]) => path);
}

/** Quick enough for every run of `npm test`. */
export function isQuick({ layer, states = STATES }) {
  return LAYERS[layer].rotates === true && states <= STATES;
}

/** `count` of the bugs that are quick to try, the next ones for the next number. */
export function rotating(bugs, count, number) {
  const quick = bugs.filter(isQuick);
  const first = (number * count) % quick.length;
  return [...quick.slice(first), ...quick.slice(0, first)].slice(0, count);
}

/**
 * What a run of a layer's programs says about a bug: `runs` are `{ status, output, timedOut }`, one a program.
 * Caught is a bug by tests that fail, not by programs that do not build, cannot start, break off or hang (unless the list
 * says that it makes them hang).
 */
export function judge(runs, { layer, hangs = false }) {
  const failed = runs.flatMap(({ output }) => failedTests(output));
  if (runs.some(({ timedOut }) => timedOut)) {
    return hangs ? caught("it hangs") : missed("its tests hang, and the list does not say that they would");
  }
  if (isGreen(runs)) return missed("its tests pass");
  const told = runs.some(({ output }) => /^test result: FAILED\. \d+ passed; [1-9]\d* failed/m.test(output));
  if (!told) return missed("its tests broke off, or there were none: no test failed");
  const { says } = LAYERS[layer];
  const output = runs.map((run) => run.output).join("\n");
  return says === undefined || says.test(output)
    ? caught(list(failed))
    : missed(`${list(failed)} failed, but not by this layer`);
}

/** Whether all programs ran tests, and all of them passed. */
export function isGreen(runs) {
  const green = ({ status, output }) => status === 0 && /^test result: ok\. [1-9]\d* passed/m.test(output);
  return runs.length > 0 && runs.every(green);
}

const caught = (by) => ({ caught: true, why: by });
const missed = (why) => ({ caught: false, why });

function list(tests) {
  return tests.length > 3 ? `${tests.slice(0, 3).join(", ")} and ${tests.length - 3} more` : tests.join(", ");
}

/** Names of the tests that failed, as the program lists them at its end. */
export function failedTests(output) {
  const [, listed = ""] = /\nfailures:\n((?: {4}\S+\n)+)\ntest result: FAILED/.exec(output) ?? [];
  return listed
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
