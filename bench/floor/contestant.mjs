// The floor in the place of a store: it does the physical work of each workload, and keeps nothing that one could ask for.
import { createRequire } from "node:module";
import { join } from "node:path";
import zlib from "node:zlib";
import { bodyOf, checkCount, KEY_BYTES, keyOf, QUEUES } from "../load/messages.mjs";

const { FloorLog, crc32, crcWay } = createRequire(import.meta.url)("./build/Release/floor.node");

export { crc32, crcWay };

const probe = bodyOf(4099);
// Older versions of Node.js have none to compare with.
if (zlib.crc32 !== undefined && zlib.crc32(probe) !== crc32(probe))
  throw new Error("the floor computes another CRC than zlib");

/** What a record has beside its body: header, topic, tag and key, as in the format of RocketMQ. */
const OVERHEAD_BYTES = 192;
/** One file of the log. */
const MOST_BYTES = 2 ** 30;

export function open({ dir, durable = false, bodyBytes = 1024, messages, by, firstLap = false }) {
  return new Floor(join(dir, "floor"), durable, bodyBytes, messages, by, firstLap);
}

class Floor {
  constructor(path, durable, bodyBytes, messages, by, fresh) {
    this.body = bodyOf(bodyBytes);
    this.recordBytes = bodyBytes + OVERHEAD_BYTES;
    this.records = Math.max(64, Math.min(messages, Math.floor(MOST_BYTES / this.recordBytes)));
    this.log = new FloorLog(path, this.records, this.recordBytes, bodyBytes, fresh);
    this.durable = durable;
    this.into = Buffer.alloc(256 * this.recordBytes);
    this.by = by;
    this.put$ = 0;
    /** Its index is in memory: every process fills it. */
    this.volatile = true;
  }

  putBatch(_, count) {
    this.put$ += count;
    if (this.durable) this.log.writeDurably(this.body, count);
    else this.log.copy(this.body, count);
  }

  put(n) {
    this.putBatch(n, 1);
  }

  readRaw(queue, offset, max) {
    const share = Math.floor(this.records / QUEUES);
    const at = queue * share + (offset % share);
    const count = Math.min(max, this.records - at);
    this.log.read(at, count, this.into, false);
    return count;
  }

  readMessages(queue, offset, max) {
    const count = this.readRaw(queue, offset, max);
    for (let n = 1; n <= count; n++) touchBody(this.into, n * this.recordBytes - this.body.length, this.body.length);
    return count;
  }

  readOne(n) {
    this.log.read(n % this.records, 1, this.into, false);
  }

  lookup(n) {
    if (!this.log.find(keyOf(n), this.into)) throw new Error(`key ${n} was not found`);
  }

  lookupMany(numbers) {
    this.keys ??= Buffer.alloc(numbers.length * KEY_BYTES);
    numbers.forEach((n, i) => {
      this.keys.latin1Write(keyOf(n), i * KEY_BYTES, KEY_BYTES);
    });
    if (this.log.findMany(this.keys, this.into) !== numbers.length) throw new Error("a key was not found");
  }

  /** As many records as were asked for, each with its CRC; and an index over them, where one is needed. */
  verify(count) {
    checkCount(this.put$, count);
    for (let at = 0; at < Math.min(count, this.records); at += 997) this.log.read(at, 1, this.into, true);
    if (this.by !== "key" || this.indexed) return;
    if (count > this.records) throw new Error(`the floor's log has room for ${this.records} messages, not ${count}`);
    const keys = Buffer.alloc(count * KEY_BYTES);
    for (let n = 0; n < count; n++) keys.latin1Write(keyOf(n), n * KEY_BYTES, KEY_BYTES);
    this.log.index(5_000_000, keys);
    this.indexed = true;
  }

  close() {
    this.log.close();
  }
}

function touchBody(bytes, at, length) {
  let sum = 0;
  for (let n = at; n < at + length; n += 64) sum += bytes[n];
  return sum;
}
