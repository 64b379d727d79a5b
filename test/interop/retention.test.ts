/** After files have expired and a topic was deleted here, RocketMQ opens the store, reads the rest, and appends. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { Store } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import type { Expected } from "./expected.ts";
import { temporaryFolder } from "./folders.ts";
import { appendWithOracle, LINES, type Line, oracleTest, readWithOracle } from "./oracle.ts";
import { messagesOfEveryShape, write } from "./written.ts";

const SEGMENT = 65_536;
const SMALL = { segmentBytes: SEGMENT, queueFileEntries: 10, indexSlots: 64, indexEntries: 256 };
const DELETED = "%RETRY%group-a";
const MESSAGES = 400;

const append = (topic: string, count: number) => [
  { topic, queues: 3, count, size: [0, 300], tags: ["paid", null], keys: "java-{n}" },
];
const compat = (line: Line) => (line === "4" ? "4.9" : "5");

interface Left {
  dir: string;
  minOffset: number;
  /** Next offsets of the queues of the topic that was deleted. */
  next: Map<number, number>;
}

/** A store that has lost files of its log, and a topic, and was closed. */
async function expiredStore(line: Line): Promise<Left> {
  const dir = join(temporaryFolder(), "store");
  const store = await Store.open(dir, { ...SMALL, compat: compat(line) });
  await write(store, messagesOfEveryShape(MESSAGES, line));
  const next = new Map(store.queues(DELETED).map((id) => [id, store.offsets(DELETED, id).next]));
  expect(next.size).toBeGreaterThan(0);
  expect(await store.deleteTopic(DELETED)).toBe(true);
  const { files, minOffset } = await store.expire({ maxBytes: 2 * SEGMENT });
  expect(files).toBeGreaterThan(0);
  expect(store.offsets("orders", 1).min).toBeGreaterThan(0);
  await store.close();
  expect(existsSync(join(dir, "consumequeue", DELETED))).toBe(false);
  expect(readdirSync(join(dir, "commitlog")).sort()[0]).toBe(String(minOffset).padStart(20, "0"));
  return { dir, minOffset, next };
}

/** RocketMQ's index still leads to messages of the topic: it knows of no deletion in the log. */
const withoutKeysOf = (topic: string, found: Expected): Expected => ({
  ...found,
  keys: found.keys.filter((key) => key.topic !== topic),
});

async function expectSame(line: Line, dir: string, minOffset: number): Promise<Expected> {
  const found = await readWithOracle(line, dir);
  expect(found.open).toMatchObject({ loaded: true, minPhyOffset: minOffset, dispatchBehindBytes: 0 });
  const store = await Store.open(dir, { readOnly: true });
  expect(store.log).toMatchObject({ minOffset, endOffset: found.open.maxPhyOffset });
  expectSameAnswers(store, withoutKeysOf(DELETED, found));
  await store.close();
  return found;
}

describe.concurrent.each(LINES)("what has expired and was deleted here, RocketMQ %s", (line) => {
  oracleTest("takes as it is, and goes on", async () => {
    const { dir, minOffset, next } = await expiredStore(line);
    const found = await expectSame(line, dir, minOffset);
    expect(found.queues.map(({ topic }) => topic)).not.toContain(DELETED);
    await appendWithOracle(line, dir, { seed: 5, firstMessage: 1000, steps: append("orders", 50) });
    await expectSame(line, dir, minOffset);

    const store = await Store.open(dir, { create: false, compat: compat(line) });
    expect(store.health().findings.filter(({ kind }) => kind !== "sidecar")).toEqual([]);
    for (const [queueId, offset] of next) {
      expect(store.put({ topic: DELETED, queueId, body: new Uint8Array([queueId]) }).queueOffset).toBe(offset);
    }
    const { next: orders } = store.offsets("orders", 1);
    expect(store.put({ topic: "orders", queueId: 1, body: new Uint8Array(3) }).queueOffset).toBe(orders);
    await store.close();
    await expectSame(line, dir, minOffset);
  });

  oracleTest("makes anew from offset 0, which is taken as it is", async () => {
    const { dir, minOffset, next } = await expiredStore(line);
    await appendWithOracle(line, dir, { seed: 6, firstMessage: 1000, steps: append(DELETED, 9) });
    const store = await Store.open(dir, { create: false, compat: compat(line) });
    const { findings } = store.health();
    let anew = 0;
    for (const [queueId, before] of next) {
      const { min, max, next: now } = store.offsets(DELETED, queueId);
      if (max === before) {
        expect({ min, now }, "a queue that got nothing").toEqual({ min: before, now: before });
      } else {
        anew += 1;
        expect({ min, now }).toEqual({ min: 0, now: max });
        expect(max).toBeLessThan(before);
        expect(store.get(DELETED, queueId, 0).messages).toHaveLength(max);
      }
    }
    expect(anew).toBeGreaterThan(0);
    expect(findings.filter(({ kind }) => kind === "kept")).toHaveLength(anew);
    await store.close();
    await expectSame(line, dir, minOffset);
    const again = await Store.open(dir, { readOnly: true });
    expect(again.health().findings.filter(({ kind }) => kind === "kept")).toEqual([]);
    await again.close();
  });
});
