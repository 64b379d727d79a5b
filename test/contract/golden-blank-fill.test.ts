/** A queue whose first message has not the offset 0: the entries in front of it are filled with blanks. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { golden } from "../unit/golden.ts";
import { openStore, temporaryDirectory } from "./temporary-store.ts";

interface Filled {
  minOffset: number;
  maxOffset: number;
  files: Record<string, { size: number; prefixHexRestZero: string }>;
}

const filled = golden("cq.preBlankFill").expected as unknown as Filled;
const CONFIGURATION = { segmentBytes: 4096, queueFileEntries: 10, indexSlots: 16, indexEntries: 32, recordCrc: false };
const LOG_FILE = "commitlog/00000000000000000000";

function content(name: string): Buffer {
  const { size, prefixHexRestZero } = filled.files[name] as { size: number; prefixHexRestZero: string };
  const whole = Buffer.alloc(size);
  whole.write(prefixHexRestZero, "hex");
  return whole;
}

test("cq.preBlankFill: the queue file that we build from the log is RocketMQ's, byte for byte", async () => {
  const path = await temporaryDirectory();
  mkdirSync(join(path, "commitlog"));
  writeFileSync(join(path, LOG_FILE), content(LOG_FILE));

  const store = await openStore(CONFIGURATION, path);
  expect(store.offsets("TopicA", 0)).toEqual({ min: filled.minOffset, max: filled.maxOffset, next: filled.maxOffset });
  expect(store.get("TopicA", 0, filled.minOffset).messages.map((found) => found.physicalOffset)).toEqual([0]);
  await store.close();

  const [queueFile] = Object.keys(filled.files).filter((name) => name.startsWith("consumequeue/")) as [string];
  expect(readdirSync(join(path, "consumequeue/TopicA/0")).map((name) => `consumequeue/TopicA/0/${name}`)).toEqual([
    queueFile,
  ]);
  for (const name of [LOG_FILE, queueFile, "checkpoint", "abort.bak"]) {
    expect(readFileSync(join(path, name)).toString("hex"), name).toBe(content(name).toString("hex"));
  }
  const [indexName] = Object.keys(filled.files).filter((name) => name.startsWith("index/")) as [string];
  const indexFiles = readdirSync(join(path, "index")).map((name) => readFileSync(join(path, "index", name)));
  expect(indexFiles.map((file) => file.toString("hex"))).toEqual([content(indexName).toString("hex")]);
});
