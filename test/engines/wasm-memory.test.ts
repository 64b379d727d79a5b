/** The WebAssembly engine under any load: its memory has a limit, at which calls are refused and nothing else happens. */

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";

const MIB = 1024 * 1024;
const LIMIT_BYTES = 64 * MIB;
const small = new Uint8Array(100);

/** In memory where there is such a file system: ten thousand queues are twenty thousand files and folders. */
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "moraine-engines-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function opened(path: string, options: StoreOptions = {}): Promise<Store> {
  const store = await Store.open(path, { engine: "wasm", maxMessageBytes: LIMIT_BYTES, ...options });
  onTestFinished(() => store.close().catch(() => {}));
  return store;
}

/** Bytes of linear memory; the limit holds. */
function memoryOf(store: Store): number {
  const { linearMemoryBytes = 0 } = store.stats();
  expect(linearMemoryBytes).toBeGreaterThan(0);
  expect(linearMemoryBytes).toBeLessThanOrEqual(LIMIT_BYTES);
  return linearMemoryBytes;
}

test("whatever is put and read, the memory stays below its limit, and nothing is lost", async () => {
  const path = temporaryDirectory();
  const store = await opened(path);
  // All in one turn of the event loop: nothing is written behind meanwhile.
  const batch = Array.from({ length: 1000 }, (_, i) => ({ topic: "t", queueId: i % 4, body: small, keys: [`k${i}`] }));
  for (let i = 0; i < 150; i++) store.putBatch(batch);
  memoryOf(store);
  for (let n = 0; n < 10; n++) {
    store.putBatch(Array.from({ length: 1000 }, (_, queueId) => ({ topic: `q${n}`, queueId, body: small })));
  }
  memoryOf(store);
  for (let n = 0; n < 12; n++) store.put({ topic: "big", queueId: 0, body: new Uint8Array(4 * MIB).fill(n) });
  memoryOf(store);

  let next = 0;
  for (let n = 0; n < 12; n++) {
    const { messages, nextOffset } = store.get("big", 0, next, { max: 12, maxBytes: 80 * MIB });
    expect(messages[0]?.body[0]).toBe(n);
    expect(messages.length).toBeGreaterThan(0);
    next = nextOffset;
  }
  expect((await store.fetch("big", 0, 0, { max: 12, maxBytes: 80 * MIB })).messages.length).toBeGreaterThan(0);
  expect(store.lookup("t", "k7", { max: 1000 })).toHaveLength(150);
  let scanned = 0;
  for (const { kind } of store.scan()) scanned += kind === "message" ? 1 : 0;
  expect(scanned).toBe(160_012);
  memoryOf(store);
  await store.close();

  const again = await opened(path);
  expect(again.health().findings).toEqual([]);
  expect([0, 1, 2, 3].map((queueId) => again.offsets("t", queueId).max)).toEqual([37_500, 37_500, 37_500, 37_500]);
  expect(again.topics()).toHaveLength(12);
  memoryOf(again);
});

test("a message for which there is no memory is refused, and the next one is taken", async () => {
  const path = temporaryDirectory();
  const store = await opened(path);
  store.put({ topic: "t", queueId: 0, body: small });
  for (const size of [40, 60]) {
    const put = () => store.put({ topic: "t", queueId: 0, body: new Uint8Array(size * MIB) });
    expect(put).toThrow(expect.objectContaining({ code: "STORE_BUSY", message: expect.stringContaining("memory") }));
  }
  expect(store.put({ topic: "t", queueId: 0, body: small }).queueOffset).toBe(1);
  memoryOf(store);
  await store.close();
  const again = await opened(path);
  expect(again.offsets("t", 0).max).toBe(2);
});

test("an index that its memory cannot hold is refused before anything is made", async () => {
  const path = temporaryDirectory();
  const wide = { indexSlots: 20_000_000, indexEntries: 80_000_000 };
  await expect(opened(path, wide)).rejects.toMatchObject({
    code: "STORE_UNSUPPORTED",
    details: { engine: "wasm", argument: "options.indexSlots" },
  });
  expect(readdirSync(path)).toEqual([]);
  const store = await opened(path, { ...wide, index: false });
  expect(store.put({ topic: "t", queueId: 0, body: small, keys: ["k"] }).queueOffset).toBe(0);
  await store.close();
});
