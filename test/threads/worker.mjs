/**
 * A thread that attaches to a store and does what its dice say until it is told to leave, or is ended.
 *
 * workerData: the token, the seed, its name. Says at the end what it has put, and how many calls it made.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Store } from "moraine";
import { dice, follow, messageOf, QUEUES, readBack, TOPICS } from "./bodies.mjs";

const { token, seed, name } = workerData;
const roll = dice(seed);
const put = new Map();
let store = await Store.attach(token);
let calls = 0;
let leaving = false;
parentPort.once("message", () => (leaving = true));

/** Refusals that a store under such a load may give. */
const EXPECTED = new Set(["STORE_BUSY", "ABORT_ERR"]);

function somewhere() {
  return [TOPICS[roll(TOPICS.length)], roll(QUEUES)];
}

function next(topic, queueId) {
  const key = `${topic}/${queueId}`;
  const number = put.get(key) ?? 0;
  return { message: messageOf(name, topic, queueId, number), stored: () => put.set(key, number + 1) };
}

/** What a reader gets belongs there, and of each writer one follows the other. */
function check({ messages }) {
  const last = new Map();
  for (const message of messages) follow(message, last);
}

const DEEDS = [
  () => {
    const { message, stored } = next(...somewhere());
    store.put(message);
    stored();
  },
  async () => {
    const { message, stored } = next(...somewhere());
    await store.append(message, { durability: roll(2) === 0 ? "disk" : "memory" });
    stored();
  },
  () => {
    for (let n = roll(50); n > 0; n--) {
      const { message, stored } = next(...somewhere());
      store.put(message);
      stored();
    }
  },
  () => {
    const [topic, queueId] = somewhere();
    const { min, max } = store.offsets(topic, queueId);
    check(store.get(topic, queueId, min + roll(max - min + 1), { max: 1 + roll(20) }));
  },
  async () => {
    const [topic, queueId] = somewhere();
    const { min, max } = store.offsets(topic, queueId);
    const signal = roll(4) === 0 ? AbortSignal.timeout(roll(3)) : undefined;
    check(await store.fetch(topic, queueId, min + roll(max - min + 1), { max: 1 + roll(20), signal }));
  },
  async () => {
    const { minOffset, endOffset } = store.log;
    const message = await store.fetchAt(minOffset + roll(Math.max(1, endOffset - minOffset)));
    if (message) readBack(message);
  },
  async () => {
    const [topic, queueId] = somewhere();
    await store.arrival(topic, queueId, store.offsets(topic, queueId).max, { timeoutMs: 1 + roll(20) });
  },
  async () => {
    const { endOffset } = store.log;
    const durable = await store.flush();
    if (durable < endOffset) throw new Error(`flushed up to ${durable}, asked for ${endOffset}`);
  },
  () => {
    for (const message of store.lookup(TOPICS[roll(TOPICS.length)], `${name}-${roll(1000)}`, { max: 4 }))
      readBack(message);
  },
  async () => {
    const release = store.retain(store.log.minOffset);
    await new Promise((resolve) => setTimeout(resolve, roll(10)));
    release();
  },
  () => void store.stats(),
  async () => {
    if (roll(20) > 0) return;
    const again = store.share();
    const other = await Store.attach(again);
    await store.close();
    store = other;
  },
];

while (!leaving) {
  calls += 1;
  try {
    await DEEDS[roll(DEEDS.length)]();
  } catch (error) {
    if (!EXPECTED.has(error.code) && error.name !== "TimeoutError" && error.name !== "AbortError") throw error;
  }
  // So that the thread hears what it is told.
  if (roll(8) === 0) await new Promise((resolve) => setImmediate(resolve));
}
await store.close();
parentPort.postMessage({ name, calls, put: [...put] });
parentPort.close();
