import { readdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Store, type StoreOptions, storeOptions } from "../../src/index.ts";
import { ENGINE } from "./engine.ts";
import {
  bytes,
  message,
  messages,
  openStore,
  rejected,
  SMALL,
  temporaryDirectory,
  text,
  thrown,
} from "./temporary-store.ts";

describe("Store.open", () => {
  test("makes a store where there is none, with all directories on the way", async () => {
    const path = join(await temporaryDirectory(), "a", "b");
    const store = await openStore({}, path);
    expect(store).toMatchObject({ path, engine: ENGINE, state: "open", readOnly: false });
    expect(await readdir(path)).toEqual(expect.arrayContaining(["abort", "lock"]));
    expect(store.health()).toMatchObject({ clean: true, findings: [] });
  });

  test("takes a path relative to the working directory, and a file URL", async () => {
    const path = await temporaryDirectory();
    const store = await openStore({}, relative(process.cwd(), path));
    expect(store.path).toBe(path);
    await store.close();
    const again = await Store.open(pathToFileURL(path), SMALL);
    expect(again.path).toBe(path);
    await again.close();
  });

  test("opens what was closed, with everything in it", async () => {
    const path = await temporaryDirectory();
    const first = await openStore({}, path);
    first.putBatch(messages(1500, { keys: ["k"], tags: "t" }));
    const { log } = first;
    const entries = first.entries("orders", 0, { max: 2000 });
    await first.close();

    const second = await openStore({}, path);
    expect(second.health().clean).toBe(true);
    expect(second.log).toEqual({ ...log, durableOffset: log.endOffset });
    expect(second.entries("orders", 0, { max: 2000 })).toEqual(entries);
    expect(second.lookup("orders", "k", { max: 2000 })).toHaveLength(1500);
    expect(second.offsets("orders", 0)).toEqual({ min: 0, max: 1500, next: 1500 });
    expect(second.put(message()).queueOffset).toBe(1500);
  });

  test("sizes on disk win over options", async () => {
    const path = await temporaryDirectory();
    const first = await openStore({ segmentBytes: 8192, queueFileEntries: 100 }, path);
    first.put(message());
    await first.close();
    const second = await openStore({ segmentBytes: 65_536, queueFileEntries: 200 }, path);
    expect(second.health()).toMatchObject({ segmentBytes: 8192, queueFileEntries: 100 });
  });

  test("reports how far it has come", async () => {
    const path = await temporaryDirectory();
    const first = await openStore({}, path);
    first.putBatch(messages(100));
    await first.close();
    const seen: unknown[] = [];
    const second = await openStore({ onProgress: (progress) => seen.push(progress) }, path);
    expect(second.state).toBe("open");
    for (const progress of seen) {
      expect(progress).toEqual({
        phase: expect.stringMatching(/^(log|queues|index|dispatch)$/),
        done: expect.any(Number),
        total: expect.any(Number),
      });
    }
  });

  test("an onProgress that throws leaves the store closed, as it was", async () => {
    const path = await temporaryDirectory();
    const first = await openStore({}, path);
    first.putBatch(messages(100));
    await first.close();
    const cause = new Error("mine");
    let isCalled = false;
    const opening = Store.open(path, {
      ...SMALL,
      onProgress: () => {
        isCalled = true;
        throw cause;
      },
    });
    const outcome = await opening.catch((error) => error);
    if (isCalled) expect(outcome).toMatchObject({ code: "STORE_INVALID_ARGUMENT", cause });
    else await outcome.close();
    expect((await openStore({}, path)).offsets("orders", 0).max).toBe(100);
  });

  test("with create: false refuses where there is no store, and makes nothing", async () => {
    const path = await temporaryDirectory();
    const error = await rejected(Store.open(join(path, "none"), { ...SMALL, create: false }));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "path" } });
    expect(error.message).toContain(join(path, "none"));
    expect(await readdir(path)).toEqual([]);
  });

  test("with create: false opens what is there", async () => {
    const path = await temporaryDirectory();
    await (await openStore({}, path)).close();
    expect((await openStore({ create: false }, path)).state).toBe("open");
  });

  test("refuses a directory that holds something else, and leaves it as it was", async () => {
    const path = await temporaryDirectory();
    await writeFile(join(path, "letter.txt"), "text");
    const error = await rejected(Store.open(path, SMALL));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "path" } });
    expect(error.message).toContain("letter.txt");
    expect(await readdir(path)).toEqual(["letter.txt"]);
  });

  test("refuses a file in the place of the directory", async () => {
    const path = join(await temporaryDirectory(), "file");
    await writeFile(path, "text");
    const error = await rejected(Store.open(path, SMALL));
    expect(error).toMatchObject({ code: "STORE_IO", retriable: false });
    expect(error.message).toContain(path);
  });

  test("refuses a place where no directory can be made", async () => {
    const path = "/sys/kernel/moraine";
    const error = await rejected(Store.open(path, SMALL));
    expect(error.code).toBe("STORE_IO");
    expect(error.message).toContain(path);
  });

  test("a second open of the same directory is refused, and has changed nothing", async () => {
    const path = await temporaryDirectory();
    const first = await openStore({}, path);
    first.put(message({ body: bytes("first") }));
    const error = await rejected(Store.open(path, SMALL));
    expect(error).toMatchObject({ code: "STORE_LOCKED", retriable: true });
    expect(error.message).toContain(path);
    first.put(message({ body: bytes("second") }));
    expect(first.get("orders", 0, 0).messages.map(({ body }) => text(body))).toEqual(["first", "second"]);
    await first.close();
    expect((await openStore({}, path)).offsets("orders", 0).max).toBe(2);
  });

  test("of many opens at once one gets the store", async () => {
    const path = await temporaryDirectory();
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => Store.open(path, SMALL)));
    const opened = outcomes.filter((outcome) => outcome.status === "fulfilled");
    expect(opened).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason.code).toBe("STORE_LOCKED");
    }
    for (const { value } of opened) await value.close();
  });

  test("a store is made by Store.open only", () => {
    const construct = Store as unknown as new (...args: unknown[]) => Store;
    expect(thrown(() => new construct()).code).toBe("STORE_INVALID_ARGUMENT");
    expect(thrown(() => new construct("./store", {})).message).toContain("Store.open");
  });

  test("an engine that is not built is STORE_NO_ENGINE", async () => {
    const other = ENGINE === "native" ? "wasm" : "native";
    const outcome = await Store.open(await temporaryDirectory(), { ...SMALL, engine: other }).catch((error) => error);
    if (outcome instanceof Store) await outcome.close();
    else expect(outcome.code).toBe("STORE_NO_ENGINE");
  });
});

describe("a wrong path is refused by name", () => {
  test.each([
    ["", "empty"],
    ["a\0b", "U+0000"],
    [undefined, "undefined"],
    [7, "7"],
    [{}, "an object"],
    [new URL("https://example.org/store"), "https://example.org/store"],
  ])("%s", async (path, says) => {
    const error = await rejected(Store.open(path as string, SMALL));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "path" } });
    expect(error.message).toContain(says);
  });
});

test("a relative path without a working directory is refused by name", async () => {
  const gone = vi.spyOn(process, "cwd").mockImplementation(() => {
    throw Object.assign(new Error("no such directory"), { code: "ENOENT" });
  });
  onTestFinished(() => gone.mockRestore());
  expect(await rejected(Store.open("relative"))).toMatchObject({
    code: "STORE_INVALID_ARGUMENT",
    details: { argument: "path" },
    message: expect.stringContaining('"relative"'),
  });
});

describe("a wrong option is refused by name, with the value and what would be right", () => {
  const wrong: [object | string | null, string, string[]][] = [
    [{ flush: "never" }, "flush", ['"never"', '"async" or "sync"']],
    [{ flush: true }, "flush", ["true"]],
    [{ flushIntervalMs: 0 }, "flushIntervalMs", ["0", "from 1 to 3600000", "ms"]],
    [{ segmentBytes: 1023 }, "segmentBytes", ["1023", "from 1024 to 2147483647", "bytes"]],
    [{ segmentBytes: 2 ** 31 }, "segmentBytes", ["2147483648"]],
    [{ segmentBytes: "1g" }, "segmentBytes", ['"1g"']],
    [{ segmentBytes: 4096.5 }, "segmentBytes", ["4096.5"]],
    [{ queueFileEntries: Number.NaN }, "queueFileEntries", ["NaN"]],
    [{ indexSlots: 0 }, "indexSlots", ["0"]],
    [{ indexEntries: 1 }, "indexEntries", ["1", "from 2"]],
    [{ indexSlots: 100_000_000, indexEntries: 100_000_000 }, "indexEntries", ["2400000040", "2147483647"]],
    [{ recordCrc: 1 }, "recordCrc", ["1", "true or false"]],
    [{ index: null }, "index", ["null"]],
    [{ indexTags: "yes" }, "indexTags", ['"yes"']],
    [{ compat: 5 }, "compat", ["5", '"5" or "4.9"']],
    [{ maxMessageBytes: -1 }, "maxMessageBytes", ["-1"]],
    [{ readOnly: "no" }, "readOnly", ['"no"']],
    [{ create: 0 }, "create", ["0"]],
    [{ engine: "java" }, "engine", ['"java"']],
    [{ onProgress: true }, "onProgress", ["true", "function"]],
    [{ clock: 5 }, "clock", ["5", "function"]],
    [{ expiry: { maxAgeMs: 1 } }, "expiry", ["unknown option `expiry`", "known are flush,", "clock"]],
    [{ segmentbytes: 4096 }, "segmentbytes", ["unknown option `segmentbytes`"]],
  ];

  test.each(wrong)("%j", async (options, name, says) => {
    const path = await temporaryDirectory();
    const error = await rejected(Store.open(path, options as StoreOptions));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: `options.${name}` } });
    for (const part of says) expect(error.message).toContain(part);
    expect(await readdir(path)).toEqual([]);
  });

  test.each([null, "async", 5, [], () => {}])("options that are %s", async (options) => {
    const error = await rejected(Store.open(await temporaryDirectory(), options as StoreOptions));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "options" } });
  });

  test("an option that is undefined has its default", async () => {
    const given = Object.fromEntries(Object.keys(storeOptions).map((name) => [name, undefined]));
    const store = await openStore({ ...given, ...SMALL });
    expect(store.put(message()).queueOffset).toBe(0);
  });
});
