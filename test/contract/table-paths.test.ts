/** Tables by paths: one entry of many is set, read and removed within the objects of a table. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { JsonValue } from "../../src/index.ts";
import { openStore, temporaryDirectory, thrown } from "./temporary-store.ts";

const config = (store: { path: string }, name: string): Promise<string> =>
  readFile(join(store.path, "config", name), "utf8");

test("an entry is set, read and removed within objects", async () => {
  const path = await temporaryDirectory();
  const store = await openStore({}, path);
  const table = store.table("settings");
  table.set(["limits", "day", "orders"], 5);
  table.set(["limits", "day", "bills"], [1]);
  expect(table.get("limits")).toEqual({ day: { orders: 5, bills: [1] } });
  expect(table.keys(["limits", "day"])).toEqual(["orders", "bills"]);
  expect(table.entries(["limits", "day"])).toEqual([
    ["orders", 5],
    ["bills", [1]],
  ]);
  expect([
    table.has(["limits", "day"]),
    table.has(["limits", "year"]),
    table.has(["limits", "day", "bills", "0"]),
  ]).toEqual([true, false, false]);
  expect([table.keys(["limits", "day", "bills"]), table.keys(["none", "there"])]).toEqual([[], []]);
  expect([table.delete(["limits", "day", "bills"]), table.delete(["limits", "day", "bills"])]).toEqual([true, false]);
  expect(table.delete(["none", "there"])).toBe(false);
  await store.close();
  expect(JSON.parse(await config(store, "settings.json"))).toEqual({ limits: { day: { orders: 5 } } });
});

test("within RocketMQ's tables the others stay as they were, and keys are of its kind", async () => {
  const path = await temporaryDirectory();
  await mkdir(join(path, "config"));
  const topics =
    '{"dataVersion":{"counter":7,"stateVersion":0,"timestamp":1},"topicConfigTable":{"a":{"perm":6,"newer":1.10},"b":{}}}';
  await writeFile(join(path, "config", "topics.json"), topics);
  const store = await openStore({ clock: () => 9 }, path);
  store.table("topics").set(["topicConfigTable", "b"], { perm: 4 });
  store.table("delayOffset").set(["offsetTable", "3"], 12);
  await store.close();
  expect(await config(store, "topics.json")).toBe(
    '{"dataVersion":{"counter":8,"stateVersion":0,"timestamp":9},"topicConfigTable":{"a":{"perm":6,"newer":1.10},"b":{"perm":4}}}',
  );
  expect(await config(store, "delayOffset.json")).toMatch(/"offsetTable":\{\s*3:12\s*\}/);
});

test("a list of keys is what stands at its places, whatever else it says of itself", async () => {
  class Keys extends Array<string> {
    override *[Symbol.iterator](): ArrayIterator<string> {
      for (;;) yield "k";
    }
  }
  const store = await openStore();
  const table = store.table("settings");
  table.set(Keys.of("a", "b"), 1);
  expect([table.get(Keys.of("a", "b")), table.keys(Keys.of("a"))]).toEqual([1, ["b"]]);
  const growing: string[] = [];
  const grow = (): string => {
    Object.defineProperty(growing, growing.length, { get: grow, enumerable: true, configurable: true });
    return "k";
  };
  grow();
  table.set(growing, 2);
  let asked = 0;
  const countless = { valueOf: () => (asked++ === 0 ? 1 : Number.POSITIVE_INFINITY) };
  table.set(new Proxy(["c"], { get: (keys, name) => (name === "length" ? countless : keys[0]) }), 3);
  // A value, too.
  growing.length = 0;
  grow();
  table.set("list", growing);
  expect(table.toJSON()).toEqual({ a: { b: 1 }, k: 2, c: 3, list: ["k"] });
  await store.close();
  expect(JSON.parse(await config(store, "settings.json"))).toEqual({ a: { b: 1 }, k: 2, c: 3, list: ["k"] });
});

test("a table as deep as can be is written, and read again", async () => {
  const store = await openStore();
  const deepest = Array<string>(256).fill("deep");
  store.table("settings").set(deepest, 1);
  await store.close();
  const again = await openStore({}, store.path);
  expect(again.table("settings").get(deepest)).toBe(1);
  expect(again.health().findings).toEqual([]);
});

test("nothing is set through something else than an object, nor under keys that are none", async () => {
  const table = (await openStore()).table("settings");
  table.set("limits", { day: 5 });
  const wrong: [unknown, RegExp][] = [
    [["limits", "day", "orders"], /key leads through "limits", "day" in the table settings, which is no object/],
    [[], /key is an empty list/],
    [["limits", 5], /key\[1\] is 5; it must be a string/],
    [5, /key is 5; it must be a string, or a list of strings/],
    [Array(257).fill("deep"), /key is a list of too many keys; at most 256/],
    [
      new Proxy([], {
        get: () => {
          throw new Error("no");
        },
      }),
      /key could not be read: a getter threw/,
    ],
  ];
  for (const [key, message] of wrong) {
    const error = thrown(() => table.set(key as string, 1));
    expect(error.code).toBe("STORE_INVALID_ARGUMENT");
    expect(error.details).toEqual({ argument: "key" });
    expect(error.message).toMatch(message);
  }
  expect(thrown(() => table.keys(5 as never)).details).toEqual({ argument: "within" });
  expect(table.toJSON()).toEqual({ limits: { day: 5 } });
  const nested = (depth: number): JsonValue => (depth === 0 ? {} : [nested(depth - 1)]);
  expect(thrown(() => table.set(["a", "b"], nested(254))).message).toMatch(/nested more than 256/);
  table.set(["a", "b"], nested(253));
});
