// What is put: the same messages for every contestant, known by their number.

export const TOPIC = "BenchTopic";
export const QUEUES = 8;
export const TAG = "TagA";
/** Another tag, for what a filter looks for: one of a hundred messages of each queue has it. */
export const RARE_TAG = "TagB";
export const KEY_BYTES = 32;

const KEY_START = "7F0000010BAD00000000000";
/** Keys differ in the last eight digits, so there are this many. */
export const MOST_MESSAGES = 100_000_000;

/** 32 characters, as RocketMQ's UNIQ_KEY. */
export const keyOf = (n) => `${KEY_START}${MOST_MESSAGES + n}`;

export const tagOf = (n) => (Math.floor(n / QUEUES) % 100 === 99 ? RARE_TAG : TAG);

/** Bytes that nothing can make smaller, and that another process can make again. */
export function bodyOf(bytes) {
  const body = Buffer.alloc(bytes);
  const next = xorshift(0x2545f491);
  for (let at = 0; at < bytes; at++) body[at] = next() >>> 24;
  return body;
}

/** Numbers from 0 to below `limit`, the same ones in every run. */
export function randomNumbers(limit, seed = 0x9e3779b1) {
  const next = xorshift(seed);
  return () => next() % limit;
}

/** Marsaglia's generator: numbers of 32 bits. */
function xorshift(state) {
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Throws where something else was found than was put. */
export function checkCount(found, count) {
  if (found !== count) throw new Error(`${found} messages instead of ${count}`);
}
