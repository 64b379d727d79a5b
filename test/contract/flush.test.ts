import { describe, expect, test } from "vitest";
import type { AppendOptions, Message } from "../../src/index.ts";
import { message, messages, openStore, rejected } from "./temporary-store.ts";

describe("flush", () => {
  test("resolves with the durable position, which has reached everything put so far", async () => {
    const store = await openStore();
    const { endOffset } = store.putBatch(messages(10));
    expect(await store.flush()).toBeGreaterThanOrEqual(endOffset);
    expect(store.log.durableOffset).toBe(endOffset);
  });

  test("of an empty store, and with nothing left to sync, resolves", async () => {
    const store = await openStore();
    expect(await store.flush()).toBe(0);
    const { endOffset } = store.put(message());
    expect(await store.flush()).toBe(endOffset);
    expect(await store.flush()).toBe(endOffset);
  });

  test("up to an offset", async () => {
    const store = await openStore();
    const first = store.put(message());
    store.put(message());
    expect(await store.flush(first.endOffset)).toBeGreaterThanOrEqual(first.endOffset);
    expect(await store.flush(0)).toBeGreaterThanOrEqual(first.endOffset);
  });

  test("up to an offset behind the end is out of range", async () => {
    const store = await openStore();
    const { endOffset } = store.put(message());
    const error = await rejected(store.flush(endOffset + 1));
    expect(error).toMatchObject({ code: "STORE_OFFSET_OUT_OF_RANGE", details: { argument: "upTo" } });
    expect(error.message).toContain(String(endOffset + 1));
    expect(error.message).toContain(String(endOffset));
  });

  test.each([-1, 0.5, Number.NaN, "1", null, 1n])("up to %s is no offset", async (wrong) => {
    const store = await openStore();
    expect(await rejected(store.flush(wrong as number))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "upTo" },
    });
  });

  test("many that wait are settled in the order of their offsets", async () => {
    const store = await openStore();
    const settled: number[] = [];
    const waits = messages(100).map((each) => {
      const { endOffset } = store.put(each);
      return store.flush(endOffset).then((durable) => {
        expect(durable).toBeGreaterThanOrEqual(endOffset);
        settled.push(endOffset);
      });
    });
    await Promise.all(waits);
    expect(settled).toEqual([...settled].sort((a, b) => a - b));
    expect(settled).toHaveLength(100);
  });

  test("that come in any order of their offsets are all settled", async () => {
    const store = await openStore();
    const offsets = [...store.putBatch(messages(50))].map(({ endOffset }) => endOffset);
    await Promise.all([...offsets.reverse(), ...offsets].map((offset) => store.flush(offset)));
    expect(store.log.durableOffset).toBe(store.log.endOffset);
  });

  test("messages that are put while a flush is under way do not keep it waiting", async () => {
    const store = await openStore();
    const first = store.put(message());
    let isSettled = false;
    const flushed = store.flush(first.endOffset).then(() => {
      isSettled = true;
    });
    while (!isSettled) {
      store.put(message());
      await new Promise(setImmediate);
    }
    await flushed;
  });
});

describe("append", () => {
  test("in an asynchronous store settles once the message is in the log", async () => {
    const store = await openStore({ flush: "async" });
    expect(await store.append(message())).toMatchObject({ queueOffset: 0, physicalOffset: 0 });
  });

  test("in a synchronous store settles once the message is durable", async () => {
    const store = await openStore({ flush: "sync" });
    const results = await Promise.all(messages(100).map((each) => store.append(each)));
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual([...Array(100).keys()]);
    expect(store.log.durableOffset).toBe(results.at(-1)?.endOffset);
  });

  test("settles as durability says", async () => {
    const asynchronous = await openStore({ flush: "async" });
    const durable = await asynchronous.append(message(), { durability: "disk" });
    expect(asynchronous.log.durableOffset).toBeGreaterThanOrEqual(durable.endOffset);
    const synchronous = await openStore({ flush: "sync" });
    expect(await synchronous.append(message(), { durability: "memory" })).toMatchObject({ queueOffset: 0 });
  });

  test("rejects where put throws", async () => {
    const store = await openStore();
    expect(await rejected(store.append({} as Message))).toMatchObject({ code: "STORE_INVALID_ARGUMENT" });
  });

  test.each([
    [{ durability: "cloud" }, "options.durability"],
    [{ sync: true }, "options.sync"],
    ["disk", "options"],
  ])("refuses %j and stores nothing", async (options, argument) => {
    const store = await openStore();
    expect(await rejected(store.append(message(), options as AppendOptions))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument },
    });
    expect(store.log.endOffset).toBe(0);
  });
});

describe('with flush: "sync"', () => {
  test("a message is visible once it is durable, and its offset is taken before", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    const { endOffset, physicalOffset } = store.put(message({ keys: ["k"] }));
    expect(store.get("orders", 0, 0).messages).toEqual([]);
    expect(store.lookup("orders", "k")).toEqual([]);
    expect(store.at(physicalOffset)).toBeUndefined();
    expect([...store.scan()]).toEqual([]);
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 0, next: 1 });
    expect(store.log).toMatchObject({ endOffset, visibleOffset: 0 });
    await store.flush();
    expect(store.get("orders", 0, 0).messages).toHaveLength(1);
    expect(store.lookup("orders", "k")).toHaveLength(1);
    expect(store.at(physicalOffset)).toBeDefined();
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 1, next: 1 });
    expect(store.log.visibleOffset).toBe(endOffset);
  });
});
