// Our own store as a contestant. Messages as objects, or as columns over bytes that stand there already.
import { setTimeout as sleep } from "node:timers/promises";
import { Store } from "../../dist/index.js";
import { bodyOf, checkCount, KEY_BYTES, keyOf, QUEUES, TOPIC, tagOf } from "./messages.mjs";

/** How long to wait for a store that is busy. */
const BUSY_MILLIS = 1;
/** Samples of what was put that are looked at afterwards. */
const CHECKED = 1000;

export async function open({
  dir,
  durable = false,
  bodyBytes = 1024,
  form = "objects",
  batch = 64,
  keys = 1,
  options,
}) {
  const store = await Store.open(dir, { flush: durable ? "sync" : "async", ...options });
  const body = bodyOf(bodyBytes);
  if (form === "columns") return new ColumnsContestant(store, body, durable, batch);
  return keys === 1 ? new Contestant(store, body, durable) : new KeysContestant(store, body, durable, keys);
}

class Contestant {
  constructor(store, body, durable) {
    this.store = store;
    this.body = body;
    this.durable = durable;
    this.into = Buffer.alloc(1 << 20);
  }

  message(n) {
    return { topic: TOPIC, queueId: n % QUEUES, tags: tagOf(n), keys: [keyOf(n)], body: this.body };
  }

  /** One call for `count` messages; a promise where they have to be safe, or where the store had no room just now. */
  putBatch(from, count) {
    const batch = new Array(count);
    for (let i = 0; i < count; i++) batch[i] = this.message(from + i);
    return this.settled(
      () => this.store.putBatch(batch),
      (stored) => batch.splice(0, stored),
    );
  }

  put(n) {
    return this.settled(() => this.store.put(this.message(n)));
  }

  /** Puts, again and again where the store is busy; the time for that is the store's. */
  settled(put, without = () => {}) {
    try {
      put();
    } catch (error) {
      return this.later(error, put, without);
    }
    return this.durable ? this.store.flush() : undefined;
  }

  async later(error, put, without) {
    if (error.code !== "STORE_BUSY") throw error;
    without(error.details?.stored ?? 0);
    await sleep(BUSY_MILLIS);
    return this.settled(put, without);
  }

  append(n) {
    return this.store.append(this.message(n));
  }

  /** Reads on at the front of a queue; how many messages there were. The records are copied into a buffer of JavaScript's. */
  readRaw(queue, offset, max) {
    return this.store.get(TOPIC, queue, offset, { max, into: this.into }).nextOffset - offset;
  }

  /** The same as messages whose tags and body are touched; bytes of all bodies. */
  readMessages(queue, offset, max) {
    const { messages } = this.store.get(TOPIC, queue, offset, { max });
    for (const { tags, body } of messages) touch(tags, body);
    return messages.length;
  }

  readOne(n) {
    const { messages } = this.store.get(TOPIC, n % QUEUES, Math.floor(n / QUEUES), { max: 1, into: this.into });
    if (messages.length !== 1) throw new Error(`message ${n} was not found`);
  }

  lookup(n) {
    // As many as RocketMQ is asked for.
    const found = this.store.lookup(TOPIC, keyOf(n), { max: 32 });
    if (found.length !== 1 || found[0].keys[0] !== keyOf(n)) throw new Error(`key ${n} found ${found.length} messages`);
  }

  lookupMany(numbers) {
    const keys = numbers.map(keyOf);
    const found = this.store.lookupAll(TOPIC, keys, { max: 32 });
    keys.forEach((key, i) => {
      if (found[i].length !== 1 || found[i][0].keys[0] !== key)
        throw new Error(`${key} found ${found[i].length} messages`);
    });
  }

  byTime(queue, timestamp) {
    return this.store.offsetByTime(TOPIC, queue, timestamp, "lower");
  }

  timesOf(queue) {
    const { max } = this.store.offsets(TOPIC, queue);
    return [this.store.timeOf(TOPIC, queue, 0), this.store.timeOf(TOPIC, queue, max - 1)];
  }

  lengths() {
    return Array.from({ length: QUEUES }, (_, queue) => this.store.offsets(TOPIC, queue).max);
  }

  flush() {
    return this.store.flush();
  }

  /** Every queue is dense, and samples of the messages are what was put. */
  verify(count) {
    let found = 0;
    for (let queue = 0; queue < QUEUES; queue++) {
      const { min, max } = this.store.offsets(TOPIC, queue);
      if (min !== 0) throw new Error(`queue ${queue} starts at ${min}`);
      found += max;
      const step = Math.max(1, Math.floor(max / (CHECKED / QUEUES)));
      for (let offset = 0; offset < max; offset += step) {
        const [read] = this.store.get(TOPIC, queue, offset, { max: 1 }).messages;
        if (
          read?.queueOffset !== offset ||
          !this.body.equals(read.body) ||
          read.keys[0] !== this.keyAt(queue, offset, read)
        )
          throw new Error(`queue ${queue} offset ${offset} is wrong`);
      }
    }
    checkCount(found, count);
  }

  /** The key that must be there; where producers race for a queue, any that belongs to it. */
  keyAt(queue, offset, read) {
    if (!this.unordered) return keyOf(offset * QUEUES + queue);
    const n = Number(read.keys[0]?.slice(-8));
    return n % QUEUES === queue ? keyOf(n) : undefined;
  }

  close() {
    return this.store.close();
  }
}

/** Each message has several keys, or none. */
class KeysContestant extends Contestant {
  constructor(store, body, durable, keys) {
    super(store, body, durable);
    this.keys = keys;
  }

  message(n) {
    const keys = Array.from({ length: this.keys }, (_, i) => `${keyOf(n)}-${i}`);
    return { topic: TOPIC, queueId: n % QUEUES, tags: tagOf(n), keys, body: this.body };
  }

  keyAt(queue, offset) {
    return this.keys === 0 ? undefined : `${keyOf(offset * QUEUES + queue)}-0`;
  }
}

/** Messages as they stood in a buffer of the network: bodies and property strings, in which only the keys change. */
class ColumnsContestant extends Contestant {
  constructor(store, body, durable, batch) {
    super(store, body, durable);
    this.batch = batch;
    const parts = Array.from({ length: batch }, (_, n) =>
      Buffer.from(`TAGS\u0001${tagOf(0)}\u0002KEYS\u0001${keyOf(n)}\u0002`),
    );
    const size = body.length + parts[0].length;
    this.bytes = Buffer.concat(parts.flatMap((properties) => [body, properties]));
    this.digitsAt = parts.map((_, n) => this.bytes.indexOf(keyOf(n), n * size) + KEY_BYTES - 8);
    this.columns = {
      topics: [TOPIC],
      bytes: this.bytes,
      bodies: Uint32Array.from({ length: 2 * batch }, (_, n) => (n >> 1) * size + (n & 1) * body.length),
      properties: Uint32Array.from(
        { length: 2 * batch },
        (_, n) => (n >> 1) * size + body.length + (n & 1) * parts[0].length,
      ),
      queueIds: new Int32Array(batch),
    };
  }

  putBatch(from, count) {
    if (count !== this.batch) throw new Error(`a batch has ${this.batch} messages, not ${count}`);
    for (let i = 0; i < count; i++) {
      writeDigits(this.bytes, this.digitsAt[i], from + i);
      this.columns.queueIds[i] = (from + i) % QUEUES;
    }
    return this.settled(() => this.store.putColumns(this.columns));
  }
}

/** Four digits each, as they stand in memory. */
const DIGITS = Uint32Array.from({ length: 10_000 }, (_, n) => Buffer.from(String(n).padStart(4, "0")).readUInt32LE());

function writeDigits(bytes, at, n) {
  bytes.writeUInt32LE(DIGITS[Math.floor(n / 10_000)], at);
  bytes.writeUInt32LE(DIGITS[n % 10_000], at + 4);
}

/** What a consumer that looks at messages does at least: a tag compared, and each cache line of the body read. */
export function touch(tags, body) {
  let sum = tags?.length ?? 0;
  for (let at = 0; at < body.length; at += 64) sum += body[at];
  touched += sum;
}
export let touched = 0;
