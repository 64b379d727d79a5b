// One store with few or many queues. `manyQueuesPut` makes, fills and closes it, `manyQueuesOpen` opens what was left.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Store } from "../../dist/index.js";
import { measured, memory } from "./measure.mjs";
import { bodyOf, checkCount, keyOf, TAG } from "./messages.mjs";

const BATCH = 64;
const QUEUES_A_TOPIC = 10;
/** Queues that there are before memory is looked at. */
const FEW = 8;

class Queues {
  constructor(store, count) {
    this.store = store;
    this.count = count;
    this.topics = Array.from({ length: Math.ceil(count / QUEUES_A_TOPIC) }, (_, n) => `BenchTopic-${n}`);
    this.body = bodyOf(1024);
    this.most = { privateBytes: 0, descriptors: 0, mappings: 0 };
  }

  /** Neighbours belong to different topics. */
  place(n) {
    const queue = n % this.count;
    return [this.topics[queue % this.topics.length], Math.floor(queue / this.topics.length)];
  }

  async put(from, count, among = this.count) {
    const batch = new Array(BATCH);
    for (let n = from, calls = 0; n < from + count; n += BATCH, calls++) {
      batch.length = Math.min(BATCH, from + count - n);
      for (let i = 0; i < batch.length; i++) {
        const [topic, queueId] = this.place((n + i) % among);
        batch[i] = { topic, queueId, tags: TAG, keys: [keyOf(n + i)], body: this.body };
      }
      const waiting = putWhole(this.store, batch);
      if (waiting) await waiting;
      if (calls % 500 === 0) this.look();
    }
  }

  /** Until every queue has its files. */
  async settle() {
    while (this.store.stats().waitingEntries > 0) await sleep(20);
    this.look();
  }

  look() {
    const seen = {
      privateBytes: memory().privateBytes,
      descriptors: readdirSync("/proc/self/fd").length,
      mappings: readFileSync("/proc/self/maps", "utf8").split("\n").length - 1,
    };
    for (const name of Object.keys(seen)) this.most[name] = Math.max(this.most[name], seen[name]);
    return seen;
  }

  verify(count) {
    let found = 0;
    for (let n = 0; n < this.count; n++) found += this.store.offsets(...this.place(n)).max;
    checkCount(found, count);
    for (let n = 0; n < this.count; n += Math.ceil(this.count / 500)) {
      const [topic, queueId] = this.place(n);
      const { max } = this.store.offsets(topic, queueId);
      const [read] = this.store.get(topic, queueId, max - 1, { max: 1 }).messages;
      if (read?.queueOffset !== max - 1 || !this.body.equals(read.body)) throw new Error(`queue ${n} is wrong`);
    }
  }
}

/** All of a batch, with pauses where the store is busy. */
function putWhole(store, batch) {
  try {
    store.putBatch(batch);
    return undefined;
  } catch (error) {
    if (error.code !== "STORE_BUSY") throw error;
    return sleep(1).then(() => putWhole(store, batch.slice(error.details?.stored ?? 0)));
  }
}

const warmUpOf = (queues) => Math.ceil(Math.max(queues, 100_000) / BATCH) * BATCH;

export async function manyQueuesPut({ dir, messages, queues: count }) {
  const store = await Store.open(dir);
  const queues = new Queues(store, count);
  const warmUp = warmUpOf(count);
  await queues.put(0, warmUp, Math.min(count, FEW));
  await queues.settle();
  const few = queues.look();
  const start = performance.now();
  await queues.put(0, warmUp);
  await queues.settle();
  const makingSeconds = (performance.now() - start) / 1000;
  const figures = await measured(messages, () => queues.put(warmUp, messages));
  await queues.settle();
  queues.verify(2 * warmUp + messages);
  const closing = performance.now();
  await store.close();
  return {
    ...figures,
    ...queues.most,
    extraBytes: queues.most.privateBytes - few.privateBytes,
    makingSeconds,
    closeMillis: performance.now() - closing,
    threads: 1,
  };
}

export async function manyQueuesOpen({ dir, messages, queues: count }) {
  const start = performance.now();
  const store = await Store.open(dir);
  const openMillis = performance.now() - start;
  if (!store.health().clean) throw new Error("the store was not closed");
  new Queues(store, count).verify(2 * warmUpOf(count) + messages);
  await store.close();
  return { openMillis };
}
