/** Light queues: RocketMQ's read and continued by us, ours read and continued by RocketMQ. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Message, Store } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import type { Expected } from "./expected.ts";
import { expectedOf, unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { appendWithOracle, oracleTest, readWithOracle, type Scenario } from "./oracle.ts";

const SIZES = { segmentBytes: 65_536, queueFileEntries: 100, indexSlots: 64, indexEntries: 256 };
const SCENARIO: Scenario = {
  seed: 7,
  store: { messageStoreConfig: { enableLmq: true, enableMultiDispatch: true } },
  topics: [{ name: "TopicM", queues: 4 }],
  steps: [],
};
const LIGHT = ["%LMQ%a", "%LMQ%b", "%LMQ%c"];

/** What RocketMQ with light queues finds in a copy of a store. */
const readWithLightQueues = (dir: string): Promise<Expected> => readWithOracle("5", dir, SCENARIO);

/** RocketMQ appends messages to two light queues each. */
const append = (dir: string, firstMessage: number, count: number) =>
  appendWithOracle("5", dir, {
    ...SCENARIO,
    firstMessage,
    steps: [
      {
        topic: "TopicM",
        queues: 2,
        count,
        size: [0, 80],
        tags: "TagA",
        properties: { INNER_MULTI_DISPATCH: ["%LMQ%a,%LMQ%b", null, "%LMQ%c"] },
      },
    ],
  });

const ours = (from: number, count: number): Message[] =>
  Array.from({ length: count }, (_, i) => ({
    topic: "TopicM",
    queueId: i % 2,
    tags: "TagA",
    body: Buffer.from(`ours ${from + i}`),
    multiDispatch: [LIGHT.slice(0, 2), LIGHT, LIGHT.slice(2), []][i % 4],
  }));

describe("rmq5-lmq answers as RocketMQ does", () => {
  test.each([
    ["read-only", { readOnly: true }, false],
    ["written", { create: false }, false],
    ["read-only, without its queues", { readOnly: true }, true],
    ["written, without its queues", { create: false }, true],
  ])("%s", async (_, options, withoutQueues) => {
    const dir = unpack("rmq5-lmq");
    if (withoutQueues) rmSync(join(dir, "consumequeue"), { recursive: true });
    const store = await Store.open(dir, options);
    expectSameAnswers(store, expectedOf("rmq5-lmq"));
    expect(store.health().findings).toEqual([]);
    await store.close();
    const again = await Store.open(dir, { readOnly: true });
    expectSameAnswers(again, expectedOf("rmq5-lmq"));
    await again.close();
  });
});

describe.concurrent("by turns", () => {
  oracleTest("RocketMQ reads our light queues, from our files and from the log, and appends; so do we", async () => {
    const dir = join(temporaryFolder(), "store");
    let store = await Store.open(dir, { ...SIZES, recordCrc: false });
    for (const message of ours(0, 10)) store.put(message);
    store.putBatch(ours(10, 110));
    await store.close();

    expectSame(await readWithLightQueues(dir), await answersOf(dir));
    await append(dir, 0, 60);
    const appended = await readWithLightQueues(dir);
    store = await Store.open(dir, { create: false, recordCrc: false });
    expectSameAnswers(store, appended);
    expect(store.offsets("%LMQ%a", 0).next).toBe(62 + 20);
    store.putBatch(ours(120, 40));
    expect(store.offsets("%LMQ%a", 0).next).toBe(62 + 20 + 20);
    await store.close();

    const fromFiles = await readWithLightQueues(dir);
    rmSync(join(dir, "consumequeue"), { recursive: true });
    rmSync(join(dir, "index"), { recursive: true });
    const fromLog = await readWithLightQueues(dir);
    expect(fromLog.entries).toEqual(fromFiles.entries);
    store = await Store.open(dir, { create: false });
    expectSameAnswers(store, fromLog);
    await store.close();
  });

  oracleTest("we append to RocketMQ's light queues, and RocketMQ reads and appends to them", async () => {
    const dir = unpack("rmq5-lmq");
    const before = expectedOf("rmq5-lmq");
    const store = await Store.open(dir, { create: false, recordCrc: false });
    store.putBatch(ours(0, 40));
    await store.close();
    await append(dir, 60, 30);
    const after = await readWithLightQueues(dir);
    expect(after.entries.filter(({ offset }) => offset < before.open.maxPhyOffset)).toEqual(before.entries);
    for (const name of LIGHT) {
      const queue = after.queues.find(({ topic }) => topic === name);
      const had = before.queues.find(({ topic }) => topic === name)?.maxOffset as number;
      expect(queue?.maxOffset, name).toBe(had + 20 + 10);
    }
    const again = await Store.open(dir, { readOnly: true });
    expectSameAnswers(again, after);
    await again.close();
  });
});

/** Entries of every queue of a store. */
async function answersOf(dir: string): Promise<Map<string, number[]>> {
  const store = await Store.open(dir, { readOnly: true });
  const found = new Map<string, number[]>();
  for (const topic of store.topics()) {
    for (const queueId of store.queues(topic)) {
      found.set(
        `${topic}/${queueId}`,
        store.entries(topic, queueId, { max: 1000 }).map(({ physicalOffset }) => physicalOffset),
      );
    }
  }
  await store.close();
  return found;
}

function expectSame(java: Expected, answers: Map<string, number[]>): void {
  const found = new Map<string, number[]>(java.queues.map(({ topic, queueId }) => [`${topic}/${queueId}`, []]));
  for (const { topic, queueId, offset } of java.entries) found.get(`${topic}/${queueId}`)?.push(offset);
  expect([...found].sort()).toEqual([...answers].sort());
}
