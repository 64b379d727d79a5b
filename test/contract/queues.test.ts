import { describe, expect, test } from "vitest";
import type { Store } from "../../src/index.ts";
import { message, openStore, thrown } from "./temporary-store.ts";

/** Messages in queue 0 of `orders`, one for each store timestamp. */
async function storeAt(...times: number[]): Promise<Store> {
  let now = 0;
  const store = await openStore({ clock: () => now });
  for (const time of times) {
    now = time;
    store.put(message());
  }
  return store;
}

describe("offsets", () => {
  test("tell the range of a queue and what comes next", async () => {
    const store = await storeAt(1, 2, 3);
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 3, next: 3 });
  });

  test("of a queue that does not exist are 0, and asking makes none", async () => {
    const store = await storeAt(1);
    expect(store.offsets("orders", 1)).toEqual({ min: 0, max: 0, next: 0 });
    expect(store.offsets("nobody", 0)).toEqual({ min: 0, max: 0, next: 0 });
    expect(store.topics()).toEqual(["orders"]);
    expect(store.queues("orders")).toEqual([0]);
  });
});

describe("topics and queues", () => {
  test("are listed in order", async () => {
    const store = await openStore();
    for (const [topic, queueId] of [
      ["b", 10],
      ["a", 0],
      ["b", 9],
      ["B", 0],
      ["%RETRY%a", 0],
    ] as const) {
      store.put(message({ topic, queueId }));
    }
    expect(store.topics()).toEqual(["%RETRY%a", "B", "a", "b"]);
    expect(store.queues("b")).toEqual([9, 10]);
    expect(store.queues("c")).toEqual([]);
  });
});

describe("offsetByTime", () => {
  test("lower: the first message at or after the time", async () => {
    const store = await storeAt(10, 20, 20, 30);
    const found = [0, 10, 11, 20, 21, 30, 31].map((time) => store.offsetByTime("orders", 0, time));
    expect(found).toEqual([0, 0, 1, 1, 3, 3, 4]);
    expect(store.offsetByTime("orders", 0, 20, "lower")).toBe(1);
  });

  test("upper: the last message at or before the time", async () => {
    const store = await storeAt(10, 20, 20, 30);
    const found = [9, 10, 11, 20, 21, 30, 31].map((time) => store.offsetByTime("orders", 0, time, "upper"));
    expect(found).toEqual([0, 0, 0, 2, 2, 3, 3]);
  });

  test("of a queue that does not exist is 0", async () => {
    const store = await storeAt(10);
    expect(store.offsetByTime("nobody", 0, 10)).toBe(0);
  });
});

describe("timeOf", () => {
  test("is the store timestamp, undefined where there is no message", async () => {
    const store = await storeAt(10, 20);
    expect([0, 1, 2].map((offset) => store.timeOf("orders", 0, offset))).toEqual([10, 20, undefined]);
    expect(store.timeOf("nobody", 0, 0)).toBeUndefined();
  });
});

describe("entries", () => {
  test("are the units of the consume queue", async () => {
    const store = await openStore();
    const results = [
      store.put(message({ tags: "TagA" })),
      store.put(message({ tags: "order-created" })),
      store.put(message()),
      store.put(message({ tags: "🚀" })),
    ];
    const tagsCodes = [2_598_919, -392_709_271, 0, 1_773_027];
    expect(store.entries("orders", 0)).toEqual(
      results.map(({ physicalOffset, size }, i) => ({ physicalOffset, size, tagsCode: tagsCodes[i] })),
    );
  });

  test("begin at from, at most max of them", async () => {
    const store = await storeAt(1, 2, 3, 4);
    const all = store.entries("orders", 0);
    expect(store.entries("orders", 0, { from: 1, max: 2 })).toEqual(all.slice(1, 3));
    expect(store.entries("orders", 0, { from: 4 })).toEqual([]);
    expect(store.entries("orders", 0, { from: 9 })).toEqual([]);
    expect(store.entries("nobody", 0)).toEqual([]);
  });
});

describe("log", () => {
  test("of an empty store is all 0", async () => {
    const store = await openStore();
    expect(store.log).toEqual({ minOffset: 0, endOffset: 0, durableOffset: 0, visibleOffset: 0 });
  });

  test("its end moves with every put, and in an asynchronous store what is visible too", async () => {
    const store = await openStore({ flush: "async" });
    const { endOffset } = store.put(message());
    expect(store.log).toMatchObject({ endOffset, visibleOffset: endOffset });
    expect(store.log.durableOffset).toBeLessThanOrEqual(endOffset);
  });
});

describe("wrong arguments are refused by name", () => {
  const wrong: [string, (store: Store) => unknown, string][] = [
    ["offsets of no topic", (store) => store.offsets("", 0), "topic"],
    ["offsets of a queue id of text", (store) => store.offsets("a", "1" as unknown as number), "queueId"],
    ["offsetByTime before the epoch", (store) => store.offsetByTime("a", 0, -1), "timestamp"],
    ["offsetByTime of a Date", (store) => store.offsetByTime("a", 0, new Date() as unknown as number), "timestamp"],
    ["offsetByTime of neither side", (store) => store.offsetByTime("a", 0, 1, "middle" as "lower"), "boundary"],
    ["timeOf a fraction", (store) => store.timeOf("a", 0, 0.5), "queueOffset"],
    ["queues of a path", (store) => store.queues("../a"), "topic"],
    ["entries from below 0", (store) => store.entries("a", 0, { from: -1 }), "options.from"],
    ["entries, none of them", (store) => store.entries("a", 0, { max: 0 }), "options.max"],
    ["entries to", (store) => store.entries("a", 0, { to: 1 } as object), "options.to"],
    ["at below 0", (store) => store.at(-1), "physicalOffset"],
    ["at 2^53", (store) => store.at(2 ** 53), "physicalOffset"],
  ];

  test.each(wrong)("%s", async (_name, call, argument) => {
    const store = await openStore();
    expect(thrown(() => call(store))).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
  });
});
