// A message as a key-value store keeps it: tag and key in front of the body, in one value under its place in its queue.
import { bodyOf, KEY_BYTES, keyOf, QUEUES, TAG, tagOf } from "../load/messages.mjs";

export const HEADER_BYTES = TAG.length + KEY_BYTES;
/** Samples of what was put that are looked at afterwards. */
export const CHECKED = 1000;
/** Queue offsets below this, so that queue and offset make one number. */
const QUEUE_SPAN = 2 ** 28;

export const placeOf = (n) => placeIn(n % QUEUES, Math.floor(n / QUEUES));
/** Ordered as the messages of a queue are. */
export const placeIn = (queue, offset) => queue * QUEUE_SPAN + offset;

/** The same as bytes of which the order is that of the numbers. */
export function placeBytes(place, bytes = Buffer.allocUnsafe(4)) {
  bytes.writeUInt32BE(place, 0);
  return bytes;
}

/** What keys of bytes are made by: of a message's key, or of its place in its queue. */
export const keyBytesBy = (by) =>
  by === "key" ? (n) => Buffer.from(keyOf(n), "latin1") : (n) => placeBytes(placeOf(n));

/** Makes values of messages, and holds values against messages. */
export class Records {
  constructor(bodyBytes) {
    this.body = bodyOf(bodyBytes);
    this.bytes = HEADER_BYTES + bodyBytes;
  }

  /** Into `record`, which has `bytes` bytes. */
  write(n, record = Buffer.allocUnsafe(this.bytes)) {
    record.latin1Write(tagOf(n), 0, TAG.length);
    record.latin1Write(keyOf(n), TAG.length, KEY_BYTES);
    record.set(this.body, HEADER_BYTES);
    return record;
  }

  /** Throws where `record`, asked for as message `n`, is none. */
  checkThere(n, record) {
    if (record?.length !== this.bytes) throw new Error(`message ${n} is not there`);
  }

  /** Throws where `record` is not message `n`. */
  check(n, record) {
    const found = Buffer.from(record ?? []);
    if (!found.equals(this.write(n))) throw new Error(`message ${n} is wrong`);
  }

  /** Numbers of the messages to be looked at of `count`. */
  *samples(count) {
    const step = Math.max(1, Math.floor(count / CHECKED));
    for (let n = 0; n < count; n += step) yield n;
  }
}

/** What a consumer that looks at a value does at least: its tag as text, each cache line of its body. */
export function touchRecord(record) {
  let sum = record.latin1Slice(0, TAG.length).length;
  for (let at = HEADER_BYTES; at < record.length; at += 64) sum += record[at];
  return sum;
}
