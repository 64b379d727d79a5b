/** What follows from the log can be deleted, in any combination: the store answers the same. */
import { cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { type AllAnswers, allAnswers } from "./all-answers.ts";
import { expectSameAnswers } from "./answers.ts";
import { expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { killPlan, type Life } from "./kill-plans.ts";
import { live } from "./killed-stores.ts";
import { messagesOfEveryShape, write } from "./written.ts";

const DISPOSABLE = ["consumequeue", "index", "checkpoint", "moraine"];
const COMBINATIONS = Array.from({ length: 2 ** DISPOSABLE.length }, (_, bits) =>
  DISPOSABLE.filter((_, i) => bits & (1 << i)),
);
const SMALL = { segmentBytes: 65_536, queueFileEntries: 100, indexSlots: 64, indexEntries: 256 };

/** A copy of a store without some of its files. */
function without(dir: string, gone: readonly string[]): string {
  const copy = join(temporaryFolder(), "store");
  cpSync(dir, copy, { recursive: true, preserveTimestamps: true });
  for (const name of gone) rmSync(join(copy, name), { recursive: true, force: true });
  return copy;
}

/** Opens a store read-only, then for writing, then read-only again after it was closed. */
async function eachWay(dir: string, look: (store: Store) => void): Promise<void> {
  for (const options of [{ readOnly: true }, { create: false }, { readOnly: true }]) {
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

async function expectSameWithout(dir: string, expected: AllAnswers): Promise<void> {
  for (const gone of COMBINATIONS) {
    await eachWay(without(dir, gone), (store) => {
      expect(allAnswers(store), `without ${gone.join(", ") || "nothing"}`).toEqual(expected);
    });
  }
}

describe.concurrent("a store of ours", () => {
  test("that was closed answers the same without any of its disposable files", async () => {
    const dir = join(temporaryFolder(), "store");
    const store = await Store.open(dir, SMALL);
    await write(store, messagesOfEveryShape(400, "5"));
    const expected = allAnswers(store);
    await store.close();
    await expectSameWithout(dir, expected);
  });

  test.each([3, 4])("that was killed does, too: seed %i", async (seed) => {
    const folder = temporaryFolder();
    const dir = join(folder, "store");
    const [life] = killPlan(seed, "5").lives as [Life, ...Life[]];
    const said = await live(dir, { ...life, end: "kill", messages: 600, options: { ...life.options, ...SMALL } });
    expect(existsSync(join(dir, "abort"))).toBe(true);
    const expected = await answersOf(dir);
    expect(expected.log.length).toBeGreaterThanOrEqual(said.put.length);
    await expectSameWithout(dir, expected);
  });
});

/** The one in which RocketMQ keeps less than we do, and one whose queues say more than its log: that it has extension files. */
const APART = ["rmq5-flipped-bit", "rmq5-cqext"];

describe.concurrent("a store of RocketMQ's", () => {
  test.each(fixtureNames.filter((name) => !APART.includes(name)))(
    "%s answers the same without any of them",
    async (name) => {
      const dir = unpack(name);
      const expected = expectedOf(name);
      for (const gone of COMBINATIONS.filter((names) => !names.includes("moraine"))) {
        await eachWay(without(dir, gone), (store) => expectSameAnswers(store, expected));
      }
    },
  );

  test.each(APART)("%s answers as before", async (name) => {
    const dir = unpack(name);
    const expected = await answersOf(dir);
    // Queues: what they say beyond the log is another test's subject.
    for (const gone of COMBINATIONS.filter((names) => !names.includes("consumequeue"))) {
      await eachWay(without(dir, gone), (store) => expect(allAnswers(store)).toEqual(expected));
    }
  });
});
