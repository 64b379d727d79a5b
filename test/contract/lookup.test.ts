import { describe, expect, test } from "vitest";
import { bytes, message, openStore, temporaryDirectory, text, thrown } from "./temporary-store.ts";

describe("lookup", () => {
  test("finds the messages with a key, newest first", async () => {
    const store = await openStore();
    for (const [body, ...keys] of [["1", "a"], ["2", "b"], ["3", "a", "b"], ["4"]]) {
      store.put(message({ body: bytes(body as string), keys }));
    }
    const found = (key: string) => store.lookup("orders", key).map(({ body }) => text(body));
    expect(found("a")).toEqual(["3", "1"]);
    expect(found("b")).toEqual(["3", "2"]);
    expect(found("c")).toEqual([]);
  });

  test("finds a message by its UNIQ_KEY", async () => {
    const store = await openStore();
    const { physicalOffset } = store.put(message({ properties: { UNIQ_KEY: "7F0000010BAD00000066000000000000" } }));
    const found = store.lookup("orders", "7F0000010BAD00000066000000000000");
    expect(found.map((each) => each.physicalOffset)).toEqual([physicalOffset]);
  });

  test("keys of one topic are not those of another", async () => {
    const store = await openStore();
    store.put(message({ topic: "a", keys: ["k"] }));
    expect(store.lookup("b", "k")).toEqual([]);
    expect(store.lookup("a", "k")).toHaveLength(1);
  });

  test("keys of the same hash are told apart", async () => {
    const store = await openStore();
    for (const key of ["Aa", "BB", "AaAa", "BBBB", "AaBB"]) store.put(message({ keys: [key], body: bytes(key) }));
    for (const key of ["Aa", "BB", "AaAa", "BBBB", "AaBB"]) {
      expect(store.lookup("orders", key).map(({ body }) => text(body))).toEqual([key]);
    }
  });

  test("a key that a message has twice finds it once", async () => {
    const store = await openStore();
    store.put(message({ keys: ["k", "k"], properties: { UNIQ_KEY: "k" } }));
    expect(store.lookup("orders", "k")).toHaveLength(1);
  });

  test("keys may have any characters but spaces", async () => {
    const store = await openStore();
    const keys = ["标签", "🚀", "a#b", "a\tb"];
    store.put(message({ keys }));
    for (const key of keys) expect(store.lookup("orders", key)).toHaveLength(1);
  });

  test("begin and end bound the store timestamp, both included", async () => {
    let now = 0;
    const store = await openStore({ clock: () => now });
    for (now = 1_700_000_000_000; now < 1_700_000_005_000; now += 1000) store.put(message({ keys: ["k"] }));
    const found = (begin?: number, end?: number) =>
      store.lookup("orders", "k", { begin, end }).map(({ storeTimestamp }) => storeTimestamp - 1_700_000_000_000);
    expect(found()).toEqual([4000, 3000, 2000, 1000, 0]);
    expect(found(1_700_000_001_000, 1_700_000_003_000)).toEqual([3000, 2000, 1000]);
    expect(found(1_700_000_001_001)).toEqual([4000, 3000, 2000]);
    expect(found(undefined, 1_700_000_000_999)).toEqual([0]);
  });

  test("max bounds the answer to the newest", async () => {
    const store = await openStore();
    for (let i = 0; i < 100; i++) store.put(message({ keys: ["k"], body: bytes(String(i)) }));
    expect(store.lookup("orders", "k", { max: 2 }).map(({ body }) => text(body))).toEqual(["99", "98"]);
    expect(store.lookup("orders", "k")).toHaveLength(64);
    expect(store.lookup("orders", "k", { max: 1000 })).toHaveLength(100);
  });

  test("reaches over several index files", async () => {
    const store = await openStore({ indexSlots: 16, indexEntries: 64 });
    for (let i = 0; i < 300; i++) store.put(message({ keys: [`k${i % 3}`], body: bytes(String(i)) }));
    const found = store.lookup("orders", "k1", { max: 1000 }).map(({ body }) => Number(text(body)));
    expect(found).toEqual(Array.from({ length: 100 }, (_, i) => 298 - 3 * i));
  });

  test("without an index nothing is found", async () => {
    const store = await openStore({ index: false });
    store.put(message({ keys: ["k"] }));
    expect(store.lookup("orders", "k")).toEqual([]);
  });

  test("finds what was put without an index, once there is one again", async () => {
    const directory = await temporaryDirectory();
    for (const [n, index] of [true, false, false, true].entries()) {
      const store = await openStore({ index }, directory);
      store.put(message({ body: bytes(`m${n}`), keys: ["k"] }));
      await store.close();
    }
    const store = await openStore({ readOnly: true }, directory);
    expect(store.lookup("orders", "k").map(({ body }) => text(body))).toEqual(["m3", "m2", "m1", "m0"]);
  });

  test.each([
    ["an empty key", ["orders", ""], "key"],
    ["a key with a space", ["orders", "a b"], "key"],
    ["a key that is no string", ["orders", 7], "key"],
    ["a topic that is none", ["a/b", "k"], "topic"],
    ["begin below 0", ["orders", "k", { begin: -1 }], "options.begin"],
    ["end of text", ["orders", "k", { end: "now" }], "options.end"],
    ["max 0", ["orders", "k", { max: 0 }], "options.max"],
    ["an unknown option", ["orders", "k", { limit: 5 }], "options.limit"],
  ])("refuses %s", async (_name, args, argument) => {
    const store = await openStore();
    const error = thrown(() => store.lookup(...(args as [string, string])));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
  });
});
