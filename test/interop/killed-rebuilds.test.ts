/** moraine is killed while it makes queues and index again, and RocketMQ opens the store first: its queues are complete. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { type Expected, expectedFrom } from "./expected.ts";
import { temporaryFolder } from "./folders.ts";
import { messagesOf } from "./found-by-us.ts";
import { LINES, type Line, oracleTest } from "./oracle.ts";
import { ServedOracle } from "./served-oracle.ts";
import { comparable, expectEveryEntry } from "./written.ts";

const CHILD = fileURLToPath(new URL("../faults/rebuilding-child.mjs", import.meta.url));
const TIMEOUT_MS = 600_000;
const MESSAGES = 3000;
const QUEUES = 20;
const SIZES = { segmentBytes: 262_144, queueFileEntries: 20, indexSlots: 64, indexEntries: 256 };

/** Queue files that are there again when the process dies; -1: none of the old ones has gone yet. */
const DEATHS = [-1, 0, 60];

const oracle = new ServedOracle();
afterAll(() => oracle.end());

/** A store that was closed, with some hundred queue files. */
async function made(line: Line): Promise<string> {
  const dir = join(temporaryFolder(), "store");
  const options: StoreOptions = { ...SIZES, compat: line === "4" ? "4.9" : "5" };
  const store = await Store.open(dir, options);
  store.putBatch(
    Array.from({ length: MESSAGES }, (_, n) => ({
      topic: n % 3 > 0 ? "orders" : "bills",
      queueId: n % QUEUES,
      tags: "paid",
      keys: [`k${n % 500}`],
      body: Buffer.from(`message ${n}`.padEnd(n % 90, ".")),
    })),
  );
  await store.close();
  return dir;
}

/** Between its making and its full length a file is empty: RocketMQ 4.9 loads no store with such a file, be it its own. */
function isLoadRefused(dir: string): boolean {
  const files = readdirSync(join(dir, "consumequeue"), { recursive: true, withFileTypes: true });
  return files.some((file) => file.isFile() && statSync(join(file.parentPath, file.name)).size === 0);
}

/** A copy of the store whose rebuild has died. */
function killed(whole: string, files: number): string {
  const dir = join(temporaryFolder(), "store");
  let said = "";
  for (let attempt = 0; attempt < 50; attempt++) {
    rmSync(dir, { recursive: true, force: true });
    cpSync(whole, dir, { recursive: true });
    const { signal, stdout, stderr } = spawnSync(process.execPath, [CHILD, dir, String(files)], { encoding: "utf8" });
    expect(stderr).toBe("");
    if (signal === "SIGKILL" && existsSync(join(dir, "moraine/rebuild")) && !isLoadRefused(dir)) return dir;
    said = stdout;
  }
  throw new Error(`no rebuild died in the middle: ${said}`);
}

function expectComplete(found: Expected, messages: number): void {
  expect(found.messages).toHaveLength(messages);
  expectEveryEntry(found);
  for (const { topic, queueId, minOffset, maxOffset } of found.queues) {
    const entries = found.entries.filter((one) => one.topic === topic && one.queueId === queueId);
    expect(minOffset).toBe(0);
    expect(entries.map(({ index }) => index)).toEqual(Array.from({ length: maxOffset }, (_, index) => index));
  }
  const orders = found.queues.filter(({ topic }) => topic === "orders" || topic === "bills");
  expect(orders.reduce((sum, { maxOffset }) => sum + maxOffset, 0)).toBe(messages);
}

describe.each(LINES)("a rebuild that was killed, then RocketMQ %s", (line) => {
  oracleTest(
    "finds complete queues, appends, and we find everything",
    async () => {
      const whole = await made(line);
      for (const files of DEATHS) {
        const dir = killed(whole, files);
        const scenario = join(temporaryFolder(), "scenario.json");
        const { segmentBytes: commitLogFileSize, queueFileEntries, ...index } = SIZES;
        const messageStoreConfig = line === "4" ? {} : { enabledAppendPropCRC: true };
        const store = { commitLogFileSize, consumeQueueFileSize: queueFileEntries * 20, ...index, messageStoreConfig };
        const step = { topic: "orders", queues: QUEUES, count: 40, size: [0, 100], keys: "java-{n}" };
        const steps = [{ do: "read" }, step, { do: "waitDispatch" }, { do: "read" }];
        writeFileSync(scenario, JSON.stringify({ seed: 5, firstMessage: 10_000, store, steps }));
        const lines = await oracle.ask(line, "append", dir, scenario, "--puts");
        const second = lines.findLastIndex(({ kind }) => kind === "open");

        const found = expectedFrom(lines.slice(0, second));
        expect(found.open).toMatchObject({ abort: true, loaded: true });
        expectComplete(found, MESSAGES);
        const after = expectedFrom(lines.slice(second));
        expect(after.messages.slice(0, MESSAGES)).toEqual(found.messages);
        expectComplete(after, MESSAGES + 40);

        const ours = await Store.open(dir, { create: false });
        try {
          expect(ours.health()).toMatchObject({ clean: true, findings: [] });
          expect(messagesOf(ours)).toEqual(after.messages.map(comparable));
          expectSameAnswers(ours, after);
          expect(existsSync(join(dir, "moraine/rebuild")), "the note is void, and gone").toBe(false);
        } finally {
          await ours.close();
        }
      }
    },
    TIMEOUT_MS,
  );
});
