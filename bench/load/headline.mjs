// 256 producers of which each waits for its acknowledgement, and a consumer that reads in 32s, in this thread or another.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";
import { QUEUES, TOPIC } from "./messages.mjs";
import { warmUpOf } from "./put.mjs";

const MAX = 32;

/** Takes `messages` messages from the front of all queues on, as they come. */
export async function consume(store, messages) {
  let taken = 0;
  const ended = new AbortController();
  const queues = Array.from({ length: QUEUES }, async (_, queue) => {
    const into = Buffer.alloc(1 << 18);
    for (let offset = 0; taken < messages; ) {
      const { nextOffset } = store.get(TOPIC, queue, offset, { max: MAX, into });
      taken += nextOffset - offset;
      if (nextOffset === offset) await store.arrival(TOPIC, queue, offset, { signal: ended.signal });
      else if (taken % 1024 < MAX) await new Promise((resolve) => setImmediate(resolve));
      offset = nextOffset;
    }
    ended.abort();
  });
  const settled = await Promise.allSettled(queues);
  const failed = settled.find(({ status, reason }) => status === "rejected" && reason.code !== "STORE_ABORTED");
  if (failed) throw failed.reason;
  if (taken !== messages) throw new Error(`consumed ${taken} of ${messages} messages`);
}

/** `job.worker`: the consumer has a thread of its own. */
export async function headline(job) {
  const { messages, producers } = job;
  const contestant = await openContestant(job);
  contestant.unordered = true;
  const warmUp = warmUpOf(messages, 1);
  const consumer = job.worker ? await consumerThread(contestant.store, warmUp + messages) : undefined;
  const consumed = consumer?.consumed ?? consume(contestant.store, warmUp + messages);
  await produce(contestant, 0, warmUp, producers);
  let acknowledgedSeconds = 0;
  const figures = await measured(messages, async () => {
    const start = performance.now();
    await produce(contestant, warmUp, messages, producers);
    acknowledgedSeconds = (performance.now() - start) / 1000;
    await consumed;
  });
  await contestant.flush();
  await contestant.verify(warmUp + messages);
  await consumer?.ended;
  await contestant.close();
  return {
    ...figures,
    messagesPerSecond: messages / acknowledgedSeconds,
    consumedPerSecond: messages / figures.seconds,
    threads: job.worker ? 2 : 1,
  };
}

async function produce(contestant, from, count, producers) {
  let next = from;
  const producer = async () => {
    while (next < from + count) await contestant.append(next++);
  };
  await Promise.all(Array.from({ length: producers }, producer));
}

async function consumerThread(store, messages) {
  const workerData = { token: store.share(), messages };
  const worker = new Worker(new URL("./headline-consumer.mjs", import.meta.url), { workerData });
  const ended = once(worker, "exit");
  await once(worker, "message"); // it is ready
  return { consumed: once(worker, "message"), ended };
}
