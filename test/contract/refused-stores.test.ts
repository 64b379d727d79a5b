import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { writeTopics } from "./inner-batch.ts";
import { message, messages, openStore, rejected, SMALL, temporaryDirectory } from "./temporary-store.ts";

/** A closed store with 40 messages in several files of the log. */
async function closedStore(): Promise<string> {
  const directory = await temporaryDirectory();
  const store = await openStore({ segmentBytes: 4096 }, directory);
  for (const one of messages(40, { body: new Uint8Array(500) })) store.put(one);
  await store.close();
  return directory;
}

function make(directory: string, path: string, content?: string): void {
  mkdirSync(join(directory, path, content === undefined ? "." : ".."), { recursive: true });
  if (content !== undefined) writeFileSync(join(directory, path), content);
}

/** Files of a log that RocketMQ has spread over several directories, of which this is one: every so many. */
function keepEvery(directory: string, distance: number, first = 0): void {
  const files = readdirSync(join(directory, "commitlog")).sort();
  expect(files.length).toBeGreaterThan(3 * distance);
  for (const [n, file] of files.entries()) {
    if (n % distance !== first) rmSync(join(directory, "commitlog", file));
  }
  writeFileSync(join(directory, "lock"), "lock"); // RocketMQ's, in place of ours
}

const KINDS: [string, (directory: string) => void, RegExp][] = [
  [
    "a compaction topic",
    (dir) => writeTopics(dir, { c: { "cleanup.policy": "COMPACTION" } }),
    /topic c is a compaction topic/,
  ],
  ["a compaction log", (dir) => make(dir, "compaction/compactionLog/c/0"), /compaction topics/],
  ["queues in RocksDB", (dir) => make(dir, "consumequeue/CURRENT", "MANIFEST-000004\n"), /RocksDB/],
  ["a log of DLedger", (dir) => make(dir, "dledger-n0/data"), /DLedger/],
  ["two log paths, the first", (dir) => keepEvery(dir, 2), /storePathCommitLog named 2 directories/],
  ["two log paths, the second", (dir) => keepEvery(dir, 2, 1), /storePathCommitLog named 2 directories/],
];

describe("a store with", () => {
  test.each(KINDS)("%s is read, but not written", async (_, change, words) => {
    const directory = await closedStore();
    change(directory);
    const files = readdirSync(directory, { recursive: true }).sort();
    const error = await rejected(Store.open(directory, { ...SMALL, segmentBytes: 4096 }));
    expect(error.code).toBe("STORE_UNSUPPORTED_FORMAT");
    expect(error.message).toMatch(words);
    expect(error.message).toMatch(/readOnly: true/);
    expect(readdirSync(directory, { recursive: true }).sort()).toEqual(files);

    const store = await openStore({ readOnly: true }, directory);
    const { minOffset } = store.log;
    expect(store.at(minOffset)).toMatchObject({ topic: "orders", queueId: 0 });
    const first = store.get("orders", 0, store.offsets("orders", 0).min, { max: 1 });
    expect(first.messages.length).toBe(1);
  });

  test("one lost file of the log is damaged, and written on", async () => {
    const directory = await closedStore();
    const file = join(directory, "commitlog", readdirSync(join(directory, "commitlog")).sort()[2] ?? "");
    expect(existsSync(file)).toBe(true);
    rmSync(file);
    const store = await openStore({}, directory);
    expect(store.health().findings.map(({ kind }) => kind)).toContain("log-gap");
    expect(store.put(message()).queueOffset).toBe(40);
  });
});
