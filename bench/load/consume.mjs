// One thread puts batches, another takes them.
import { once } from "node:events";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";

const BATCH = 64;

export async function consume(job) {
  const messages = Math.ceil(job.messages / BATCH) * BATCH;
  const contestant = await openContestant(job);
  const workerData = { token: contestant.store.share(), messages };
  const consumer = new Worker(new URL("./headline-consumer.mjs", import.meta.url), { workerData });
  const ended = once(consumer, "exit");
  await once(consumer, "message"); // it is ready
  const consumed = once(consumer, "message");
  const figures = await measured(messages, async () => {
    await putAll(contestant, (n) => n >= messages);
    await consumed;
  });
  await contestant.flush();
  await contestant.verify(messages);
  await ended;
  await contestant.close();
  return { ...figures, consumedPerSecond: messages / figures.seconds, threads: 2 };
}

/** Puts batches until `enough`; waits where the store says that it cannot go on yet. How many messages. */
export async function putAll(contestant, enough) {
  let n = 0;
  while (!enough(n)) {
    try {
      contestant.putBatch(n, BATCH);
      n += BATCH;
      if (n % (BATCH * 64) === 0) await turn();
    } catch (error) {
      if (error.code !== "STORE_BUSY") throw error;
      await sleep(5);
    }
  }
  return n;
}
