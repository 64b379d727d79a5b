/**
 * Random sequences, one a seed: 160 by default, of which each kind of store takes those with even or odd seeds.
 * `npm run model` sets how many (MORAINE_MODEL_SEQUENCES), for how long at most (MORAINE_MODEL_MINUTES), and from which
 * seed on (MORAINE_MODEL_SEED).
 *
 * Their engine is that of MORAINE_ENGINE, or what MORAINE_MODEL_ENGINE says: `native`, `wasm`, or `alternating`, one of
 * both at random whenever a store is opened.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { ENGINE_OPTION, ENGINES } from "./engines.ts";
import { type Change, type Operation, sequence } from "./operations.ts";
import { type Counts, run } from "./run.ts";

const BY_DEFAULT = 160;

/** Everything that a run must have done at least once to be worth its time. */
const MUST_HAPPEN = [
  "put",
  "append to memory",
  "append to disk",
  "putBatch",
  "putColumns",
  "putGroup",
  "group too large for a file",
  "put something wrong",
  "too long for 4.9",
  "get",
  "read",
  "follow",
  "batches",
  "entries",
  "offsets",
  "names",
  "log",
  "stats",
  "health",
  "offsetByTime",
  "timeOf",
  "lookup",
  "scan",
  "at",
  "arrival",
  "told by onAppend",
  "flush",
  "clock back",
  "clock forward",
  "commit",
  "forget group",
  "close and open",
  "crash and open",
  "kill and open",
  "steps of a killed process",
  ...ENGINES.map((engine) => `${engine} opened`),
  "read-only open",
  "consumequeue lost",
  "index lost",
  "checkpoint lost",
  "batchconsumequeue lost",
  "inner batch",
  "extension files",
  "rolls of the log",
  "full queue files",
  "full index files",
];

function number(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`${name} is ${text}; it must be a number`);
}

const sequences: number = number("MORAINE_MODEL_SEQUENCES") ?? BY_DEFAULT;
const minutes: number = number("MORAINE_MODEL_MINUTES") ?? Number.POSITIVE_INFINITY;
/** How long a run may take. */
export const TIMEOUT_MS: number = Math.min(minutes * 60_000 + 300_000, 24 * 3_600_000);

/** For a sequence: it takes a third of a second on an idle machine. */
const SEQUENCE_MS = 300_000;
/** For all that is shorter than one that failed: what is the shortest by then is good enough. */
const SHRINKING_MS = 60_000;

/** Draws and carries out the sequences; a failure is shown at once, then the shortest one found, and how to see it again. */
export async function runSequences(seeds: "even" | "odd", first: Partial<Change>): Promise<void> {
  const started = Date.now();
  const counts: Counts = new Map();
  const count = (name: string, times: number) => counts.set(name, (counts.get(name) ?? 0) + times);
  const from = number("MORAINE_MODEL_SEED") ?? 1;
  const start = from + ((from % 2 === 0) === (seeds === "even") ? 0 : 1);
  for (let seed = start; seed < from + sequences && Date.now() - started < minutes * 60_000; seed += 2) {
    let whole: readonly Operation[] = [];
    const property = fc.asyncProperty(sequence, (operations) => {
      if (whole.length === 0) whole = operations;
      return run(operations, { ...first, engine: seed >> 1 }, counts);
    });
    const drawn = { seed, numRuns: 1, unbiased: true };
    const outcome = await fc.check(property, { ...drawn, endOnFailure: true, interruptAfterTimeLimit: SEQUENCE_MS });
    if (outcome.failed) {
      const reason = outcome.interrupted ? `not done after ${SEQUENCE_MS} ms` : reasonOf(outcome.errorInstance);
      const again = `Again: npm run model -- --typescript ${ENGINE_OPTION} --sequences 1 --seed ${seed}`;
      const failure = `${reason}\n\nThe sequence of seed ${seed}:\n${linesOf(whole)}\n\n${again}`;
      if (outcome.interrupted) expect.fail(failure);
      console.error(`${failure}\n\nIt is being shrunk, for ${SHRINKING_MS} ms at most.`);
      const shrunk = await fc.check(property, { ...drawn, interruptAfterTimeLimit: SHRINKING_MS });
      // What fails now and then may not fail a second time.
      if (shrunk.counterexample === null) expect.fail(failure);
      const [operations] = shrunk.counterexample;
      const last = reasonOf(shrunk.errorInstance);
      const other = last === reason ? "" : `\n\nBefore it was shrunk: ${reason}`;
      expect.fail(`${last}${other}\n\nThe sequence, shrunk:\n${linesOf(operations)}\n\n${again}`);
    }
    count("sequences", 1);
  }
  const lines = [...counts].sort().map(([name, times]) => `${String(times).padStart(10)} ${name}`);
  console.log(lines.join("\n"));
  if (sequences >= BY_DEFAULT) expect(MUST_HAPPEN.filter((name) => !counts.get(name))).toEqual([]);
}

function linesOf(operations: readonly Operation[]): string {
  const some = operations.filter((operation) => operation.do !== "nothing");
  return some.map((operation) => `  ${JSON.stringify(operation)}`).join("\n");
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
