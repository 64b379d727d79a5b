import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import type { Expected } from "./expected.ts";
import { expectedOf, unpack } from "./fixtures.ts";
import { appendWithOracle, oracleTest, readWithOracle } from "./oracle.ts";

const NAME = "rmq5-cqext";
/** What RocketMQ has to be told of the store: nothing on disk says that extension files are switched on. */
const STORE = { consumeQueueExtFileSize: 400, indexSlots: 64, indexEntries: 256 };
const TAGS = ["TagA", undefined, "TagZ"];

function append(store: Store, count: number): void {
  for (let n = 0; n < count; n++) {
    store.put({
      topic: "TopicE",
      queueId: n % 2,
      body: Buffer.from(`ours ${n}`),
      tags: TAGS[n % TAGS.length],
      keys: [`k-${n}`],
    });
  }
}

/** Every entry of RocketMQ's reading has a unit of its own, which holds what its message says. */
function expectUnits(found: Expected): void {
  const messages = new Map(found.messages.map((message) => [message.offset, message]));
  for (const { offset, ext } of found.entries) {
    const message = messages.get(offset);
    const { tagsCode, storeTimestamp } = message as NonNullable<typeof message>;
    expect(ext, `entry of ${offset}`).toEqual({ tagsCode, storeTimestamp, bitMap: "" });
  }
}

describe.concurrent(NAME, () => {
  const deleted = [
    ["consumequeue"],
    ["consumequeue", "index"],
    ["consumequeue_ext"],
    ["consumequeue", "consumequeue_ext"],
  ];
  test.each(deleted.map((trees) => ({ trees })))("answers the same without $trees", async ({ trees }) => {
    const dir = unpack(NAME);
    for (const tree of trees) rmSync(join(dir, tree), { recursive: true });
    for (const options of [{ readOnly: true }, { create: false }, { readOnly: true }]) {
      const store = await Store.open(dir, options);
      expectSameAnswers(store, expectedOf(NAME));
      await store.close();
    }
  });

  oracleTest("goes on with units of ours, of RocketMQ's and of ours", async () => {
    const dir = unpack(NAME);
    for (const turn of ["ours", "java", "ours"]) {
      if (turn === "java") {
        const step = { do: "put", topic: "TopicE", queues: 2, count: 40, size: [0, 80], tags: ["TagJ", null] };
        await appendWithOracle("5", dir, { seed: 42, firstMessage: 9000, store: STORE, steps: [step] });
      } else {
        const store = await Store.open(dir, { create: false });
        append(store, 70);
        await store.close();
      }
      const found = await readWithOracle("5", dir, { seed: 1, store: STORE, steps: [] });
      expect(found.open).toMatchObject({ abort: false, loaded: true, dispatchBehindBytes: 0 });
      expectUnits(found);
      const reading = await Store.open(dir, { readOnly: true });
      expectSameAnswers(reading, found);
      await reading.close();
    }
    const files = readdirSync(join(dir, "consumequeue_ext/TopicE/0"));
    expect(files.every((file) => statSync(join(dir, "consumequeue_ext/TopicE/0", file)).size === 400)).toBe(true);
  });

  oracleTest("has its units in line again after a crash", async () => {
    const dir = unpack(NAME);
    const store = await Store.open(dir, { create: false });
    append(store, 30);
    await store.flush();
    const crashed = unpack(NAME);
    await store.close();
    // The log of the one and the queues of the other: 30 messages that the queues have not heard of.
    rmSync(join(crashed, "commitlog"), { recursive: true });
    cpSync(join(dir, "commitlog"), join(crashed, "commitlog"), { recursive: true });
    writeFileSync(join(crashed, "abort"), "");
    const again = await Store.open(crashed, { create: false });
    append(again, 5);
    await again.close();
    const found = await readWithOracle("5", crashed, { seed: 1, store: STORE, steps: [] });
    expect(found.messages.length).toBe(95);
    expectUnits(found);
    expect(readFileSync(join(crashed, "consumequeue_ext/TopicE/0/00000000000000000000"))).toEqual(
      readFileSync(join(dir, "consumequeue_ext/TopicE/0/00000000000000000000")),
    );
  });
});
