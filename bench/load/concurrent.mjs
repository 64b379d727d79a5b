// One run in a process of its own. `consume DIR MESSAGES`: this thread puts, another consumes. `wake DIR COUNT`: how soon
// another thread hears of a put. `write DIR GIGABYTES`, then `cold DIR`: puts at fixed times, alone and beside a consumer
// on the same event loop that reads everything from the disk.
import { once } from "node:events";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Store } from "moraine";

const [, , mode, dir, amount] = process.argv;
const BATCH = 64;
const QUEUES = 8;
const BODY = crypto.getRandomValues(new Uint8Array(1024));
/** Puts a second, and for how long they are measured alone. */
const RATE = 1000;
const ALONE_MILLIS = 10_000;

function batchFrom(n) {
  return Array.from({ length: BATCH }, (_, i) => ({
    topic: "bench",
    queueId: (n / BATCH) % QUEUES,
    tags: "TagA",
    keys: [`key-${n + i}`],
    body: BODY,
  }));
}

async function putAll(store, enough) {
  for (let n = 0; !enough(n); ) {
    try {
      store.putBatch(batchFrom(n));
      n += BATCH;
      if (n % (BATCH * 64) === 0) await turn();
    } catch (error) {
      if (error.code !== "STORE_BUSY") throw error;
      await sleep(5);
    }
  }
}

function worker(store, job) {
  return new Worker(new URL("./concurrent-worker.mjs", import.meta.url), {
    workerData: { token: store.share(), ...job },
  });
}

async function consume() {
  const messages = Math.floor(Number(amount) / BATCH) * BATCH;
  const store = await Store.open(dir);
  const consumer = worker(store, { job: "consume", queues: QUEUES, messages });
  await once(consumer, "message"); // it is ready
  const began = performance.now();
  const consumed = once(consumer, "message");
  await putAll(store, (n) => n >= messages);
  await consumed;
  const seconds = (performance.now() - began) / 1000;
  await store.close();
  return { consumedPerSecond: messages / seconds };
}

async function wake() {
  const store = await Store.open(dir);
  const count = Number(amount);
  const told = new BigInt64Array(new SharedArrayBuffer(8 * count));
  const waiter = worker(store, { job: "wake", count, told });
  const all = once(waiter, "message");
  const [began, ended] = [new BigInt64Array(count), new BigInt64Array(count)];
  await once(waiter, "online");
  await sleep(500);
  for (let n = 0; n < count; n++) {
    await sleep(1);
    began[n] = process.hrtime.bigint();
    store.put({ topic: "bench", queueId: 0, body: BODY });
    ended[n] = process.hrtime.bigint();
  }
  await all;
  await store.close();
  const micros = (since) => told.map((at, n) => at - since[n]).sort();
  const [fromBegin, fromEnd] = [micros(began), micros(ended)];
  const at = (sorted, share) => Number(sorted[Math.floor((count - 1) * share)]) / 1000;
  return { medianMicros: at(fromEnd, 0.5), p99Micros: at(fromEnd, 0.99), medianFromBegin: at(fromBegin, 0.5) };
}

async function write() {
  const store = await Store.open(dir);
  await putAll(store, () => store.log.endOffset >= Number(amount) * 1e9);
  await store.close();
  return {};
}

/** Puts at fixed times until `ended`; how late each of them was over, in milliseconds. */
async function putOnTime(store, ended) {
  const late = [];
  const began = performance.now();
  for (let n = 0; !ended(); ) {
    while (performance.now() >= began + (n * 1000) / RATE) {
      store.put({ topic: "other", queueId: 0, body: BODY });
      late.push(performance.now() - (began + (n * 1000) / RATE));
      n += 1;
    }
    await turn();
  }
  late.sort((a, b) => a - b);
  const at = (share) => late[Math.floor((late.length - 1) * share)];
  return { p50: at(0.5), p99: at(0.99), most: at(1) };
}

async function cold() {
  const store = await Store.open(dir);
  const end = performance.now() + ALONE_MILLIS;
  const alone = await putOnTime(store, () => performance.now() >= end);
  const tally = { bytes: 0, batches: 0, coldBatches: 0, ended: false };
  const began = performance.now();
  const reading = (async () => {
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      for (let offset = 0; ; ) {
        const {
          messages,
          nextOffset,
          cold: fromDisk,
        } = await store.fetch("bench", queueId, offset, { max: 128, maxBytes: 1 << 20 });
        if (messages.length === 0) break;
        for (const { body } of messages) tally.bytes += body.length;
        tally.batches += 1;
        tally.coldBatches += fromDisk ? 1 : 0;
        offset = nextOffset;
      }
    }
    tally.ended = true;
  })();
  const beside = await putOnTime(store, () => tally.ended);
  await reading;
  const seconds = (performance.now() - began) / 1000;
  await store.close();
  return { alone, beside, ...tally, seconds };
}

console.log(JSON.stringify(await { consume, wake, write, cold }[mode]()));
