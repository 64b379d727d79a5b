import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { BATCH_QUEUES, innerBatch, writeTopics } from "../contract/inner-batch.ts";
import { expectSameAnswers } from "./answers.ts";
import { expectedOf, unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { appendWithOracle, oracleTest, readWithOracle } from "./oracle.ts";

const SMALL = { segmentBytes: 16_384, queueFileEntries: 10, indexSlots: 64, indexEntries: 256 };

describe.concurrent("rmq5-batchcq", () => {
  const deleted = [
    ["batchconsumequeue"],
    ["consumequeue"],
    ["batchconsumequeue", "consumequeue", "index", "checkpoint"],
  ];
  test.each(deleted.map((trees) => ({ trees })))("answers the same without $trees", async ({ trees }) => {
    const dir = unpack("rmq5-batchcq");
    const expected = expectedOf("rmq5-batchcq");
    for (const tree of trees) rmSync(join(dir, tree), { recursive: true });
    for (const options of [{ readOnly: true }, { create: false }, { readOnly: true }]) {
      const store = await Store.open(dir, { ...SMALL, ...options });
      expectSameAnswers(store, expected);
      await store.close();
    }
  });

  oracleTest("goes on with our batches, with RocketMQ's and with ours", async () => {
    await takeTurns(unpack("rmq5-batchcq"), "TopicInner", { create: false });
  });
});

describe.concurrent("a store of ours with batch queues", () => {
  oracleTest("is read and continued by RocketMQ, and by us", async () => {
    const dir = join(temporaryFolder(), "store");
    writeTopics(dir, { TopicInner: BATCH_QUEUES, TopicPlain: {} });
    await takeTurns(dir, "TopicInner", SMALL);
    expect(existsSync(join(dir, "consumequeue/TopicInner"))).toBe(false);
  });
});

/** We append, RocketMQ appends, we append; everybody finds the same each time. */
async function takeTurns(dir: string, topic: string, options: object): Promise<void> {
  for (const turn of ["ours", "java", "ours"]) {
    if (turn === "java") {
      const inner = { do: "put", topic, queues: 2, count: 60, batch: 4, innerBatch: true, size: [0, 80], tags: "TagJ" };
      const plain = { do: "put", topic, queues: 2, count: 5, size: 40, tags: "TagP" };
      const puts = await appendWithOracle("5", dir, { seed: 815, firstMessage: 5000, steps: [inner, plain] });
      expect(puts.map(({ status }) => status)).toEqual(Array(20).fill("PUT_OK"));
    } else {
      const store = await Store.open(dir, options);
      for (let n = 0; n < 40; n++) {
        const bodies = Array.from({ length: 1 + (n % 6) }, (_, i) => Buffer.from(`${n}-${i}`.repeat(n)));
        const fields = { tags: `t-${n % 3}`, keys: [`k-${n}`], properties: { UNIQ_KEY: `ours-${n}` } };
        store.put(innerBatch(topic, n % 2, bodies, fields));
        if (n % 5 === 0) store.put({ topic, queueId: n % 2, body: Buffer.from("single"), tags: "single" });
        if (n % 7 === 0) store.put({ topic: "TopicPlain", queueId: 0, body: Buffer.from("plain") });
      }
      await store.close();
    }
    const found = await readWithOracle("5", dir);
    expect(found.open).toMatchObject({ abort: false, loaded: true, dispatchBehindBytes: 0 });
    expect(found.clean).toBe(true);
    const reading = await Store.open(dir, { ...options, readOnly: true });
    expect(found.open.recoveredMaxPhyOffset).toBe(reading.log.endOffset);
    expectSameAnswers(reading, found);
    await reading.close();
  }
}
