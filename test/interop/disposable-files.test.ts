/** What follows from the log can be deleted, in any combination: the store answers the same. */
import { cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { BATCH_QUEUES, innerBatch, writeTopics } from "../contract/inner-batch.ts";
import { type AllAnswers, allAnswers } from "./all-answers.ts";
import { expectSameAnswers } from "./answers.ts";
import { expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { killPlan, type Life } from "./kill-plans.ts";
import { live } from "./killed-stores.ts";
import { messagesOfEveryShape, write } from "./written.ts";

const DISPOSABLE = ["consumequeue", "batchconsumequeue", "index", "checkpoint", "moraine"];
const SMALL = { segmentBytes: 65_536, queueFileEntries: 100, indexSlots: 64, indexEntries: 256 };

/** Every combination of those that a store has. */
function combinationsIn(dir: string): string[][] {
  const there = DISPOSABLE.filter((name) => existsSync(join(dir, name)));
  return Array.from({ length: 2 ** there.length }, (_, bits) => there.filter((_, i) => bits & (1 << i)));
}

/** A copy of a store without some of its files. */
function without(dir: string, gone: readonly string[]): string {
  const copy = join(temporaryFolder(), "store");
  cpSync(dir, copy, { recursive: true, preserveTimestamps: true });
  for (const name of gone) rmSync(join(copy, name), { recursive: true, force: true });
  return copy;
}

/** Looks at a store as it was found, and again after it was opened for writing and closed. */
async function eachWay(dir: string, look: (store: Store) => void): Promise<void> {
  for (const options of [{ create: false }, { readOnly: true }]) {
    const store = await Store.open(dir, { ...SMALL, ...options });
    try {
      look(store);
    } finally {
      await store.close();
    }
  }
}

async function answersOf(dir: string): Promise<AllAnswers> {
  const store = await Store.open(dir, { ...SMALL, readOnly: true });
  try {
    return allAnswers(store);
  } finally {
    await store.close();
  }
}

async function expectSameWithout(dir: string, expected: AllAnswers, needed?: string): Promise<void> {
  const text = JSON.stringify(expected);
  for (const gone of combinationsIn(dir).filter((names) => needed === undefined || !names.includes(needed))) {
    await eachWay(without(dir, gone), (store) => {
      const found = allAnswers(store);
      // Thousands of answers: they are held against each other one by one only to say where they differ.
      if (JSON.stringify(found) !== text) expect(found, `without ${gone.join(", ") || "nothing"}`).toEqual(expected);
    });
  }
}

/** In it a damaged record has a queue entry that no log can give back. */
const NEEDS_QUEUES = "rmq5-flipped-bit";

describe.concurrent("a store of ours", () => {
  test("that was closed answers the same without any of its disposable files", async () => {
    const dir = join(temporaryFolder(), "store");
    const store = await Store.open(dir, SMALL);
    await write(store, messagesOfEveryShape(200, "5"));
    const expected = allAnswers(store);
    await store.close();
    await expectSameWithout(dir, expected);
  });

  test("with light queues and batch queues does, closed and killed", async () => {
    const dir = join(temporaryFolder(), "store");
    writeTopics(dir, { batches: BATCH_QUEUES, orders: {} });
    const put = (store: Store, from: number, count: number): void => {
      for (let n = from; n < from + count; n++) {
        const bodies = Array.from({ length: 1 + (n % 4) }, (_, i) => Buffer.from(`${n}-${i}`.repeat(1 + (n % 9))));
        store.put(innerBatch("batches", n % 2, bodies, { keys: [`b-${n}`] }));
        const multiDispatch = n % 3 === 0 ? [] : ["%LMQ%a", "%LMQ%b"].slice(n % 2);
        store.put({ topic: "orders", queueId: n % 3, body: Buffer.from(`m${n}`), keys: [`k-${n}`], multiDispatch });
      }
    };
    const store = await Store.open(dir, SMALL);
    put(store, 0, 120);
    const expected = allAnswers(store);
    expect(store.topics()).toEqual(["%LMQ%a", "%LMQ%b", "batches", "orders"]);
    await store.close();
    await expectSameWithout(dir, expected);

    const again = await Store.open(dir, SMALL);
    put(again, 120, 60);
    await again.flush();
    const killed = without(dir, ["lock", "moraine/owner"]);
    const more = allAnswers(again);
    await again.close();
    expect(existsSync(join(killed, "abort"))).toBe(true);
    await expectSameWithout(killed, more);
  });

  test.each([3, 4])("that was killed does, too: seed %i", async (seed) => {
    const folder = temporaryFolder();
    const dir = join(folder, "store");
    const [life] = killPlan(seed, "5").lives as [Life, ...Life[]];
    const said = await live(dir, { ...life, end: "kill", messages: 300, options: { ...life.options, ...SMALL } });
    expect(existsSync(join(dir, "abort"))).toBe(true);
    const expected = await answersOf(dir);
    expect(expected.log.length).toBeGreaterThanOrEqual(said.put.length);
    await expectSameWithout(dir, expected);
  });
});

describe.concurrent("a store of RocketMQ's", () => {
  test.each(fixtureNames)("%s answers the same without any of them", async (name) => {
    const dir = unpack(name);
    const store = await Store.open(dir, { ...SMALL, readOnly: true });
    // The one in which RocketMQ keeps less than we do.
    if (name !== "rmq5-flipped-bit") expectSameAnswers(store, expectedOf(name));
    const expected = allAnswers(store);
    await store.close();
    await expectSameWithout(dir, expected, name === NEEDS_QUEUES ? "consumequeue" : undefined);
  });
});
