// One store with few or many queues, in a process of its own: `node many-queues.mjs write|open DIR TOPICS QUEUES MESSAGES`
// prints one line of JSON. `write` makes, fills and closes it, `open` opens what `write` has left.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Store } from "moraine";

const BATCH = 64;
const [mode, dir, ...numbers] = process.argv.slice(2);
const [topicCount, queuesEach, messages] = numbers.map(Number);
const queues = topicCount * queuesEach;
const topics = Array.from({ length: topicCount }, (_, n) => `BenchTopic-${n}`);
/** The same in both processes, so that what one has put the other can check. */
const body = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * i * 31 + i * 7) & 0xff));

/** Message number `n`: the queues take turns, and neighbours belong to different topics. */
function message(n) {
  const queue = n % queues;
  return {
    topic: topics[queue % topicCount],
    queueId: Math.floor(queue / topicCount),
    tags: "TagA",
    keys: [`7F0000010BAD00000000000${100_000_000 + n}`],
    body,
  };
}

/** Memory of this process alone: without pages of files, which the system takes back when it needs them. */
function privateBytes() {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return Number(found?.[1]) * 1024;
}

let peakBytes = 0;
let descriptors = 0;
let mappings = 0;
function look() {
  peakBytes = Math.max(peakBytes, privateBytes());
  descriptors = Math.max(descriptors, readdirSync("/proc/self/fd").length);
  mappings = Math.max(mappings, readFileSync("/proc/self/maps", "utf8").split("\n").length - 1);
}

function put(store, from, count) {
  const batch = new Array(BATCH);
  for (let n = from, calls = 0; n < from + count; n += BATCH, calls++) {
    batch.length = Math.min(BATCH, from + count - n);
    for (let i = 0; i < batch.length; i++) batch[i] = message(n + i);
    store.putBatch(batch);
    if (calls % 500 === 0) look();
  }
}

async function timed(work) {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** Until every queue has its files. */
async function settled(store) {
  while (store.stats().waitingEntries > 0) await sleep(50);
}

function check(store, count) {
  let found = 0;
  for (let n = 0; n < queues; n++) found += store.offsets(topics[n % topicCount], Math.floor(n / topicCount)).max;
  if (found !== count) throw new Error(`${found} messages instead of ${count}`);
  for (let n = 0; n < count; n += Math.ceil(count / 500)) {
    const { topic, queueId } = message(n);
    const offset = Math.floor(n / queues);
    const [read] = store.get(topic, queueId, offset, { max: 1 }).messages;
    if (read?.queueOffset !== offset || !body.equals(read.body)) throw new Error(`message ${n} is wrong`);
  }
}

async function write() {
  const warmUp = Math.max(queues, 100_000);
  const store = await Store.open(dir);
  const makingSeconds = await timed(async () => {
    put(store, 0, warmUp);
    await settled(store);
  });
  const seconds = await timed(() => put(store, warmUp, messages));
  look();
  check(store, warmUp + messages);
  const closeSeconds = await timed(() => store.close());
  return { queues, makingSeconds, messagesPerSecond: messages / seconds, closeSeconds };
}

async function open() {
  let store;
  const openSeconds = await timed(async () => {
    store = await Store.open(dir);
  });
  if (!store.health().clean) throw new Error("the store was not closed");
  look();
  check(store, Math.max(queues, 100_000) + messages);
  const closeSeconds = await timed(() => store.close());
  return { queues, openSeconds, closeAgainSeconds: closeSeconds };
}

const figures = mode === "open" ? await open() : await write();
console.log(JSON.stringify({ ...figures, privateBytes: peakBytes, descriptors, mappings }));
