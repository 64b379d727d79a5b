/** Bodies that say who has put them where, so that whoever reads one can tell whether it is the right one. */

/** Numbers from a seed, the same ones each time: `(limit) => 0 … limit - 1`. */
export function dice(seed) {
  let state = (seed * 0x9e3779b1) >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

export const TOPICS = ["orders", "payments"];
export const QUEUES = 3;

/** The `number`-th message that `writer` puts into a queue. */
export function messageOf(writer, topic, queueId, number) {
  const head = `${writer}/${topic}/${queueId}/${number}/`;
  return { topic, queueId, keys: [`${writer}-${number}`], body: Buffer.from(head + paddingOf(head)) };
}

function paddingOf(head) {
  let sum = 0;
  for (const char of head) sum = (sum * 31 + char.charCodeAt(0)) >>> 0;
  return String.fromCharCode(97 + (sum % 26)).repeat(sum % 3000);
}

/** Who has put a message, and as which one; throws where it is not what was put there. */
export function readBack({ topic, queueId, body }) {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  const [writer, ofTopic, ofQueue, number] = text.split("/", 4);
  const head = `${writer}/${ofTopic}/${ofQueue}/${number}/`;
  if (ofTopic !== topic || Number(ofQueue) !== queueId || text !== head + paddingOf(head))
    throw new Error(`in ${topic} ${queueId} stands what was not put there: ${text.slice(0, 60)}`);
  return { writer, number: Number(number) };
}

/** Throws unless the messages of each writer follow each other without a gap: `last` says of each what came before. */
export function follow(message, last) {
  const { writer, number } = readBack(message);
  const before = last.get(writer);
  if (before !== undefined && number !== before + 1)
    throw new Error(`in ${message.topic} ${message.queueId} ${writer}'s message ${number} comes behind ${before}`);
  last.set(writer, number);
}
