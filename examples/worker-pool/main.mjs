// One store, one thread that puts, four that consume: each worker attaches to the store of the first thread, takes the
// queues that are its own, and commits its place by a message to the main thread, which keeps the consumer offsets.
// Run it with: node examples/worker-pool/main.mjs [DIRECTORY]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Store } from "moraine";

const WORKERS = 4;
const QUEUES = 8;
const MESSAGES = 20_000;
const BATCH = 50;

const directory = process.argv[2] ?? mkdtempSync(join(tmpdir(), "moraine-worker-pool-"));
const store = await Store.open(directory);

const token = store.share();
const workers = Array.from({ length: WORKERS }, (_, number) => {
  const queues = Array.from({ length: QUEUES }, (_, queue) => queue).filter((queue) => queue % WORKERS === number);
  return new Worker(new URL("./worker.mjs", import.meta.url), { workerData: { token, queues } });
});

// What each worker has worked off: committed here, because tables belong to the thread that opened the store.
let done = 0;
const finished = new Promise((resolve, reject) => {
  for (const worker of workers) {
    worker.on("error", reject);
    worker.on("message", ({ queueId, nextOffset, count }) => {
      store.groups.commit("workers", "orders", queueId, nextOffset);
      done += count;
      if (done === MESSAGES) resolve();
    });
  }
});

for (let n = 0; n < MESSAGES; n += BATCH) {
  const batch = Array.from({ length: BATCH }, (_, i) => ({
    topic: "orders",
    queueId: (n + i) % QUEUES,
    keys: [`order-${n + i}`],
    body: Buffer.from(`order ${n + i}`),
  }));
  // A busy store says so before it makes anybody wait.
  while (store.pressure > 0.9) await new Promise((resolve) => setTimeout(resolve, 5));
  store.putBatch(batch);
  // The event loop gets its turn: commits of the workers arrive in it.
  await new Promise((resolve) => setImmediate(resolve));
}

await finished;
const committed = Array.from({ length: QUEUES }, (_, queue) => store.groups.offset("workers", "orders", queue));
console.log(`${WORKERS} workers consumed ${done} messages of ${QUEUES} queues; committed: ${committed.join(", ")}`);

// Each closes its own; the last one out closes the directory.
await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve).postMessage("end"))));
await store.close();
if (process.argv[2] === undefined) rmSync(directory, { recursive: true });
