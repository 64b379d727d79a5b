// The other thread of concurrent.mjs.
import { parentPort, workerData } from "node:worker_threads";
import { Store } from "moraine";

const { token, job, queues, messages, count, told } = workerData;
const store = await Store.attach(token);
parentPort.on("message", () => {}); // a wait for messages keeps no thread alive

/** Takes what comes to each queue until all of it is taken. */
async function consume() {
  parentPort.postMessage("ready");
  let taken = 0;
  const ended = new AbortController();
  const followed = Array.from({ length: queues }, async (_, queueId) => {
    const queue = store.read("bench", queueId, { from: 0, follow: true, signal: ended.signal });
    let from = 0;
    // The raw records, as a broker sends them on; RocketMQ's reader takes no more than they are, either.
    for await (const { nextOffset } of queue.batches()) {
      taken += nextOffset - from;
      from = nextOffset;
      if (taken >= messages) ended.abort();
    }
  });
  await Promise.allSettled(followed);
  if (taken !== messages) throw new Error(`consumed ${taken} of ${messages}`);
  parentPort.postMessage("consumed");
}

/** When this thread was told of each put, so many times: nanoseconds of the clock that all threads share. */
async function wake() {
  for (let n = 0; n < count; n++) {
    await store.arrival("bench", 0, n);
    told[n] = process.hrtime.bigint();
  }
  parentPort.postMessage("told");
}

await { consume, wake }[job]();
await store.close();
parentPort.close();
