/**
 * `round.mjs SEED SECONDS`: one store, threads that use it as their dice say, some ended in mid-call. Afterwards everything that
 * was acknowledged is there, in order, once. The last line says what was done.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Store } from "moraine";
import { dice, follow, QUEUES, TOPICS } from "./bodies.mjs";

const [seed, seconds] = process.argv.slice(2).map(Number);
const THREADS = 4;
const KEPT_BYTES = 64 << 20;
const roll = dice(seed);
const directory = mkdtempSync(join(tmpdir(), "moraine-threads-"));
const options = {
  flush: roll(2) === 0 ? "async" : "sync",
  flushIntervalMs: 1 + roll(50),
  segmentBytes: 1 << (20 + roll(3)),
  queueFileEntries: 1000,
  indexSlots: 1000,
  indexEntries: 4000,
};

const tally = { calls: 0, ended: 0 };
const reports = [];
let failure;
let born = 0;
const running = new Set();

function start(store) {
  born += 1;
  const name = `w${born}`;
  const worker = new Worker(new URL("./worker.mjs", import.meta.url), {
    workerData: { token: store.share(), seed: seed * 1000 + born, name },
  });
  running.add(worker);
  worker.on("message", (report) => reports.push(report));
  worker.on("error", (error) => (failure ??= error));
  worker.on("exit", () => running.delete(worker));
  return worker;
}

/** Everything in the store, writer by writer without a gap; the newest of each writer and queue. */
function checkAll(store) {
  const newest = new Map();
  for (const topic of store.topics()) {
    for (const queueId of store.queues(topic)) {
      const last = new Map();
      const { min, max } = store.offsets(topic, queueId);
      for (let offset = min; offset < max; ) {
        const { messages, nextOffset } = store.get(topic, queueId, offset, { max: 1000, maxBytes: 1 << 22 });
        for (const message of messages) follow(message, last);
        if (nextOffset <= offset) throw new Error(`${topic} ${queueId} ends at ${offset}, said ${max}`);
        offset = nextOffset;
      }
      for (const [writer, number] of last) newest.set(`${writer}/${topic}/${queueId}`, number);
    }
  }
  return newest;
}

try {
  const store = await Store.open(directory, options);
  for (let n = 0; n < THREADS; n++) start(store);
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end && failure === undefined) {
    await sleep(20 + roll(200));
    if (roll(3) === 0) {
      const [victim] = running;
      if (victim !== undefined) {
        await victim.terminate();
        tally.ended += 1;
      }
      start(store);
    }
    if (roll(4) === 0) await store.expire({ maxBytes: KEPT_BYTES });
  }
  await Promise.all(
    [...running].map((worker) => new Promise((resolve) => worker.once("exit", resolve).postMessage("leave"))),
  );
  if (failure !== undefined) throw failure;
  const { state } = store;
  if (state !== "open") throw new Error(`the store is ${state}`);
  const newest = checkAll(store);
  for (const { name, calls, put } of reports) {
    tally.calls += calls;
    for (const [queue, count] of put) {
      const found = newest.get(`${name}/${queue}`);
      const { min, max } = store.offsets(queue.split("/")[0], Number(queue.split("/")[1]));
      if (found !== count - 1 && (found !== undefined || min === 0) && max > min)
        throw new Error(`${name} has put ${count} into ${queue}; the newest is number ${found}`);
    }
  }
  await store.close();
  const again = await Store.open(directory, options);
  if (!again.health().clean) throw new Error("the store was not closed cleanly");
  const kept = checkAll(again);
  for (const [of, number] of newest)
    if (kept.get(of) !== number) throw new Error(`${of} ended with ${number}, now ${kept.get(of)}`);
  await again.close();
  console.log(JSON.stringify({ ...tally, queues: TOPICS.length * QUEUES }));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
