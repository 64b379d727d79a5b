/** What RocketMQ made of stores that were not closed, or whose queues lag behind: its outcome, and ours beside it. */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Store } from "../../src/index.ts";
import { golden } from "../unit/golden.ts";
import { CONFIGURATION, filesOf, replayed } from "./golden-store.ts";
import { bytes, openStore, rejected, temporaryDirectory, text } from "./temporary-store.ts";

/** Bytes of a record around topic, body and properties. */
const RECORD_BYTES = 91;
const QUEUE_ENTRY_BYTES = 20;
const FIRST_FILE = "0".repeat(20);
const FIRST_SEGMENT = join("commitlog", FIRST_FILE);
const CONFIRM_OFFSET_AT = 32;

/** With what an open store of ours says of itself, and without, as RocketMQ leaves one. */
const KINDS = ["of ours", "of RocketMQ's"] as const;

/** A copy of a store's directory as it is, open or not; of RocketMQ's kind without the sidecar. */
async function copyOf(path: string, kind: (typeof KINDS)[number]): Promise<string> {
  const copy = join(await temporaryDirectory(), "store");
  cpSync(path, copy, { recursive: true, preserveTimestamps: true });
  if (kind === "of RocketMQ's") rmSync(join(copy, "moraine"), { recursive: true, force: true });
  return copy;
}

/** A message of topic TopicA, queue 0, whose record has so many bytes. */
function put(store: Store, recordBytes: number): number {
  const body = bytes("b".repeat(recordBytes - RECORD_BYTES - "TopicA".length));
  return store.put({ topic: "TopicA", queueId: 0, body }).physicalOffset;
}

function zeroEntries(path: string, queueId: number, first: number, count: number): void {
  const file = join(path, "consumequeue/TopicA", String(queueId), FIRST_FILE);
  const entries = readFileSync(file);
  entries.fill(0, first * QUEUE_ENTRY_BYTES, (first + count) * QUEUE_ENTRY_BYTES);
  writeFileSync(file, entries);
}

/** Where the messages of a queue lie, each found by its queue offset. */
function placesOf(store: Store, topic: string, queueId: number): (number | undefined)[] {
  const { min, max } = store.offsets(topic, queueId);
  return Array.from({ length: max - min }, (_, i) => {
    return store.get(topic, queueId, min + i, { max: 1 }).messages[0]?.physicalOffset;
  });
}

const namesOf = (path: string): string[] =>
  [...filesOf(path).keys()].map((name) => name.replace(/^index\/.*/, "index/<ts>"));

describe("store.restart.abnormal", () => {
  const java = golden("store.restart.abnormal").expected as {
    filesAtCrash: string[];
    filesAfterRecovery: string[];
    maxPhyOffset: number;
    topicA0Max: number;
    topicA1Max: number;
    topicB0Max: number;
    queryK3count: number;
    putResultOffset: number;
  };

  test.each(KINDS)("entries that a crash took are made again, %s", async (kind) => {
    const path = await temporaryDirectory();
    await (await replayed(path)).close();
    const running = await openStore({ ...CONFIGURATION, flushIntervalMs: 1 }, path);
    const before = placesOf(running, "TopicA", 1);
    expect(put(running, java.maxPhyOffset - java.putResultOffset)).toBe(java.putResultOffset);
    // RocketMQ enters its process into `lock`, too; that file is not compared.
    const withoutLock = (names: string[]): string[] => names.filter((name) => name !== "lock").sort();
    // Queue entries are written behind.
    await expect.poll(() => namesOf(path).sort()).toEqual(withoutLock(java.filesAtCrash));
    const crashed = await copyOf(path, kind);
    zeroEntries(crashed, 1, 5, 5);

    const store = await openStore(CONFIGURATION, crashed);
    expect(store.health().clean).toBe(false);
    expect(store.log.endOffset).toBe(java.maxPhyOffset);
    expect(store.offsets("TopicA", 0).max).toBe(java.topicA0Max);
    expect(store.offsets("TopicA", 1).max).toBe(java.topicA1Max);
    expect(store.offsets("TopicB", 0).max).toBe(java.topicB0Max);
    expect(placesOf(store, "TopicA", 1)).toEqual(before);
    expect(store.lookup("TopicA", "K3")).toHaveLength(java.queryK3count);
    await store.close();
    const afterClose = withoutLock(java.filesAfterRecovery).filter((name) => name !== "abort");
    expect(namesOf(crashed).sort()).toEqual(afterClose);
  });
});

describe("recover.tornTailAndPreallocated", () => {
  const java = golden("recover.tornTailAndPreallocated").expected as {
    commitLogFilesAtCrash: string[];
    commitLogFilesAfter: string[];
    endOffset: number;
    bytesAtEndAfterRecoveryHex: string;
    cqMax: number;
    confirmPhyOffset: number;
  };
  const recordBytes = java.endOffset / 2;

  test.each(KINDS)("a torn record ends the log; RocketMQ leaves its bytes there, we do not, %s", async (kind) => {
    const path = await temporaryDirectory();
    const running = await openStore(CONFIGURATION, path);
    for (const at of [0, recordBytes]) expect(put(running, recordBytes)).toBe(at);
    await running.flush();
    const crashed = await copyOf(path, kind);
    const segment = readFileSync(join(crashed, FIRST_SEGMENT));
    segment.copy(segment, java.endOffset, 0, 60);
    writeFileSync(join(crashed, FIRST_SEGMENT), segment);
    for (const name of java.commitLogFilesAtCrash.slice(1)) {
      writeFileSync(join(crashed, "commitlog", name), Buffer.alloc(segment.length));
    }

    const store = await openStore(CONFIGURATION, crashed);
    expect(store.log.endOffset).toBe(java.endOffset);
    expect(store.offsets("TopicA", 0).max).toBe(java.cqMax);
    expect(placesOf(store, "TopicA", 0)).toEqual([0, recordBytes]);
    expect(store.health().findings.map(({ kind: what, offset }) => [what, offset])).toContainEqual([
      "cut",
      java.endOffset,
    ]);
    const logFiles = [...filesOf(crashed).keys()].filter((name) => name.startsWith("commitlog/"));
    expect(logFiles).toEqual(java.commitLogFilesAfter.map((name) => `commitlog/${name}`));
    // Its outcome: the bytes that it cut off.
    const stale = segment.subarray(java.endOffset, java.endOffset + 8).toString("hex");
    expect(stale).toHaveLength(java.bytesAtEndAfterRecoveryHex.length);
    expect(java.bytesAtEndAfterRecoveryHex).toMatch(new RegExp(`^${stale.slice(0, 8)}`));
    // Ours: zeros to the end of the file.
    expect(
      readFileSync(join(crashed, FIRST_SEGMENT))
        .subarray(java.endOffset)
        .every((byte) => byte === 0),
    ).toBe(true);
    await store.close();
    const confirmed = readFileSync(join(crashed, "checkpoint")).readBigInt64BE(CONFIRM_OFFSET_AT);
    expect(Number(confirmed)).toBe(java.confirmPhyOffset);
  });
});

describe("recover.normalExit.laggingConsumeQueue", () => {
  interface Lagging {
    cqMaxAfterLoad: number;
    nextPutLogicsOffset: number;
    cqMaxAfterPut: number;
  }
  const java = golden("recover.normalExit.laggingConsumeQueue").expected as {
    lastUnitZeroed: Lagging;
    lastTwoUnitsZeroed: Lagging;
    consumequeueDirRemoved: { cqMaxAfterLoad: number };
    commitlogDirRemoved: { maxPhyOffset: number; cqMaxAfterLoad: number; consumeQueueDirDeleted: boolean };
  };
  const PLACES = [0, 99, 198];

  async function closed(kind: (typeof KINDS)[number]): Promise<string> {
    const path = await temporaryDirectory();
    const store = await openStore(CONFIGURATION, path);
    for (const at of PLACES) expect(put(store, 99)).toBe(at);
    await store.close();
    return copyOf(path, kind);
  }

  test.each([
    { title: "the last entry", entries: 1, theirs: java.lastUnitZeroed },
    { title: "the last two entries", entries: 2, theirs: java.lastTwoUnitsZeroed },
  ])(
    "$title zeroed: RocketMQ loses a message and gives its offset again, we do neither",
    async ({ entries, theirs }) => {
      // Its outcome: of three messages it finds two, and the next one gets the offset of the third.
      expect(theirs).toMatchObject({ cqMaxAfterLoad: 2, nextPutLogicsOffset: 2, cqMaxAfterPut: 3 });
      const path = await closed("of RocketMQ's");
      zeroEntries(path, 0, 3 - entries, entries);
      const store = await openStore(CONFIGURATION, path);
      expect(placesOf(store, "TopicA", 0)).toEqual(PLACES);
      expect(store.put({ topic: "TopicA", queueId: 0, body: bytes("next") }).queueOffset).toBe(3);
      expect(store.offsets("TopicA", 0).max).toBe(4);
      expect(store.get("TopicA", 0, 3).messages.map(({ body }) => text(body))).toEqual(["next"]);
    },
  );

  test.each([1, 2])("in a store that we closed, %i zeroed entries give no offset again", async (entries) => {
    const path = await closed("of ours");
    zeroEntries(path, 0, 3 - entries, entries);
    const store = await openStore(CONFIGURATION, path);
    expect(store.put({ topic: "TopicA", queueId: 0, body: bytes("next") }).queueOffset).toBe(3);
  });

  test.each(KINDS)("without its queues the store answers the same, %s", async (kind) => {
    const path = await closed(kind);
    rmSync(join(path, "consumequeue"), { recursive: true });
    const store = await openStore(CONFIGURATION, path);
    expect(store.offsets("TopicA", 0).max).toBe(java.consumequeueDirRemoved.cqMaxAfterLoad);
    expect(placesOf(store, "TopicA", 0)).toEqual(PLACES);
  });

  test.each(KINDS)("without its log RocketMQ deletes all queues, we refuse and touch nothing, %s", async (kind) => {
    expect(java.commitlogDirRemoved).toEqual({ maxPhyOffset: 0, cqMaxAfterLoad: 0, consumeQueueDirDeleted: true });
    const path = await closed(kind);
    rmSync(join(path, "commitlog"), { recursive: true });
    const before = filesOf(path);
    expect(await rejected(openStore(CONFIGURATION, path))).toMatchObject({ code: "STORE_CORRUPT" });
    expect(filesOf(path)).toEqual(before);
    expect(existsSync(join(path, "consumequeue/TopicA/0"))).toBe(true);
  });
});
