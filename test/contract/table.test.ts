/** Tables: values in and out, what the files look like, and what a damaged one means. */
import { mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { JsonValue, Store } from "../../src/index.ts";
import { answer, openStore, rejected, temporaryDirectory, thrown } from "./temporary-store.ts";

/** A store directory whose `config/` has these files. */
async function storeWith(files: Record<string, string | Uint8Array>): Promise<string> {
  const path = await temporaryDirectory();
  await (await openStore({}, path)).close();
  await mkdir(join(path, "config"), { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, "config", name), content);
  return path;
}

const config = (store: { path: string }, name: string): Promise<string> =>
  readFile(join(store.path, "config", name), "utf8");
const tableFindings = (store: Store): string[] =>
  store
    .health()
    .findings.filter(({ kind }) => kind.startsWith("table-"))
    .map(({ kind, file }) => `${kind} ${file}`);

describe("values", () => {
  test("come back as they were set, by key, in order", async () => {
    const store = await openStore();
    const table = store.table("settings");
    const value = { text: 'a"b\\c\n\u0000é😀', list: [1, -2.5, null, true, []], deep: { none: {}, "": 0 } };
    table.set("first", value);
    table.set("second", 2 ** 60);
    table.set("third", 9_007_199_254_740_993n);
    expect(table.name).toBe("settings");
    expect(table.get("first")).toEqual(value);
    expect(table.keys()).toEqual(["first", "second", "third"]);
    expect(table.entries()[2]).toEqual(["third", 9_007_199_254_740_993n]);
    expect(table.has("second")).toBe(true);
    expect(table.get("second")).toBe(2n ** 60n);
    expect(table.delete("second")).toBe(true);
    expect(table.delete("second")).toBe(false);
    expect(table.get("second")).toBeUndefined();
    expect(table.toJSON()).toEqual({ first: value, third: 9_007_199_254_740_993n });
  });

  test("are copied in and out", async () => {
    const table = (await openStore()).table("settings");
    const value = { list: [1] };
    table.set("key", value);
    value.list.push(2);
    (table.get("key") as typeof value).list.push(3);
    (table.toJSON().key as typeof value).list.push(4);
    expect(table.get("key")).toEqual({ list: [1] });
  });

  test("outlive the store, with the keys of every shape", async () => {
    const path = await temporaryDirectory();
    const first = await openStore({}, path);
    const keys = ["__proto__", "constructor", "", "10", "9", "\ud800", "a b", "é"];
    for (const key of keys) first.table("settings").set(key, JSON.parse('{"__proto__":{"polluted":true},"2":1,"1":2}'));
    await first.close();

    const table = (await openStore({}, path)).table("settings");
    expect(table.keys()).toEqual(keys);
    const value = table.get("__proto__") as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["1", "2", "__proto__"]);
    expect(value.polluted).toBeUndefined();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(Object.hasOwn(table.toJSON(), "__proto__")).toBe(true);
  });

  test("that JSON cannot say are refused with their place, and change nothing", async () => {
    const table = (await openStore()).table("settings");
    const circle: { inner: { back?: unknown } } = { inner: {} };
    circle.inner.back = circle;
    let deep: unknown = 1;
    for (let i = 0; i < 300; i++) deep = [deep];
    const getter = {
      get key(): never {
        throw new Error("no");
      },
    };
    const wrong: [value: unknown, argument: string | RegExp][] = [
      [undefined, "value"],
      [() => 1, "value"],
      [Symbol("s"), "value"],
      [Number.NaN, "value"],
      [{ a: [1, Number.POSITIVE_INFINITY] }, "value.a[1]"],
      [{ "a b": { c: undefined } }, 'value["a b"].c'],
      [2n ** 63n, "value"],
      [new Map(), "value"],
      [new Date(), "value"],
      [new Uint8Array(1), "value"],
      [new Proxy({}, {}), "value"],
      [new Array(3), "value[0]"],
      [circle, "value.inner.back"],
      [deep, /^value(\[0\]){255}$/],
      [getter, "value.key"],
    ];
    table.set("key", "before");
    for (const [value, argument] of wrong) {
      const error = thrown(() => table.set("key", value as JsonValue));
      expect(error.code).toBe("STORE_INVALID_ARGUMENT");
      expect(error.details.argument).toEqual(typeof argument === "string" ? argument : expect.stringMatching(argument));
    }
    for (const key of [undefined, null, 1, {}]) {
      expect(thrown(() => table.set(key as unknown as string, 1)).details.argument).toBe("key");
      expect(thrown(() => table.get(key as unknown as string)).details.argument).toBe("key");
    }
    expect(table.entries()).toEqual([["key", "before"]]);
  });

  test("whose getter closes the store are not stored", async () => {
    const store = await openStore();
    const table = store.table("settings");
    const value = {
      get key() {
        store.close();
        return 1;
      },
    };
    expect(thrown(() => table.set("key", value)).code).toBe("STORE_CLOSED");
  });
});

describe("names", () => {
  test("give the same table for the same name", async () => {
    const store = await openStore();
    expect(store.table("a.b_c-1")).toBe(store.table("a.b_c-1"));
    expect(store.table("other")).not.toBe(store.table("a.b_c-1"));
  });

  test.each([
    "",
    ".",
    "..",
    "../topics",
    "a/b",
    "a\\b",
    "a\0",
    "-a",
    ".hidden",
    "topics.json",
    "moraine",
    "é",
    "x".repeat(101),
    7,
    null,
  ])("that are none are refused: %j", async (name) => {
    const store = await openStore();
    const error = thrown(() => store.table(name as string));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "name" } });
  });

  test("that differ in case only are refused", async () => {
    const store = await openStore();
    store.table("Settings");
    expect(thrown(() => store.table("settings")).message).toContain('"Settings"');
  });
});

describe("the file", () => {
  test("is RocketMQ's, and the version before stays as .bak", async () => {
    const store = await openStore({ clock: () => 1_700_000_000_000 });
    const table = store.table("delayOffset");
    table.set("offsetTable", { 1: 4, 3: 12 });
    await table.flush();
    const first = await config(store, "delayOffset.json");
    expect(first).toBe(
      '{\n\t"dataVersion":{\n\t\t"counter":1,\n\t\t"stateVersion":0,\n\t\t"timestamp":1700000000000\n\t},\n\t"offsetTable":{\n\t\t1:4,\n\t\t3:12\n\t}\n}',
    );
    table.set("offsetTable", { 1: 5 });
    await table.flush();
    expect(await config(store, "delayOffset.json")).toContain('"counter":2');
    expect(await config(store, "delayOffset.json.bak")).toBe(first);
    expect((await readdir(join(store.path, "config"))).sort()).toEqual(["delayOffset.json", "delayOffset.json.bak"]);
  });

  test("keeps a version that was set, and has none of its own where there is none", async () => {
    const store = await openStore({ clock: () => 5 });
    const topics = store.table("topics");
    topics.set("dataVersion", { counter: 41, stateVersion: 2, timestamp: 3 });
    await topics.flush();
    expect(topics.get("dataVersion")).toEqual({ counter: 41, stateVersion: 2, timestamp: 3 });
    topics.set("topicConfigTable", {});
    await topics.flush();
    expect(topics.get("dataVersion")).toEqual({ counter: 42, stateVersion: 2, timestamp: 5 });

    store.table("settings").set("key", 1);
    await store.table("settings").flush();
    expect(store.table("settings").keys()).toEqual(["key"]);
  });

  test("is not written when nothing has changed", async () => {
    const text = '{"key":1}';
    const store = await openStore({}, await storeWith({ "settings.json": text }));
    await store.table("settings").flush();
    await store.close();
    expect(await config(store, "settings.json")).toBe(text);
    expect(await readdir(join(store.path, "config"))).toEqual(["settings.json"]);
  });

  test("is written behind by itself", async () => {
    const store = await openStore();
    store.table("settings").set("key", 1);
    await expect
      .poll(() => config(store, "settings.json").catch(() => ""), { timeout: 10_000 })
      .toBe('{\n\t"key":1\n}');
  });

  test("has what many flushes at the same time were promised, in few writes", async () => {
    const store = await openStore({ clock: () => 0 });
    const table = store.table("topics");
    const flushes: Promise<void>[] = [];
    for (let i = 0; i < 100; i++) {
      table.set("n", i);
      flushes.push(table.flush());
      if (i % 10 === 0) await Promise.resolve();
    }
    await Promise.all(flushes);
    expect(JSON.parse(await config(store, "topics.json"))).toMatchObject({ n: 99 });
    expect((table.get("dataVersion") as { counter: number }).counter).toBeLessThanOrEqual(3);
  });

  test("has all of one moment, also where it is large and changes while it is printed", async () => {
    const store = await openStore();
    const table = store.table("settings");
    const many = () => Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`key ${n}`, { n }]));
    table.set("first", { n: 0 });
    table.set("middle", many());
    table.set("last", { n: 0 });
    let isWritten = false;
    let changes = 0;
    for (let round = 0; round < 3; round++) {
      const flushed = table.flush().then(() => {
        isWritten = true;
      });
      for (isWritten = false; !isWritten; changes++) {
        table.set(["first", "n"], changes);
        table.set(["middle", `key ${changes % 100_000}`], changes);
        table.set(["last", "n"], changes);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await flushed;
      const found = JSON.parse(await config(store, "settings.json"));
      expect(found.first).toEqual(found.last);
      expect(found.middle[`key ${found.last.n}`] ?? 0).toBe(found.last.n);
      table.set("middle", many());
    }
  });

  test("is written by close", async () => {
    const store = await openStore();
    store.table("settings").set("key", 1);
    const flushed = store.table("settings").flush();
    store.table("settings").set("key", 2);
    await store.close();
    await flushed;
    expect(await config(store, "settings.json")).toBe('{\n\t"key":2\n}');
  });
});

describe("a file that cannot be written", () => {
  /** A directory in the place of the temporary file. */
  async function broken(): Promise<{ store: Store; mend(): Promise<void> }> {
    const path = await storeWith({ "settings.json": '{"key":"old"}' });
    const obstacle = join(path, "config/settings.json.tmp");
    await mkdir(obstacle);
    return { store: await openStore({}, path), mend: () => rm(obstacle, { recursive: true }) };
  }

  test("fails the flush, keeps the change and the old file, and is tried again", async () => {
    const { store, mend } = await broken();
    const table = store.table("settings");
    table.set("key", "new");
    const error = await rejected(table.flush());
    expect(error).toMatchObject({ code: "STORE_IO", details: { file: "config/settings.json" } });
    expect(error.details.errno).toBeGreaterThan(0);
    expect(await rejected(table.flush())).toMatchObject({ code: "STORE_IO" });
    expect(table.get("key")).toBe("new");
    expect(await config(store, "settings.json")).toBe('{"key":"old"}');
    expect(tableFindings(store)).toEqual(["table-unwritten config/settings.json"]);

    await mend();
    await table.flush();
    expect(await config(store, "settings.json")).toContain('"new"');
    expect(tableFindings(store)).toEqual([]);
  });

  test("is tried again behind, without being asked", async () => {
    const { store, mend } = await broken();
    store.table("settings").set("key", "new");
    await expect.poll(() => tableFindings(store), { timeout: 10_000 }).toHaveLength(1);
    await mend();
    await expect.poll(() => config(store, "settings.json"), { timeout: 10_000 }).toContain('"new"');
  });

  test("fails close, which closes nevertheless", async () => {
    const { store } = await broken();
    store.table("settings").set("key", "new");
    expect(await rejected(store.close())).toMatchObject({ code: "STORE_IO" });
    expect(store.state).toBe("closed");
    const again = await openStore({}, store.path);
    expect(again.table("settings").get("key")).toBe("old");
  });
});

describe("a damaged file", () => {
  const whole = '{"key":"backup"}';

  test.each([
    ["cut", '{"key":"ne', "table-damaged"],
    ["of zeros", "\0".repeat(20), "table-damaged"],
    ["not UTF-8", Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), "table-damaged"],
    ["no object", "[1]", "table-damaged"],
    ["empty", "", "table-empty"],
  ])("%s gives way to .bak, and is kept", async (_, content, kind) => {
    const path = await storeWith({ "settings.json": content, "settings.json.bak": whole });
    const store = await openStore({}, path);
    const table = store.table("settings");
    expect(table.toJSON()).toEqual({ key: "backup" });
    expect(tableFindings(store)).toEqual([`${kind} config/settings.json`]);

    table.set("more", 1);
    await table.flush();
    expect(await config(store, "settings.json.bak")).toBe(whole);
    const damaged = (await readdir(join(path, "config"))).filter((name) => name.includes("damaged"));
    expect(damaged).toEqual(kind === "table-damaged" ? ["settings.json.damaged"] : []);
    for (const name of damaged) expect(await readFile(join(path, "config", name))).toEqual(Buffer.from(content));
  });

  test("that is missing gives way to .bak", async () => {
    const store = await openStore({}, await storeWith({ "settings.json.bak": whole }));
    expect(store.table("settings").get("key")).toBe("backup");
    expect(tableFindings(store)).toEqual(["table-missing config/settings.json"]);
  });

  test("of a second time is kept beside the first", async () => {
    const path = await storeWith({ "settings.json": "{1", "settings.json.bak": whole, "settings.json.damaged": "{0" });
    const store = await openStore({}, path);
    store.table("settings").set("more", 1);
    await store.close();
    expect(await config(store, "settings.json.damaged")).toBe("{0");
    expect(await config(store, "settings.json.damaged-2")).toBe("{1");
  });

  test.each([
    [{ "settings.json": '{"é":\n [1,, x]}' }, "config/settings.json", 13, "line 2, column 7"],
    [{ "settings.json": '{"key":1', "settings.json.bak": "{" }, "config/settings.json", 8, "line 1, column 9"],
    [{ "settings.json": '{"key":1}}', "settings.json.bak": "" }, "config/settings.json", 9, "the end is expected"],
    [{ "settings.json": "", "settings.json.bak": "?" }, "config/settings.json.bak", 0, "a value is expected"],
    [{ "settings.json.bak": '{"a" 1}' }, "config/settings.json.bak", 5, 'found "1"'],
  ])("without a whole .bak is STORE_CORRUPT, with its place, and stays: %j", async (files, file, offset, says) => {
    const path = await storeWith(files as Record<string, string>);
    const store = await openStore({}, path);
    const error = thrown(() => store.table("settings"));
    expect(error).toMatchObject({ code: "STORE_CORRUPT", details: { file, offset } });
    expect(error.message).toContain(says);
    expect(error.message).toContain(file);
    await store.close();
    for (const [name, content] of Object.entries(files)) expect(await config(store, name)).toBe(content);

    await writeFile(join(path, "config/settings.json"), whole);
    const again = await openStore({}, path);
    expect(again.table("settings").get("key")).toBe("backup");
  });

  test("and a .bak that are both empty are an empty table, and a finding", async () => {
    const store = await openStore({}, await storeWith({ "settings.json": "", "settings.json.bak": "" }));
    expect(store.table("settings").keys()).toEqual([]);
    expect(tableFindings(store)).toEqual(["table-empty config/settings.json"]);
  });

  test("that is no file is refused", async () => {
    const path = await storeWith({ "real.json": whole });
    await symlink("real.json", join(path, "config/link.json"));
    await mkdir(join(path, "config/folder.json"));
    const store = await openStore({}, path);
    for (const name of ["link", "folder"]) expect(thrown(() => store.table(name)).code).toBe("STORE_IO");
    expect(store.table("real").get("key")).toBe("backup");
  });

  test("in a folder that is none is refused", async () => {
    const store = await openStore();
    await rm(join(store.path, "config"), { recursive: true, force: true });
    await writeFile(join(store.path, "config"), "");
    expect(thrown(() => store.table("settings"))).toMatchObject({ code: "STORE_IO", details: { syscall: "open" } });
  });

  test("too large to be a table is refused unread", async () => {
    const path = await storeWith({ "settings.json": "" });
    await truncate(join(path, "config/settings.json"), 257 * 1024 * 1024);
    const store = await openStore({}, path);
    expect(thrown(() => store.table("settings"))).toMatchObject({ code: "STORE_UNSUPPORTED" });
  });
});

describe("a file of RocketMQ's", () => {
  test.each([
    ["a number without quotes as key", '{"o":{0:5,-1:7}}', { o: { "0": 5, "-1": 7 } }],
    ["the same key twice: the last counts", '{"a":1,"b":2,"a":3}', { a: 3, b: 2 }],
    ["numbers to the last digit", '{"a":9223372036854775807,"b":1.50}', { a: 9_223_372_036_854_775_807n, b: 1.5 }],
    ["escapes", '{"\\u0041\\/\\x42":"\\"\\n\\ud83d\\ude00"}', { "A/B": '"\n😀' }],
    ["an operator's hand", "// by hand\n{'a': 1, b: [1,2,], /* c */ \"d\":true,}", { a: 1, b: [1, 2], d: true }],
    ["a byte order mark", '\ufeff{"a":1}', { a: 1 }],
  ])("with %s is read", async (_, content, value) => {
    const store = await openStore({}, await storeWith({ "other.json": content }));
    expect(store.table("other").toJSON()).toEqual(value);
  });

  test("is written as it was, but for what has changed", async () => {
    const text =
      '{\n\t"big":9223372036854775807,\n\t"list":["a","b"],\n\t"none":{},\n\t"offsetTable":{1:6,2:7\n\t},\n\t"price":1.50\n}';
    const store = await openStore({}, await storeWith({ "delayOffset.json": text }));
    const table = store.table("delayOffset");
    table.set("price", "free");
    await table.flush();
    expect(await config(store, "delayOffset.json")).toBe(text.replace("1.50", '"free"'));
    expect(await config(store, "delayOffset.json.bak")).toBe(text);
  });
});

describe("a table in a store that", () => {
  test("is read-only is shown and takes nothing", async () => {
    const path = await storeWith({ "settings.json": '{"key":1', "settings.json.bak": '{"key":2}' });
    const store = await openStore({ readOnly: true }, path);
    const table = store.table("settings");
    expect(table.get("key")).toBe(2);
    expect(await answer(() => table.set("key", 3))).toBe("STORE_READ_ONLY");
    expect(await answer(() => table.delete("key"))).toBe("STORE_READ_ONLY");
    expect(await answer(() => table.flush())).toBe("STORE_READ_ONLY");
    await store.close();
    expect((await readdir(join(path, "config"))).sort()).toEqual(["settings.json", "settings.json.bak"]);
  });

  test("is closed answers with STORE_CLOSED", async () => {
    const store = await openStore();
    const table = store.table("settings");
    await store.close();
    const calls: (() => unknown)[] = [
      () => table.get("key"),
      () => table.has("key"),
      () => table.keys(),
      () => table.entries(),
      () => table.toJSON(),
      () => table.set("key", 1),
      () => table.delete("key"),
      () => table.flush(),
    ];
    for (const call of calls) expect(await answer(call)).toBe("STORE_CLOSED");
    expect(table.name).toBe("settings");
  });

  test("is another one's is another table", async () => {
    const [a, b] = [await openStore(), await openStore()];
    onTestFinished(() => Promise.all([a.close(), b.close()]).then(() => {}));
    a.table("settings").set("key", 1);
    expect(b.table("settings").has("key")).toBe(false);
  });
});
