/** Index files of ours that no process has closed: RocketMQ, which opens the store next, enters what they lack, and nothing else. */
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { Store } from "../../src/index.ts";
import { temporaryFolder } from "./folders.ts";
import { LINES, oracleTest, readWithOracle } from "./oracle.ts";

const SLOTS = 64;
const ENTRIES = 256;
const SMALL = { segmentBytes: 131_072, queueFileEntries: 100, indexSlots: SLOTS, indexEntries: ENTRIES };
const JAVA = { seed: 1, store: { indexSlots: SLOTS, indexEntries: ENTRIES }, steps: [] };
/** With one key each: two full files and a part of a third. */
const MESSAGES = 600;

interface IndexFile {
  endTimestamp: bigint;
  endPhysical: number;
  count: number;
  /** Whether entry `number` is in the file. */
  has(number: number): boolean;
}

function indexFiles(dir: string): IndexFile[] {
  const names = readdirSync(join(dir, "index")).sort();
  return names.map((name) => {
    const bytes = readFileSync(join(dir, "index", name));
    return {
      endTimestamp: bytes.readBigInt64BE(8),
      endPhysical: Number(bytes.readBigInt64BE(24)),
      count: bytes.readInt32BE(36),
      has: (number) => bytes.readBigInt64BE(40 + 4 * SLOTS + 20 * number + 4) > 0n,
    };
  });
}

/** Whether everything is in files, and the full ones are said to be whole. */
function isWritten(dir: string): boolean {
  const [, second, third] = indexFiles(dir);
  const last = MESSAGES - 2 * (ENTRIES - 1);
  const checkpoint = readFileSync(join(dir, "checkpoint"));
  return third?.has(last) === true && second?.count === ENTRIES && checkpoint.readBigInt64BE(16) >= second.endTimestamp;
}

describe.concurrent.each(LINES)("RocketMQ %s finds by its key, in a store that was not closed,", (line) => {
  oracleTest("each message once, and the one with which the newest full index file ends once more", async () => {
    const dir = join(temporaryFolder(), "store");
    const left = join(temporaryFolder(), "left");
    const store = await Store.open(dir, { ...SMALL, compat: line === "4" ? "4.9" : "5" });
    const places: number[] = [];
    for (let n = 0; n < MESSAGES; n++) {
      const message = { topic: "orders", queueId: 0, body: Buffer.from(`${n}`), keys: [`order-${n}`] };
      places.push(store.put(message).physicalOffset);
    }
    await store.flush();
    await expect.poll(() => isWritten(dir), { timeout: 60_000 }).toBe(true);
    // What a kill leaves: the store is at rest.
    cpSync(dir, left, { recursive: true });
    await store.close();

    const found = await readWithOracle(line, left, JAVA);
    expect(found.open).toMatchObject({ abort: true, loaded: true });
    const end = indexFiles(left)[1]?.endPhysical as number;
    const hits = found.keys.map(({ key, physicalOffsets }) => [key, physicalOffsets]);
    const expected = places.map((at, n) => [`order-${n}`, at === end ? [at, at] : [at]]);
    expect(Object.fromEntries(hits)).toEqual(Object.fromEntries(expected));
    expect(places).toContain(end);
  });
});
