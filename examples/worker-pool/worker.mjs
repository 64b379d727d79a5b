// A worker of main.mjs: attaches to the store, and follows its queues until it is told to end.
import { parentPort, workerData } from "node:worker_threads";
import { Store } from "moraine";

const store = await Store.attach(workerData.token);
const ended = new AbortController();

/** Reads on and on along one queue; nothing here waits for a disk, nor polls. */
async function consume(queueId) {
  const queue = store.read("orders", queueId, { follow: true, signal: ended.signal });
  for await (const { messages, nextOffset } of queue.batches()) {
    for (const message of messages) work(message);
    parentPort.postMessage({ queueId, nextOffset, count: messages.length });
  }
}

function work(message) {
  const expected = `order ${message.keys[0].slice("order-".length)}`;
  if (Buffer.from(message.body).toString() !== expected)
    throw new Error(`message ${message.queueOffset} is not ${expected}`);
}

const consuming = workerData.queues.map(consume);
parentPort.once("message", async () => {
  ended.abort();
  await Promise.allSettled(consuming);
  await store.close();
  parentPort.close();
});
