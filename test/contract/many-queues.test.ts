import { readdirSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Message, Store } from "../../src/index.ts";
import { bytes, openStore, temporaryDirectory, text } from "./temporary-store.ts";

const TOPICS = 200;
const QUEUES = 10;
const ROUNDS = 3;
/** Files that a store holds open at a time, and what the process opens meanwhile. */
const MOST_DESCRIPTORS = 256 + 64;

const descriptors = () => readdirSync("/proc/self/fd").length;

function round(n: number): Message[] {
  return Array.from({ length: TOPICS * QUEUES }, (_, i) => ({
    topic: `topic-${i % TOPICS}`,
    queueId: Math.floor(i / TOPICS),
    body: bytes(`${i}:${n}`),
  }));
}

function expectRounds(store: Store, rounds: number): void {
  for (let i = 0; i < TOPICS * QUEUES; i++) {
    const [topic, queueId] = [`topic-${i % TOPICS}`, Math.floor(i / TOPICS)];
    expect(store.offsets(topic, queueId)).toEqual({ min: 0, max: rounds, next: rounds });
    const bodies = store.get(topic, queueId, 0).messages.map(({ body }) => text(body));
    expect(bodies).toEqual(Array.from({ length: rounds }, (_, n) => `${i}:${n}`));
  }
}

test("2,000 queues are put to, read, closed and opened again with a bounded number of descriptors", async () => {
  const directory = await temporaryDirectory();
  const before = descriptors();
  let store = await openStore({}, directory);
  for (let n = 0; n < ROUNDS; n++) store.putBatch(round(n));
  expectRounds(store, ROUNDS);
  expect(descriptors() - before).toBeLessThan(MOST_DESCRIPTORS);
  await store.close();
  expect(await readdir(join(directory, "consumequeue"))).toHaveLength(TOPICS);

  store = await openStore({}, directory);
  expect(store.health()).toMatchObject({ clean: true, findings: [] });
  expect(store.topics()).toHaveLength(TOPICS);
  expectRounds(store, ROUNDS);
  store.putBatch(round(ROUNDS));
  expectRounds(store, ROUNDS + 1);
  expect(descriptors() - before).toBeLessThan(MOST_DESCRIPTORS);
  await store.close();

  await rm(join(directory, "moraine"), { recursive: true });
  store = await openStore({}, directory);
  expectRounds(store, ROUNDS + 1);
  await store.close();
});

test("a queue whose directory was removed while the store was closed has its messages again, and goes on behind them", async () => {
  const directory = await temporaryDirectory();
  let store = await openStore({}, directory);
  for (let n = 0; n < ROUNDS; n++) store.putBatch(round(n).slice(0, 20));
  await store.close();
  await rm(join(directory, "consumequeue/topic-7/0"), { recursive: true });
  await rm(join(directory, "consumequeue/topic-8/0/00000000000000000000"));
  store = await openStore({}, directory);
  for (const topic of ["topic-7", "topic-8"]) {
    expect(store.offsets(topic, 0)).toEqual({ min: 0, max: ROUNDS, next: ROUNDS });
    expect(store.get(topic, 0, 0).messages).toHaveLength(ROUNDS);
    expect(store.put({ topic, queueId: 0, body: bytes("next") }).queueOffset).toBe(ROUNDS);
  }
  await store.close();
});
