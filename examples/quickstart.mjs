// Opens a store that a broker of Apache RocketMQ 5 wrote, appends 100,000 messages of 1 KiB, makes them durable,
// and reads them back by offset, by key and by time, checking every body. Run it with: npm run quickstart
import { execFileSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Store } from "moraine";

const MESSAGES = 100_000;
const BODY_BYTES = 1024;
const BATCH = 64;
const TOPIC = "quickstart";
const QUEUES = 4;
const TAGS = ["created", "paid", "shipped"];
/** Messages that are looked up by key, and again by time. */
const SAMPLE = 1_000;

const number = (value) => Math.round(value).toLocaleString("en-US");
const mebibytes = (bytes) => `${number(bytes / 2 ** 20)} MiB`;
const rate = (count, ms) => `${number((count / ms) * 1000)}/s`;
const line = (name, text) => console.log(`  ${name.padEnd(12)}${text}`);

/** Adds up the time that is spent in calls of the store, without making and checking messages. */
function stopwatch() {
  const watch = {
    ms: 0,
    time(call) {
      const begin = performance.now();
      const result = call();
      watch.ms += performance.now() - begin;
      return result;
    },
  };
  return watch;
}

/** A fresh copy of a store of RocketMQ's, modification times kept: RocketMQ expires files by them. */
function copyOfRocketmqStore() {
  const folder = fileURLToPath(new URL("../target/quickstart", import.meta.url));
  const archive = fileURLToPath(new URL("../test/fixtures/rmq5-broker/store.tar.gz", import.meta.url));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["-xzpf", archive, "-C", folder]);
  return join(folder, "store");
}

/** Noise, so that nothing profits from repetition; every body is a piece of it that begins with its number. */
const noise = randomFillSync(Buffer.alloc(1 << 20));

function bodyOf(n) {
  const at = (n * 257) % (noise.length - BODY_BYTES);
  const body = Buffer.from(noise.subarray(at, at + BODY_BYTES));
  body.writeUInt32BE(n);
  return body;
}

const messageOf = (n) => ({
  topic: TOPIC,
  queueId: n % QUEUES,
  tags: TAGS[n % TAGS.length],
  keys: [`order-${n}`],
  body: bodyOf(n),
});

function check(message, n) {
  if (message === undefined) throw new Error(`message ${n} was not found`);
  if (bodyOf(n).compare(message.body) !== 0) throw new Error(`message ${n} came back with another body`);
}

function printContent(store) {
  for (const topic of store.topics().sort()) {
    const ranges = store.queues(topic).map((queueId) => store.offsets(topic, queueId));
    const messages = ranges.reduce((sum, { min, max }) => sum + max - min, 0);
    console.log(
      `  ${topic.padEnd(32)}${number(messages).padStart(6)} in ${ranges.length} queue${ranges.length > 1 ? "s" : ""}`,
    );
  }
  const [message] = store.get("ProbeTopic", 0, 0, { max: 1 }).messages;
  const stored = new Date(message.storeTimestamp).toISOString();
  console.log(
    `  The first in ProbeTopic/0: "${new TextDecoder().decode(message.body)}", tags ${message.tags}, stored ${stored}`,
  );
}

/** Puts all messages, `BATCH` a call; returns the store time of each, by which it can be found again. */
function append(store) {
  const watch = stopwatch();
  const storedAt = new Float64Array(MESSAGES);
  for (let first = 0; first < MESSAGES; first += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, MESSAGES - first) }, (_, i) => messageOf(first + i));
    let n = first;
    for (const { storeTimestamp } of watch.time(() => store.putBatch(batch))) storedAt[n++] = storeTimestamp;
  }
  const bytes = MESSAGES * BODY_BYTES;
  line("put", `${rate(MESSAGES, watch.ms)}, ${mebibytes(bytes / (watch.ms / 1000))}/s in batches of ${BATCH}`);
  return storedAt;
}

async function flush(store) {
  const begin = performance.now();
  const durable = await store.flush();
  line("flush", `durable up to ${number(durable)} after ${number(performance.now() - begin)} ms`);
}

function readByOffset(store) {
  const watch = stopwatch();
  let read = 0;
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    let next = 0;
    for (;;) {
      const found = watch.time(() => store.get(TOPIC, queueId, next, { max: BATCH, maxBytes: 1 << 20 }));
      if (found.status !== "FOUND") break;
      for (const message of found.messages) check(message, message.queueOffset * QUEUES + queueId);
      read += found.messages.length;
      next = found.nextOffset;
    }
  }
  if (read !== MESSAGES) throw new Error(`${read} messages were read, ${MESSAGES} were put`);
  line("by offset", `${rate(read, watch.ms)}; all ${number(read)} bodies are as they were put`);
}

function readByKey(store) {
  const watch = stopwatch();
  for (let i = 0; i < SAMPLE; i++) {
    const n = Math.floor((i * MESSAGES) / SAMPLE);
    const [message, ...others] = watch.time(() => [...store.lookup(TOPIC, `order-${n}`)]);
    check(message, n);
    if (others.length > 0) throw new Error(`key order-${n} found ${others.length + 1} messages`);
  }
  line("by key", `${rate(SAMPLE, watch.ms)}; ${number(SAMPLE)} keys, each found exactly its message`);
}

function readByTime(store, storedAt) {
  const watch = stopwatch();
  for (let i = 0; i < SAMPLE; i++) {
    const n = Math.floor((i * MESSAGES) / SAMPLE);
    const queueId = n % QUEUES;
    const first = watch.time(() => store.offsetByTime(TOPIC, queueId, storedAt[n], "lower"));
    const before = first === 0 ? -1 : store.timeOf(TOPIC, queueId, first - 1);
    if (store.timeOf(TOPIC, queueId, first) !== storedAt[n] || before >= storedAt[n]) {
      throw new Error(`time ${storedAt[n]} led to offset ${first} of queue ${queueId}`);
    }
    const [message] = store.get(TOPIC, queueId, first, { max: 1 }).messages;
    check(message, first * QUEUES + queueId);
  }
  line(
    "by time",
    `${rate(SAMPLE, watch.ms)}; ${number(SAMPLE)} times, each led to the first message of its millisecond`,
  );
}

function printPositions(store) {
  const { minOffset, endOffset, durableOffset, visibleOffset } = store.log;
  line("log", `${number(minOffset)} to ${number(endOffset)} (${mebibytes(endOffset - minOffset)})`);
  line("durable", `${number(durableOffset)}, visible ${number(visibleOffset)}`);
  const ranges = store.queues(TOPIC).map((queueId) => store.offsets(TOPIC, queueId));
  line(TOPIC, ranges.map(({ min, max }, queueId) => `${queueId}: ${number(min)} to ${number(max)}`).join("   "));
}

const dir = copyOfRocketmqStore();
const shown = relative(process.cwd(), dir);
const store = await Store.open(dir);

console.log(`\nA store that a broker of Apache RocketMQ 5 wrote, opened with the ${store.engine} engine`);
printContent(store);

console.log(`\nAppending ${number(MESSAGES)} messages of 1 KiB with a key and a tag each`);
const storedAt = append(store);
await flush(store);

console.log("\nReading them back");
readByOffset(store);
readByKey(store);
readByTime(store, storedAt);

console.log("\nPositions");
printPositions(store);

await store.close();
console.log(`
Closed. RocketMQ can open it again. To look further:
  npx moraine inspect ${shown}
  npx moraine dump ${shown} --topic ProbeTopic --queue 0 --count 3 --body text
`);
