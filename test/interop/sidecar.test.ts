/** RocketMQ, or somebody with a shell, between a clean close of ours and the next open: what we noted is not believed. */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { Store } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { temporaryFolder } from "./folders.ts";
import { appendWithOracle, LINES, type Line, oracleTest, readWithOracle } from "./oracle.ts";
import { messagesOfEveryShape, write } from "./written.ts";

const SMALL = { segmentBytes: 65_536, queueFileEntries: 100, indexSlots: 64, indexEntries: 256 };
const MESSAGES = 200;
/** The oracle's steps: RocketMQ opens the store, does them, and closes it. */
const APPEND = [{ topic: "orders", queues: 3, count: 50, size: [0, 300], tags: ["paid", null], keys: "java-{n}" }];

async function closedStore(line: Line): Promise<string> {
  const dir = join(temporaryFolder(), "store");
  const store = await Store.open(dir, { ...SMALL, compat: line === "4" ? "4.9" : "5" });
  await write(store, messagesOfEveryShape(MESSAGES, line));
  await store.close();
  expect(readFileSync(join(dir, "lock"), "latin1").slice(0, 4)).toBe("mrn1");
  return dir;
}

/** We find what RocketMQ finds, put behind it, and RocketMQ finds that too. */
async function expectFoundRight(line: Line, dir: string): Promise<void> {
  const found = await readWithOracle(line, dir);
  const readOnly = await Store.open(dir, { readOnly: true });
  expectSameAnswers(readOnly, found);
  await readOnly.close();
  const store = await Store.open(dir, { create: false, compat: line === "4" ? "4.9" : "5" });
  expect(store.log.endOffset).toBe(found.open.maxPhyOffset);
  const { next } = store.offsets("orders", 1);
  const result = store.put({ topic: "orders", queueId: 1, body: new Uint8Array([1, 2, 3]) });
  expect(result.queueOffset).toBe(next);
  await store.close();
  const again = await Store.open(dir, { readOnly: true });
  expectSameAnswers(again, await readWithOracle(line, dir));
  await again.close();
}

describe.concurrent.each(LINES)("between a clean close and the next open RocketMQ %s", (line) => {
  oracleTest("does nothing", async () => {
    await expectFoundRight(line, await closedStore(line));
  });

  oracleTest("opens and closes the store", async () => {
    const dir = await closedStore(line);
    await appendWithOracle(line, dir, { seed: 1, steps: [] });
    expect(readFileSync(join(dir, "lock"), "latin1").slice(0, 4)).toBe("lock");
    await expectFoundRight(line, dir);
  });

  oracleTest("appends", async () => {
    const dir = await closedStore(line);
    await appendWithOracle(line, dir, { seed: 2, firstMessage: 1000, steps: APPEND });
    await expectFoundRight(line, dir);
  });

  oracleTest("expires the first file of the log", async () => {
    const dir = await closedStore(line);
    const [first] = readdirSync(join(dir, "commitlog")).sort();
    rmSync(join(dir, "commitlog", String(first)));
    await appendWithOracle(line, dir, { seed: 3, firstMessage: 1000, steps: APPEND });
    await expectFoundRight(line, dir);
  });

  oracleTest("deletes a topic", async () => {
    const dir = await closedStore(line);
    await appendWithOracle(line, dir, { seed: 4, firstMessage: 1000, steps: APPEND });
    const topic = join(dir, "consumequeue", "%RETRY%group-a");
    expect(existsSync(topic)).toBe(true);
    rmSync(topic, { recursive: true });
    const store = await Store.open(dir, { readOnly: true });
    const found = await readWithOracle(line, dir);
    expect(store.log.endOffset).toBe(found.open.maxPhyOffset);
    expect(store.offsets("orders", 1).next).toBe(
      Math.max(...found.messages.filter((m) => m.topic === "orders" && m.queueId === 1).map((m) => m.queueOffset)) + 1,
    );
    await store.close();
  });
});
