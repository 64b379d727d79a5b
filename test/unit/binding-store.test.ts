import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  type EngineEvents,
  type EngineOptions,
  type EngineStore,
  GET_HEAD,
  GetHead,
  PUT_RESULT_HEADER,
  PUT_RESULT_STRIDE,
  SCAN_STRIDE,
  ScanKind,
} from "../../src/binding/contract.ts";
import { loadAddon, loadEngine, packageRoot } from "../../src/binding/load.ts";
import { StoreError } from "../../src/errors.ts";
import { batchOf, type PlainMessage } from "./binding-batch.ts";
import { noEvents, smallStore } from "./binding-options.ts";

const engine = loadEngine("native");
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "moraine-binding-"));
  cleanUp.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function open(
  options: Partial<EngineOptions> = {},
  events: Partial<EngineEvents> = {},
  directory = newDirectory(),
): Promise<EngineStore> {
  const store = await engine.open(directory, { ...smallStore, ...options }, { ...noEvents, ...events });
  cleanUp.push(() => store.close());
  return store;
}

interface Put {
  stored: number;
  storeTimestamp: number;
  endOffset: number;
  physicalOffsets: number[];
  sizes: number[];
}

function put(store: EngineStore, ...messages: PlainMessage[]): Put {
  const batch = batchOf(messages);
  const results = new Float64Array(PUT_RESULT_HEADER + PUT_RESULT_STRIDE * messages.length);
  const stored = store.put(batch, batch.length, messages.length, results);
  const column = (number: number) =>
    messages.map((_, at) => results[PUT_RESULT_HEADER + PUT_RESULT_STRIDE * at + number] ?? Number.NaN);
  const [storeTimestamp = Number.NaN, endOffset = Number.NaN] = results;
  return { stored, storeTimestamp, endOffset, physicalOffsets: column(0), sizes: column(2) };
}

function get(store: EngineStore, topic: string, queueId: number, offset: number, room = 65_536) {
  const max = 32;
  const out = Buffer.alloc(room);
  const columns = new Float64Array(GET_HEAD + max);
  const name = Buffer.from(topic);
  store.get(name, name.length, queueId, offset, max, room, new Uint8Array(0), out, columns);
  const head = Object.entries(GetHead).map(([name, at]) => [name, columns[at]]);
  const { messages, bytes, ...rest } = Object.fromEntries(head) as Record<keyof typeof GetHead, number>;
  return {
    ...rest,
    messages,
    bytes: out.subarray(0, bytes),
    queueOffsets: [...columns.subarray(GET_HEAD, GET_HEAD + messages)],
  };
}

/** Records with a key of the topic `orders`. */
function lookup(store: EngineStore, key: string): Uint8Array {
  const texts = ["orders", key].flatMap((text) => [Uint8Array.of(text.length, 0, 0, 0), Buffer.from(text)]);
  const asked = Buffer.concat(texts);
  return store.lookup(asked, asked.length, new Float64Array(1), 0, 2 ** 53 - 1, 10);
}

function positions(store: EngineStore): number[] {
  const out = new Float64Array(4);
  store.positions(out);
  return [...out];
}

async function rejection(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}

const orders = (body: string, properties = ""): PlainMessage => ({ topic: "orders", body, properties });

describe("a message", () => {
  it("comes back from its queue, by its offset, its key and from a scan as the same bytes", async () => {
    const store = await open();
    const { stored, physicalOffsets, sizes, endOffset } = put(store, orders("one", "KEYS\u0001k1"), orders("two"));
    expect([stored, physicalOffsets, endOffset]).toEqual([2, [0, sizes[0]], (sizes[0] ?? 0) + (sizes[1] ?? 0)]);

    const got = get(store, "orders", 0, 0);
    expect(got).toMatchObject({
      status: 0,
      messages: 2,
      queueOffsets: [0, 1],
      nextOffset: 2,
      minOffset: 0,
      maxOffset: 2,
    });
    expect(got.bytes.length).toBe(endOffset);
    const first = got.bytes.subarray(0, sizes[0]);
    expect(first.includes("one")).toBe(true);

    expect(Buffer.from(store.at(0) ?? []).equals(first)).toBe(true);
    expect(Buffer.from(lookup(store, "k1")).equals(first)).toBe(true);
    const scanned = store.scan(0, endOffset, 10, 65_536);
    expect([...scanned.items]).toEqual([ScanKind.message, 0, sizes[0], ScanKind.message, sizes[0], sizes[1]]);
    expect(scanned.items.length % SCAN_STRIDE).toBe(0);
    expect(Buffer.from(scanned.bytes).equals(got.bytes)).toBe(true);
    expect([scanned.next, scanned.reasons]).toEqual([endOffset, []]);
  });

  it("is found by its queue and its time", async () => {
    let now = 1_700_000_000_000;
    const store = await open({ clock: () => now });
    put(store, orders("one"));
    now += 1000;
    expect(put(store, orders("two")).storeTimestamp).toBe(1_700_000_001_000);
    put(store, { topic: "other", queueId: 3, body: "three" });

    expect(store.topics()).toEqual(["orders", "other"]);
    expect(store.queues("other")).toEqual([3]);
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 2, next: 2 });
    expect(store.timeOf("orders", 0, 1)).toBe(1_700_000_001_000);
    expect(store.timeOf("orders", 0, 2)).toBeUndefined();
    expect(store.offsetByTime("orders", 0, 1_700_000_000_500, "lower")).toBe(1);
    expect(store.offsetByTime("orders", 0, 1_700_000_000_500, "upper")).toBe(0);
    const { start, entries } = store.entries("orders", 0, 1, 10);
    expect([start, entries.length, entries[2]]).toEqual([1, 3, 0]);
  });

  it("is not where nothing starts", async () => {
    const store = await open();
    put(store, orders("one"));
    expect(store.at(1 << 19)).toBeUndefined();
    expect(lookup(store, "nobody").length).toBe(0);
    expect(get(store, "orders", 0, 7)).toMatchObject({ messages: 0, status: 4 });
  });

  it("that does not fit the output says how many bytes it needs", async () => {
    const store = await open();
    const { sizes } = put(store, orders("x".repeat(500)));
    expect(get(store, "orders", 0, 0, 100)).toMatchObject({ messages: 0, needed: sizes[0] });
  });
});

describe("a flush", () => {
  it("settles with everything that had been put when it was asked for", async () => {
    const durable: number[] = [];
    let settled = () => {};
    const store = await open({ flushIntervalMs: 60_000 }, { onSettled: (offset) => durable.push(offset) && settled() });
    const { endOffset } = put(store, orders("one"));
    await new Promise<void>((resolve) => {
      settled = resolve;
      store.requestFlush();
    });
    expect(durable.at(-1)).toBe(endOffset);
    expect(positions(store)).toEqual([0, endOffset, endOffset, endOffset]);
  });

  it("settles also when nothing is left to sync", async () => {
    let settled: (offset: number) => void = () => {};
    const store = await open({}, { onSettled: (offset) => settled(offset) });
    const offset = await new Promise<number>((resolve) => {
      settled = resolve;
      store.requestFlush();
    });
    expect(offset).toBe(0);
  });

  it("settles once for all that ask while a sync runs", async () => {
    let calls = 0;
    let settled = () => {};
    const store = await open(
      { flushIntervalMs: 60_000 },
      { onSettled: (offset) => ++calls && offset === end && settled() },
    );
    let end = Number.NaN;
    await new Promise<void>((resolve) => {
      settled = resolve;
      for (let asked = 0; asked < 1000; asked += 1) {
        end = put(store, orders("one")).endOffset;
        store.requestFlush();
      }
    });
    expect(calls).toBeLessThan(1000);
  });
});

describe("an error", () => {
  it("of a put is there to be taken, with what was stored", async () => {
    const store = await open();
    expect(put(store, orders("fits"), orders("x".repeat(smallStore.maxMessageBytes + 1))).stored).toBe(0);
    const error = store.takeError();
    expect(error).toBeInstanceOf(StoreError);
    expect(error.code).toBe("STORE_MESSAGE_TOO_LARGE");
    expect(positions(store)).toEqual([0, 0, 0, 0]);
  });

  it("of a put into a read-only store is STORE_READ_ONLY", async () => {
    const directory = newDirectory();
    const writer = await open({}, {}, directory);
    put(writer, orders("one"));
    const reader = await open({ readOnly: true, create: false }, {}, directory);
    expect(put(reader, orders("two")).stored).toBe(0);
    expect(reader.takeError().code).toBe("STORE_READ_ONLY");
    expect(get(reader, "orders", 0, 0).messages).toBe(1);
  });

  it("of an open rejects, and says what would be right", async () => {
    const directory = newDirectory();
    const file = join(directory, "notes.txt");
    writeFileSync(file, "no store");
    const error = await rejection(engine.open(directory, { ...smallStore, create: false }, noEvents));
    expect([error.code, error.details.argument, error.details.path]).toEqual([
      "STORE_INVALID_ARGUMENT",
      "path",
      directory,
    ]);
    expect((await rejection(engine.open(file, smallStore, noEvents))).details.path).toContain(file);
    const held = newDirectory();
    await open({}, {}, held);
    expect((await rejection(engine.open(held, smallStore, noEvents))).code).toBe("STORE_LOCKED");
  });

  it("of a wrong type, which the addon does not get to see as its own, is STORE_INVALID_ARGUMENT", async () => {
    const store = await open();
    const wrong = { toString: () => "orders" } as unknown as string;
    expect(() => store.offsets(wrong, 0)).toThrow(expect.objectContaining({ code: "STORE_INVALID_ARGUMENT" }));
    const path = 7 as unknown as string;
    expect((await rejection(engine.open(path, smallStore, noEvents))).code).toBe("STORE_INVALID_ARGUMENT");
  });

  it("has text of every alphabet, quotes and control characters as they were", async () => {
    const directory = join(newDirectory(), 'no "store"\n\u0001\\ – 店');
    const error = await rejection(engine.open(directory, { ...smallStore, create: false }, noEvents));
    expect(error.details.path).toBe(directory);
  });
});

describe("the clock of a test", () => {
  it("that throws or gives no time stores nothing", async () => {
    let clock = (): number => 1_700_000_000_000;
    const store = await open({ clock: () => clock() });
    clock = () => {
      throw new Error("stopped");
    };
    expect(() => put(store, orders("one"))).toThrow(expect.objectContaining({ details: { argument: "clock" } }));
    clock = () => Number.NaN;
    expect(() => put(store, orders("one"))).toThrow(expect.objectContaining({ details: { argument: "clock" } }));
    expect(positions(store)).toEqual([0, 0, 0, 0]);
  });
});

describe("a store", () => {
  it("tells its health and counts", async () => {
    const store = await open();
    put(store, orders("one", "KEYS\u0001k1"));
    expect(store.stats()).toMatchObject({ messagesPut: 1, queues: 1, segments: 1 });
    const health = store.health();
    expect(health).toMatchObject({ clean: true, findings: [], segmentBytes: 1 << 20, queueFileEntries: 1000 });
    expect(health.files).toContainEqual({ path: "commitlog/00000000000000000000", bytes: 1 << 20, kind: "commitlog" });
  });

  it("closes once, however often it is asked, and answers STORE_CLOSED from then on", async () => {
    const directory = newDirectory();
    const store = await open({}, {}, directory);
    put(store, orders("one"));
    const closing = store.close();
    expect(store.close()).toBe(closing);
    await closing;
    const closed = expect.objectContaining({ code: "STORE_CLOSED" });
    expect(() => store.topics()).toThrow(closed);
    expect(() => put(store, orders("two"))).toThrow(closed);
    expect(() => store.requestFlush()).toThrow(closed);
    const again = await open({}, {}, directory);
    expect(again.health().clean).toBe(true);
    expect(get(again, "orders", 0, 0).messages).toBe(1);
  });

  it("reports the progress of its recovery", async () => {
    const directory = newDirectory();
    const first = await open({}, {}, directory);
    put(first, orders("one"));
    await first.close();
    writeFileSync(join(directory, "abort"), "");
    const phases: string[] = [];
    await open({}, { onProgress: (phase, done, total) => done <= total && phases.push(phase) }, directory);
    expect(phases).toContain("log");
  });
});

describe("numbers that both languages know", () => {
  it("agree", () => {
    expect(loadAddon(packageRoot)).toMatchObject({
      PUT_RESULT_HEADER,
      PUT_RESULT_STRIDE,
      GET_HEAD,
      SCAN_STRIDE,
      SCAN_MESSAGE: ScanKind.message,
      SCAN_BLANK: ScanKind.blank,
      SCAN_DAMAGED: ScanKind.damaged,
    });
    expect(Object.keys(GetHead)).toHaveLength(GET_HEAD);
  });
});
