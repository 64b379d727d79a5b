import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Store } from "moraine";
import { expect, test } from "vitest";
import { Configuration } from "../../src/config/configuration.ts";
import { storeOptions } from "../../src/store-options.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

test("the store takes what waits, also when messages of clients may be smaller now", async () => {
  const directory = await mkdtemp(join(tmpdir(), "moraine-store-options-"));
  const given = { brokerName: "broker-a", storePathRootDir: directory, maxMessageSize: "100" };
  const { values } = Configuration.load({ given }, silent);
  const store = await Store.open(directory, storeOptions(values));
  const { size } = await store.append({ topic: "orders", queueId: 0, body: Buffer.alloc(4_194_304) });
  expect(size).toBeGreaterThan(4_194_304);
  await store.close();
  await rm(directory, { recursive: true });
});

test("options of RocketMQ's store are those of ours", () => {
  const { values } = Configuration.load(
    {
      given: {
        brokerName: "broker-a",
        flushIntervalCommitLog: "7",
        mappedFileSizeCommitLog: "2097152",
        mappedFileSizeConsumeQueue: "6010",
        maxHashSlotNum: "11",
        maxIndexNum: "13",
        messageIndexEnable: "false",
        enabledAppendPropCRC: "true",
        maxMessageSize: "100",
        messageDelayLevel: "1s  2m",
        fileReservedTime: "5",
        deleteWhen: "03;17",
        diskSpaceCleanForciblyRatio: "60",
        // It is the answer that waits for the disk.
        flushDiskType: "SYNC_FLUSH",
      },
    },
    silent,
  );
  expect(storeOptions(values)).toEqual({
    flush: "async",
    flushIntervalMs: 7,
    segmentBytes: 2_097_152,
    queueFileEntries: 300,
    indexSlots: 11,
    indexEntries: 13,
    index: false,
    recordCrc: true,
    maxMessageBytes: 16_777_216,
    delayLevels: "1s 2m",
    retention: { maxAgeMs: 18_000_000, deleteHour: 3, diskRatio: 0.6 },
  });
});
