// How soon somebody who waits for a queue goes on after a put has returned: in the same thread, or in another.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { percentile } from "../rules/statistics.mjs";
import { openContestant } from "./contestants.mjs";
import { memory } from "./measure.mjs";
import { checkCount, QUEUES, TOPIC } from "./messages.mjs";

/** Puts are so far apart that whoever waits is at rest. */
const APART_MILLIS = 1;

export async function wake(job) {
  const contestant = await openContestant(job);
  const count = Math.min(job.messages, 20_000);
  const told = new BigInt64Array(new SharedArrayBuffer(8 * count));
  const waiter = job.worker ? await inWorker(contestant.store, told) : undefined;
  const put = new BigInt64Array(count);
  for (let n = 0; n < count; n++) {
    await sleep(APART_MILLIS);
    const waiting = waiter === undefined ? contestant.store.arrival(TOPIC, 0, n) : undefined;
    contestant.put(n * QUEUES); // all of them to queue 0
    put[n] = process.hrtime.bigint();
    if (waiting === undefined) continue;
    await waiting;
    told[n] = process.hrtime.bigint();
  }
  await waiter?.all;
  const micros = Float64Array.from(told, (at, n) => Number(at - put[n]) / 1000).sort();
  const found = contestant.lengths()[0];
  checkCount(found, count);
  await contestant.close();
  const at = (share) => percentile(micros, share);
  return { p50Micros: at(0.5), p99Micros: at(0.99), mostMicros: at(1), threads: job.worker ? 2 : 1, ...memory() };
}

/** Resolves when the other thread waits, with `all` for when it has heard of everything. */
async function inWorker(store, told) {
  const waiter = new Worker(new URL("./wake-worker.mjs", import.meta.url), {
    workerData: { token: store.share(), told },
  });
  const all = new Promise((resolve, reject) => {
    waiter.on("exit", resolve);
    waiter.on("error", reject);
  });
  await once(waiter, "message"); // it is about to wait
  await sleep(100);
  return { all };
}
