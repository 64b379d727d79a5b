// One run in a process of its own: `write DIR GIGABYTES` makes a store and kills itself in the middle of putting;
// `open DIR` opens it again, says how long that took, puts something, and kills itself; `rebuild DIR` opens and closes it.
import { Store } from "moraine";

const [, , mode, dir, gigabytes] = process.argv;
const BATCH = 64;
const QUEUES = 8;

function batchFrom(n, body) {
  return Array.from({ length: BATCH }, (_, i) => ({
    topic: "bench",
    queueId: (n + i) % QUEUES,
    tags: "tag",
    keys: [`key-${n + i}`],
    body,
  }));
}

async function write() {
  const store = await Store.open(dir);
  const body = crypto.getRandomValues(new Uint8Array(1024));
  const bytes = Number(gigabytes) * 1e9;
  for (let n = 0; store.log.endOffset < bytes; ) {
    try {
      store.putBatch(batchFrom(n, body));
      n += BATCH;
      if (n % (BATCH * 100) === 0) await new Promise((resolve) => setImmediate(resolve));
    } catch (error) {
      if (error.code !== "STORE_BUSY") throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  process.kill(process.pid, "SIGKILL");
}

async function open() {
  const began = performance.now();
  const store = await Store.open(dir, { create: false });
  const openMillis = performance.now() - began;
  const { endOffset } = store.log;
  store.putBatch(batchFrom(0, new Uint8Array(10)));
  process.stdout.write(`${JSON.stringify({ openMillis, endOffset, residentBytes: process.memoryUsage.rss() })}\n`, () =>
    process.kill(process.pid, "SIGKILL"),
  );
}

async function rebuild() {
  const began = performance.now();
  const store = await Store.open(dir, { create: false });
  const openMillis = performance.now() - began;
  const { endOffset } = store.log;
  await store.close();
  const closedMillis = performance.now() - began;
  console.log(JSON.stringify({ openMillis, closedMillis, endOffset, residentBytes: process.memoryUsage.rss() }));
}

await { write, open, rebuild }[mode]();
