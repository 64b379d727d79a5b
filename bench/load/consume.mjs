// One thread puts batches, another takes them.
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";
import { warmUpOf } from "./put.mjs";

const BATCH = 64;

export async function consume(job) {
  const messages = Math.ceil(job.messages / BATCH) * BATCH;
  const contestant = await openContestant(job);
  const warmUp = warmUpOf(messages, BATCH);
  const workerData = { token: contestant.store.share(), messages: warmUp + messages };
  const consumer = new Worker(new URL("./headline-consumer.mjs", import.meta.url), { workerData });
  const ended = once(consumer, "exit");
  await once(consumer, "message"); // it is ready
  const consumed = once(consumer, "message");
  await putAll(contestant, (n) => n >= warmUp);
  const figures = await measured(messages, async () => {
    await putAll(contestant, (n) => n >= warmUp + messages, warmUp);
    await consumed;
  });
  await contestant.flush();
  await contestant.verify(warmUp + messages);
  await ended;
  await contestant.close();
  return { ...figures, consumedPerSecond: messages / figures.seconds, threads: 2 };
}

/** Puts batches until `enough`, which is asked with the next number. How many messages there are then. */
export async function putAll(contestant, enough, from = 0) {
  let n = from;
  for (; !enough(n); n += BATCH) {
    const waiting = contestant.putBatch(n, BATCH);
    if (waiting) await waiting;
    else if (n % (BATCH * 64) === 0) await turn();
  }
  return n;
}
