import { createHash } from "node:crypto";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { Store } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { temporaryFolder } from "./folders.ts";
import { appendWithOracle, LINES, oracleTest, readWithOracle, scenarioBody } from "./oracle.ts";
import { expectFound, indexEntries, messagesOfEveryShape, write } from "./written.ts";

/** Files so small that 400 messages need several of each kind. */
const SMALL = { segmentBytes: 65_536, queueFileEntries: 100, indexSlots: 64, indexEntries: 256 };

const CASES = [
  { title: "small files with record CRC", sizes: SMALL, recordCrc: true, messages: 400 },
  { title: "small files without record CRC", sizes: SMALL, recordCrc: false, messages: 400 },
  { title: "default sizes", sizes: {}, recordCrc: true, messages: 30 },
];

describe.concurrent.each(LINES)("RocketMQ %s", (line) => {
  for (const { title, sizes, recordCrc, messages } of CASES) {
    oracleTest(`finds in a store of ours what was put, and appends to it: ${title}`, async () => {
      const dir = join(temporaryFolder(), "store");
      const store = await Store.open(dir, { ...sizes, recordCrc, compat: line === "4" ? "4.9" : "5" });
      const written = await write(store, messagesOfEveryShape(messages, line));
      const end = store.log.endOffset;
      await store.close();

      const found = await readWithOracle(line, dir);
      expect(found.open).toMatchObject({
        abort: false,
        loaded: true,
        recoveredMaxPhyOffset: end,
        minPhyOffset: 0,
        maxPhyOffset: end,
        dispatchBehindBytes: 0,
      });
      expect(found.clean).toBe(true);
      expectFound(found, 0, written, recordCrc);
      expect(found.indexFiles.reduce((sum, { indexCount }) => sum + indexCount - 1, 0)).toBe(indexEntries(written));

      const ours = await Store.open(dir, { readOnly: true });
      expectSameAnswers(ours, found);
      await ours.close();

      await expectAppended(line, dir, end);
    });
  }
});

/** RocketMQ appends 40 messages behind `end`; we find each by offset, queue offset and key, and all that was there before. */
async function expectAppended(line: (typeof LINES)[number], dir: string, end: number): Promise<void> {
  const seed = 4711;
  const step = { topic: "orders", queues: 2, count: 40, size: [0, 300], tags: ["paid", null], keys: "java-{n}" };
  const puts = await appendWithOracle(line, dir, { seed, firstMessage: 1000, steps: [step] });
  expect(puts.map(({ status }) => status)).toEqual(Array(40).fill("PUT_OK"));

  const store = await Store.open(dir, { create: false });
  for (const { message, offset, bytes, queueOffset } of puts) {
    expect(offset).toBeGreaterThanOrEqual(end);
    const [found] = store.get("orders", message % 2, queueOffset, { max: 1 }).messages;
    expect(found).toMatchObject({ physicalOffset: offset, size: bytes, queueOffset });
    expect(found?.body).toEqual(scenarioBody(seed, message, 0, 300));
    expect(store.at(offset)?.queueOffset).toBe(queueOffset);
    expect([...store.lookup("orders", `java-${message}`)].map((one) => one.physicalOffset)).toEqual([offset]);
  }
  await store.close();

  const all = await readWithOracle(line, dir);
  const again = await Store.open(dir, { readOnly: true });
  expect(again.health().clean).toBe(true);
  const scanned = [...again.scan({})].flatMap((item) => (item.kind === "message" ? [item.message] : []));
  const digest = (body: Uint8Array): string => createHash("sha256").update(body).digest("hex");
  expect(scanned.map(({ physicalOffset, body }) => ({ physicalOffset, sha256: digest(body) }))).toEqual(
    all.messages.map(({ offset, bodySha256 }) => ({ physicalOffset: offset, sha256: bodySha256 })),
  );
  expectSameAnswers(again, all);
  await again.close();
}
