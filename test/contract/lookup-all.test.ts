import { describe, expect, test } from "vitest";
import type { Store, StoredMessage } from "../../src/index.ts";
import { bytes, message, openStore, text, thrown } from "./temporary-store.ts";

const bodies = (found: StoredMessage[][]): string[][] =>
  found.map((messages) => messages.map(({ body }) => text(body)));

async function filled(): Promise<Store> {
  const store = await openStore();
  for (const [body, ...keys] of [["1", "a"], ["2", "b"], ["3", "a", "b"], ["4"], ["5", "c"]]) {
    store.put(message({ body: bytes(body as string), keys }));
  }
  return store;
}

describe("lookupAll", () => {
  test("answers each key with its messages, newest first, in the order of the keys", async () => {
    const store = await filled();
    expect(bodies(store.lookupAll("orders", ["b", "none", "a", "c"]))).toEqual([["3", "2"], [], ["3", "1"], ["5"]]);
    expect(bodies(store.lookupAll("orders", ["none"]))).toEqual([[]]);
    expect(store.lookupAll("orders", [])).toEqual([]);
    expect(bodies(store.lookupAll("other", ["a", "b"]))).toEqual([[], []]);
  });

  test("a key that is asked for twice is answered twice", async () => {
    const store = await filled();
    expect(bodies(store.lookupAll("orders", ["a", "a", "c", "a"]))).toEqual([
      ["3", "1"],
      ["3", "1"],
      ["5"],
      ["3", "1"],
    ]);
  });

  test("answers what lookup answers for each", async () => {
    let now = 1_700_000_000_000;
    const store = await openStore({ clock: () => now, indexSlots: 16, indexEntries: 64 });
    const keys = ["Aa", "BB", "k", "标签", "🚀", "\ud800", "a#b", "7F0000010BAD00000066000000000000", "x".repeat(200)];
    for (let i = 0; i < 300; i++, now += 10) {
      const key = keys[i % keys.length] as string;
      store.put(message({ body: bytes(String(i)), keys: [key, key], properties: { UNIQ_KEY: `u${i % 7}` } }));
    }
    const asked = [...keys, "nobody", "u0", "u6", "y".repeat(40_000)];
    const begin = 1_700_000_000_500;
    for (const options of [undefined, { max: 3 }, { begin }, { begin, end: begin + 900, max: 5 }]) {
      const found = store.lookupAll("orders", asked, options);
      const singly = asked.map((key) => store.lookup("orders", key, options));
      expect(bodies(found)).toEqual(bodies(singly));
    }
    expect(store.lookupAll("orders", ["Aa", "u0"]).map(({ length }) => length)).toEqual([34, 43]);
  });

  test("max bounds each key's messages", async () => {
    const store = await openStore();
    for (let i = 0; i < 100; i++) store.put(message({ keys: ["k", "l"], body: bytes(String(i)) }));
    expect(bodies(store.lookupAll("orders", ["k", "l"], { max: 2 }))).toEqual([
      ["99", "98"],
      ["99", "98"],
    ]);
    expect(store.lookupAll("orders", ["k"])[0]).toHaveLength(64);
    expect(store.lookupAll("orders", ["k", "l"], { max: 1000 }).map(({ length }) => length)).toEqual([100, 100]);
  });

  test("thousands of keys at once", async () => {
    const store = await openStore();
    store.putBatch(Array.from({ length: 500 }, (_, i) => message({ keys: [`k${i}`], body: bytes(`${i}`) })));
    const numbers = Array.from({ length: 20_000 }, (_, i) => (i * 7) % 1000);
    const found = store.lookupAll(
      "orders",
      numbers.map((number) => `k${number}`),
    );
    expect(bodies(found)).toEqual(numbers.map((number) => (number < 500 ? [`${number}`] : [])));
  });

  test("an answer of many megabytes", async () => {
    const store = await openStore({ segmentBytes: 32 * 1024 * 1024, maxMessageBytes: 4 * 1024 * 1024 });
    for (const number of [1, 2, 3]) {
      store.put(message({ keys: ["k", `k${number}`], body: new Uint8Array(3_000_000).fill(number) }));
    }
    const found = store.lookupAll("orders", ["k1", "k", "none", "k3", "k"]);
    const first = ({ body }: StoredMessage) => [body[0], body.length, body.at(-1)];
    const [one, two, three] = [1, 2, 3].map((number) => [number, 3_000_000, number]);
    expect(found.map((messages) => messages.map(first))).toEqual([
      [one],
      [three, two, one],
      [],
      [three],
      [three, two, one],
    ]);
  });

  test("messages stay what they were after further lookups and the close", async () => {
    const store = await filled();
    const found = store.lookupAll("orders", ["a", "b"]);
    for (let i = 0; i < 100; i++) store.lookupAll("orders", ["c", "b", "a"]);
    await store.close();
    expect(bodies(found)).toEqual([
      ["3", "1"],
      ["3", "2"],
    ]);
    // The memory is theirs alone: as many bytes as the records have, and nobody else's.
    const records = found.flat();
    const { buffer } = (records[0] as StoredMessage).raw;
    expect(buffer.byteLength).toBe(records.reduce((sum, { size }) => sum + size, 0));
  });

  const hostile = (at: number, get: () => unknown): string[] => {
    const keys = ["a", "b", "c"];
    return Object.defineProperty(keys, at, { enumerable: true, get });
  };

  test("a getter of the array that throws is a wrong argument", async () => {
    const store = await filled();
    const keys = hostile(1, () => {
      throw new Error("mine");
    });
    const error = thrown(() => store.lookupAll("orders", keys));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "keys[1]" } });
    expect(error.cause).toMatchObject({ message: "mine" });
  });

  test("a getter of the array that closes the store", async () => {
    const store = await filled();
    let closed: Promise<void> | undefined;
    const keys = hostile(2, () => {
      closed = store.close();
      return "a";
    });
    expect(thrown(() => store.lookupAll("orders", keys)).code).toBe("STORE_CLOSED");
    await closed;
  });

  test("a getter of the array that looks up something else, or changes the array", async () => {
    const store = await filled();
    const keys: string[] = hostile(1, () => {
      store.lookup("orders", "c");
      store.lookupAll("orders", ["c", "c"]);
      keys.push("c");
      return "b";
    });
    expect(bodies(store.lookupAll("orders", keys))).toEqual([["3", "1"], ["3", "2"], ["5"]]);
    const shrunk: string[] = hostile(0, () => {
      shrunk.length = 1;
      return "a";
    });
    expect(thrown(() => store.lookupAll("orders", shrunk)).details).toMatchObject({ argument: "keys[1]" });
  });

  const many = (count: number, key: string) => Array.from({ length: count }, () => key);
  test.each([
    ["no array", ["orders", "a"], "keys"],
    ["a set", ["orders", new Set(["a"])], "keys"],
    ["something like an array", ["orders", { length: 1, 0: "a" }], "keys"],
    ["a proxy of an array", ["orders", new Proxy(["a"], {})], "keys"],
    ["nothing", ["orders"], "keys"],
    ["too many keys", ["orders", many(65_537, "a")], "keys"],
    ["too many bytes of keys", ["orders", many(300, "a".repeat(30_000))], "keys"],
    ["an empty key", ["orders", ["a", "b", "c", ""]], "keys[3]"],
    ["a key with a space", ["orders", ["a", "a b"]], "keys[1]"],
    ["a key that is no string", ["orders", ["a", "b", 7]], "keys[2]"],
    ["a hole", ["orders", Object.assign([], { 1: "a" })], "keys[0]"],
    ["a topic that is none", ["a/b", ["k"]], "topic"],
    ["begin below 0", ["orders", ["k"], { begin: -1 }], "options.begin"],
    ["max 0", ["orders", ["k"], { max: 0 }], "options.max"],
    ["an unknown option", ["orders", ["k"], { limit: 5 }], "options.limit"],
  ])("refuses %s", async (_name, args, argument) => {
    const store = await filled();
    const error = thrown(() => store.lookupAll(...(args as unknown as [string, string[]])));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
    expect(bodies(store.lookupAll("orders", ["a"]))).toEqual([["3", "1"]]);
  });
});
