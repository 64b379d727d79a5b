/**
 * A queue whose newest message the log has lost ends in a blank entry once it was built again, so that no offset is given twice.
 * RocketMQ goes on behind it, and enters nothing: to it a blank ends 2 GiB behind the start of the log (store-format trap 14).
 * `verify` says so, and `rebuild` brings all of them back.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect } from "vitest";
import { rebuildStore, Store, type StoreOptions, verifyStore } from "../../src/index.ts";
import { expectedFrom } from "./expected.ts";
import { temporaryFolder } from "./folders.ts";
import { type Line, oracleTest } from "./oracle.ts";
import { ServedOracle } from "./served-oracle.ts";

const TIMEOUT_MS = 600_000;
const SIZES = { segmentBytes: 4096, queueFileEntries: 20, indexSlots: 64, indexEntries: 256 };
const MESSAGES = 7;
const PUT_BY_ROCKETMQ = 6;

const oracle = new ServedOracle();
afterAll(() => oracle.end());

/** Queue 0 has lost its newest message, far in front of the files that RocketMQ looks at when it opens a store. */
async function damaged(line: Line): Promise<string> {
  const dir = join(temporaryFolder(), "store");
  const options: StoreOptions = { ...SIZES, compat: line === "4" ? "4.9" : "5" };
  const store = await Store.open(dir, options);
  const put = (queueId: number, body: string) => store.put({ topic: "orders", queueId, body: Buffer.from(body) });
  for (let n = 0; n < MESSAGES - 1; n++) put(0, `message ${n}`);
  const { physicalOffset } = put(0, "the newest of its queue");
  for (let n = 0; n < 200; n++) put(1, `message ${n}`.repeat(10));
  await store.close();
  const folder = join(dir, "commitlog");
  const files = readdirSync(folder).sort();
  expect(files.length).toBeGreaterThan(6);
  const [first = ""] = files;
  const bytes = readFileSync(join(folder, first));
  const at = bytes.indexOf("the newest of its queue", physicalOffset);
  bytes[at] = 0;
  writeFileSync(join(folder, first), bytes);
  return dir;
}

describe.each(["5"] as const)("behind a blank entry at the end of a queue RocketMQ %s", (line) => {
  oracleTest(
    "enters nothing; we say so, and find all after a rebuild",
    async () => {
      const dir = await damaged(line);
      await rebuildStore(dir);
      const built = await Store.open(dir, { readOnly: true });
      expect(built.offsets("orders", 0)).toEqual({ min: 0, max: MESSAGES, next: MESSAGES });
      await built.close();

      const scenario = join(temporaryFolder(), "scenario.json");
      const { segmentBytes: commitLogFileSize, queueFileEntries, ...index } = SIZES;
      const messageStoreConfig = { enabledAppendPropCRC: true };
      const store = { commitLogFileSize, consumeQueueFileSize: queueFileEntries * 20, ...index, messageStoreConfig };
      const step = { topic: "orders", queues: 2, count: PUT_BY_ROCKETMQ, size: [0, 100], keys: "java-{n}" };
      const steps = [step, { do: "waitDispatch" }, { do: "read" }];
      writeFileSync(scenario, JSON.stringify({ seed: 5, firstMessage: 10_000, store, steps }));
      const after = expectedFrom(await oracle.ask(line, "append", dir, scenario, "--puts"));
      const theirs = after.messages.filter(({ queueId }) => queueId === 0).slice(-PUT_BY_ROCKETMQ / 2);
      const want = Array.from({ length: PUT_BY_ROCKETMQ / 2 }, (_, n) => MESSAGES + n);
      expect(theirs.map(({ queueOffset }) => queueOffset)).toEqual(want);
      expect(after.entries.filter(({ queueId, index }) => queueId === 0 && index >= MESSAGES)).toEqual([]);
      const others = after.entries.filter(({ queueId }) => queueId === 1);
      expect(others).toHaveLength(200 + PUT_BY_ROCKETMQ / 2);

      const findings = await verifyStore(dir, { deep: true });
      expect(findings.filter(({ file }) => file.startsWith("consumequeue/orders/0"))).not.toEqual([]);
      await rebuildStore(dir);
      const ours = await Store.open(dir, { readOnly: true });
      try {
        const found = want.map((offset) => ours.get("orders", 0, offset, { max: 1 }).messages[0]?.physicalOffset);
        expect(found).toEqual(theirs.map(({ offset }) => offset));
        expect(ours.offsets("orders", 0)).toMatchObject({ next: MESSAGES + PUT_BY_ROCKETMQ / 2 });
      } finally {
        await ours.close();
      }
    },
    TIMEOUT_MS,
  );
});
