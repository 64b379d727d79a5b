// The other thread of concurrent.mjs.
import { parentPort, workerData } from "node:worker_threads";
import { Store } from "moraine";

const { token, job, queues, messages, count, began } = workerData;
const store = await Store.attach(token);
parentPort.on("message", () => {}); // a wait for messages keeps no thread alive

/** Takes what comes to each queue until all of it is taken. */
async function consume() {
  parentPort.postMessage("ready");
  let taken = 0;
  const ended = new AbortController();
  const followed = Array.from({ length: queues }, async (_, queueId) => {
    const queue = store.read("bench", queueId, { from: 0, follow: true, signal: ended.signal });
    for await (const batch of queue.batches()) {
      taken += batch.messages.length;
      if (taken >= messages) ended.abort();
    }
  });
  await Promise.allSettled(followed);
  if (taken !== messages) throw new Error(`consumed ${taken} of ${messages}`);
  parentPort.postMessage("consumed");
}

/** How many microseconds after a put had begun this thread was told of it, so many times. */
async function wake() {
  const micros = new Float64Array(count);
  for (let n = 0, { max } = store.offsets("bench", 0); n < count; n++, max++) {
    await store.arrival("bench", 0, max);
    micros[n] = Number(process.hrtime.bigint() - began[0]) / 1000;
  }
  parentPort.postMessage(micros);
}

await { consume, wake }[job]();
await store.close();
parentPort.close();
