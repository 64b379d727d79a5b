// A row: its contestants in rotation, round by round, each figure kept as soon as it is there.
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { amountOf, bytesToWarm, messagesOf, roomLacking } from "../rules/amounts.mjs";
import { figuresOf, isKept } from "../rules/resumption.mjs";
import { rotated } from "../rules/rotation.mjs";
import { lacking } from "./availability.mjs";
import { prepare, runContestant } from "./contestant-run.mjs";

/**
 * Runs what is not there yet, and answers with `figures` of every contestant, whom it left `out` and why, and what `failed`.
 *
 * `settings`: `dir`, `rounds`, `messages`, `gigabytes`, `again`, `commit`, `machine`, `results`, `told` (called before each run), `warm` (has so many bytes
 * of memory touched, and says how many those are), `signal` (ends everything).
 */
export async function runRow(row, settings) {
  const { results, rounds } = settings;
  const key = { commit: settings.commit, machine: settings.machine, amount: amountOf(row, settings) };
  const out = {};
  const able = [];
  for (const contestant of row.contestants) {
    const why =
      contestant.out ??
      roomLacking(row, contestant, settings, freeIn(settings.dir)) ??
      (await lacking(contestant.needs));
    if (why === undefined) able.push(contestant);
    else out[contestant.id] = why;
  }
  const wanted = (contestant, round) => ({ ...key, contestant: contestant.id, round });
  const done = (contestant, round) => !settings.again && isKept(results.runsOf(row.name), wanted(contestant, round));
  const failed = {};
  const places = new Places(row, settings.dir);
  let took = 0;
  try {
    for (let round = 0; round < rounds; round++)
      for (const contestant of rotated(able, round)) {
        // Whoever failed once would fail again.
        if (done(contestant, round) || failed[contestant.id] !== undefined) continue;
        if (round >= (contestant.rounds ?? rounds)) continue;
        settings.told?.(row, contestant, round);
        const warmBytes = (await settings.warm?.(bytesToWarm(row, settings))) ?? 0;
        const run = { ...wanted(contestant, round), at: new Date().toISOString(), warmBytes };
        const begin = performance.now();
        try {
          run.figures = await places.inside(contestant, (dir) => runIn(row, contestant, dir, settings));
        } catch (error) {
          await ended(settings);
          run.failed = error.message;
          failed[contestant.id] = error.message;
        }
        run.wholeSeconds = Number(((performance.now() - begin) / 1000).toFixed(2));
        took += run.wholeSeconds;
        results.add(row.name, run);
        await ended(settings);
      }
  } finally {
    places.remove();
  }
  const figures = figuresOf(results.runsOf(row.name), key, rounds);
  return { row, rounds, amount: key.amount, wholeSeconds: took, out, failed, figures };
}

/** Someone may have ended the whole: then a run that failed did so for that reason. Signals are heard between two turns. */
async function ended({ signal }) {
  await turn();
  signal?.throwIfAborted();
}

async function runIn(row, contestant, dir, settings) {
  const messages = messagesOf(row, settings, contestant);
  if (contestant.run === undefined && row.kept) prepare(contestant, dir, messages, settings.smoke);
  const run = contestant.run ?? ((...args) => runContestant(row, contestant, ...args));
  return run(dir, messages, settings);
}

const freeIn = (dir) => {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
};

/** Directories for runs: a new one each, or one for all rounds of a contestant where the row keeps what was put. */
class Places {
  #row;
  #kept = new Map();
  #base;

  constructor(row, dir) {
    this.#row = row;
    this.#base = mkdtempSync(join(dir, "moraine-bench-"));
  }

  async inside(contestant, work) {
    if (this.#row.kept) return work(this.#keptFor(contestant));
    const dir = mkdtempSync(join(this.#base, "run-"));
    try {
      return await work(dir);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }

  #keptFor(contestant) {
    if (!this.#kept.has(contestant.id)) {
      const dir = join(this.#base, String(this.#kept.size));
      mkdirSync(dir);
      this.#kept.set(contestant.id, dir);
    }
    return this.#kept.get(contestant.id);
  }

  remove() {
    rmSync(this.#base, { recursive: true, force: true });
  }
}
