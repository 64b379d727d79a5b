/** A log far above 4 GiB: offsets are 64 bits, also where addresses are 32. */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";
import { ENGINES, temporaryDirectory } from "./engines.ts";

const SEGMENT = 64 * 1024;
/** Log and queue begin here: what was before has been removed. */
const STARTS = [6 * 2 ** 30, 2 ** 32 - SEGMENT];
const MESSAGES = 250;
const SIZES: StoreOptions = { segmentBytes: SEGMENT, queueFileEntries: 50, indexSlots: 16, indexEntries: 100 };

/** A store of which nothing is left but an empty file of the log. */
function farStore(start: number): string {
  const path = temporaryDirectory();
  mkdirSync(join(path, "commitlog"));
  const file = join(path, "commitlog", String(start).padStart(20, "0"));
  writeFileSync(file, "");
  truncateSync(file, SEGMENT);
  return path;
}

const body = (n: number) => new TextEncoder().encode(`${n} `.repeat(100));

/** Every message from `first` on is found in every way; what is near it modulo 2³² is not. */
function expectAll(store: Store, offsets: readonly number[], first: number): void {
  expect(store.log.minOffset).toBeLessThanOrEqual(offsets[first] as number);
  const scanned = [...store.scan()].flatMap((item) => (item.kind === "message" ? [item.message.physicalOffset] : []));
  expect(scanned).toEqual(offsets.slice(first));
  for (const [n, physicalOffset] of offsets.entries()) {
    if (n < first) continue;
    expect(store.at(physicalOffset)?.body).toEqual(body(n));
    expect(store.at(physicalOffset + 2 ** 32)).toBeUndefined();
    if (physicalOffset >= 2 ** 32) expect(store.at(physicalOffset % 2 ** 32)).toBeUndefined();
    expect(store.lookup("t", `k${n}`).map((found) => found.physicalOffset)).toEqual([physicalOffset]);
    const [found] = store.get("t", 0, n, { max: 1 }).messages;
    expect(found?.physicalOffset).toBe(physicalOffset);
    expect(store.get("t", 0, n + 2 ** 32).status).toBe("OFFSET_OVERFLOW_BADLY");
    expect(store.timeOf("t", 0, n + 2 ** 32)).toBeUndefined();
  }
  expect([...store.entries("t", 0, { from: 2 ** 32 + first })]).toEqual([]);
}

describe.each(STARTS)("of a log that begins at %i", (start) => {
  test("everything is put, read, expired, and built again by both engines", async () => {
    const path = farStore(start);
    let now = 1_700_000_000_000;
    const open = async (engine: (typeof ENGINES)[number]) => {
      const store = await Store.open(path, { ...SIZES, engine, clock: () => now++ });
      onTestFinished(() => store.close().catch(() => {}));
      return store;
    };
    const first = await open("wasm");
    expect(first.log).toMatchObject({ minOffset: start, endOffset: start });
    const message = (n: number) => ({ topic: "t", queueId: 0, body: body(n), keys: [`k${n}`] });
    const offsets = Array.from({ length: MESSAGES }, (_, n) => first.put(message(n)).physicalOffset);
    expect(await first.flush()).toBe(first.log.endOffset);
    expectAll(first, offsets, 0);
    await first.close();
    for (const engine of ENGINES) {
      const store = await open(engine);
      expect(store.health().findings).toEqual([]);
      expectAll(store, offsets, 0);
      expect(await store.verify({ deep: true })).toEqual([]);
      await store.close();
    }

    const expiring = await open("wasm");
    const { minOffset } = await expiring.expire({ maxBytes: SEGMENT });
    const kept = offsets.findIndex((offset) => offset >= minOffset);
    expect(kept).toBeGreaterThan(0);
    expectAll(expiring, offsets, kept);
    await expiring.close();
    for (const name of ["consumequeue", "index", "checkpoint", "moraine"])
      rmSync(join(path, name), { recursive: true });
    for (const engine of [...ENGINES].reverse()) {
      const store = await open(engine);
      expectAll(store, offsets, kept);
      await store.close();
    }
  });
});
