/** Files of the log that go, by call and by themselves, and what is held. */
import { readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import type { Store } from "../../src/index.ts";
import { answer, message, openStore, rejected, SMALL, temporaryDirectory, text, thrown } from "./temporary-store.ts";

const SEGMENT = 4096;
const options = { segmentBytes: SEGMENT, queueFileEntries: 10 };

/** Puts until the log has so many whole files, and one more; the number of messages. */
function fill(store: Store, files: number): number {
  let count = 0;
  while (store.log.endOffset <= files * SEGMENT) {
    store.put(message({ body: new Uint8Array(100).fill(count), keys: [`k${count}`] }));
    count += 1;
  }
  return count;
}

const logFiles = async (path: string) => (await readdir(join(path, "commitlog"))).sort();

describe("expire", () => {
  test("leaves the newest bytes, in whole files", async () => {
    const store = await openStore(options);
    const count = fill(store, 4);
    const { endOffset } = store.log;
    expect(await store.expire({ maxBytes: endOffset - 2 * SEGMENT })).toEqual({
      files: 2,
      bytes: 2 * SEGMENT,
      minOffset: 2 * SEGMENT,
      more: false,
    });
    expect(store.log).toMatchObject({ minOffset: 2 * SEGMENT, endOffset });
    expect(await logFiles(store.path)).toHaveLength(3);
    const { min, max } = store.offsets("orders", 0);
    expect(max).toBe(count);
    expect(store.get("orders", 0, 0)).toMatchObject({ status: "OFFSET_TOO_SMALL", nextOffset: min, minOffset: min });
    expect(store.get("orders", 0, min, { max: 1000 }).messages.map(({ queueOffset }) => queueOffset)).toEqual(
      Array.from({ length: count - min }, (_, i) => min + i),
    );
    expect(store.at(0)).toBeUndefined();
    expect(store.lookup("orders", "k0")).toEqual([]);
    expect(store.timeOf("orders", 0, 0)).toBeUndefined();
    expect([...store.scan()][0]?.physicalOffset).toBe(2 * SEGMENT);
    // Twice the same is nothing.
    expect(await store.expire({ maxBytes: endOffset - 2 * SEGMENT })).toMatchObject({ files: 0, more: false });
  });

  test("keeps the file that is written to", async () => {
    const store = await openStore(options);
    fill(store, 2);
    expect(await store.expire({ maxBytes: 0 })).toMatchObject({ files: 2, minOffset: 2 * SEGMENT });
    expect(await store.expire({ before: Number.MAX_SAFE_INTEGER })).toMatchObject({ files: 0 });
    expect(store.put(message()).physicalOffset).toBeGreaterThanOrEqual(2 * SEGMENT);
  });

  test("removes ten files at a time, and says that there are more", async () => {
    const store = await openStore(options);
    fill(store, 13);
    expect(await store.expire({ maxBytes: 0 })).toMatchObject({ files: 10, more: true });
    expect(await store.expire({ maxBytes: 0 })).toMatchObject({ files: 3, more: false });
  });

  test("goes by the later of the messages' times and the file's", async () => {
    const now = Date.now();
    let time = now;
    const store = await openStore({ ...options, clock: () => time });
    fill(store, 2);
    time += 60_000;
    const first = join(store.path, "commitlog", "0".repeat(20));
    await utimes(first, new Date(now + 30_000), new Date(now + 30_000));
    expect(await store.expire({ before: now })).toMatchObject({ files: 0 });
    expect(await store.expire({ before: now + 20_000 })).toMatchObject({ files: 0 });
    expect(await store.expire({ before: now + 40_000 })).toMatchObject({ files: 2 });
  });

  test("survives a close, and what is left goes on", async () => {
    const store = await openStore(options);
    const count = fill(store, 3);
    await store.expire({ maxBytes: 0 });
    const range = store.offsets("orders", 0);
    await store.close();
    const again = await openStore(options, store.path);
    expect(again.log.minOffset).toBe(3 * SEGMENT);
    expect(again.offsets("orders", 0)).toEqual(range);
    expect(again.put(message()).queueOffset).toBe(count);
    expect(again.health().findings).toEqual([]);
  });

  test("says what is wrong with its options", async () => {
    const store = await openStore(options);
    for (const [given, argument] of [
      [{ before: -1 }, "options.before"],
      [{ before: 0.5 }, "options.before"],
      [{ maxBytes: Number.NaN }, "options.maxBytes"],
      [{ maxBytes: 2 ** 53 }, "options.maxBytes"],
      [{ maxByte: 1 }, "options.maxByte"],
      [[], "options"],
      ["1d", "options"],
    ] as [never, string][]) {
      expect(await rejected(store.expire(given))).toMatchObject({
        code: "STORE_INVALID_ARGUMENT",
        details: { argument },
      });
    }
    expect((await rejected(store.expire())).message).toMatch(/before or maxBytes/);
  });

  test("is done before a close", async () => {
    const store = await openStore(options);
    fill(store, 3);
    const expiring = store.expire({ maxBytes: 0 });
    await store.close();
    expect(await expiring).toMatchObject({ files: 3 });
  });
});

describe("retain", () => {
  test("keeps a range until it is given up", async () => {
    const store = await openStore(options);
    fill(store, 3);
    const release = store.retain(SEGMENT);
    const other = store.retain(2 * SEGMENT);
    expect(await store.expire({ maxBytes: 0 })).toMatchObject({ minOffset: SEGMENT });
    release();
    release();
    expect(await store.expire({ maxBytes: 0 })).toMatchObject({ minOffset: 2 * SEGMENT });
    other();
    expect(await store.expire({ maxBytes: 0 })).toMatchObject({ minOffset: 3 * SEGMENT });
  });

  test.runIf(Symbol.dispose !== undefined)("is disposable", async () => {
    const store = await openStore(options);
    fill(store, 1);
    store.retain(0)[Symbol.dispose]();
    expect(await store.expire({ maxBytes: 0 })).toMatchObject({ files: 1 });
  });

  test("can be given up when the store is closed", async () => {
    const store = await openStore(options);
    const release = store.retain(0);
    await store.close();
    expect(release()).toBeUndefined();
  });

  test("refuses what is no offset", async () => {
    const store = await openStore(options);
    for (const from of [-1, 0.5, Number.NaN, "0", undefined, 2 ** 53] as never[]) {
      expect(thrown(() => store.retain(from))).toMatchObject({
        code: "STORE_INVALID_ARGUMENT",
        details: { argument: "fromPhysicalOffset" },
      });
    }
  });

  test("readers keep what they have", async () => {
    const store = await openStore(options);
    const count = fill(store, 2);
    const messages = store.get("orders", 0, 0, { max: 5 }).messages;
    const scan = store.scan();
    scan.next();
    const reading = store.read("orders", 0);
    expect((await reading.next()).value?.queueOffset).toBe(0);
    await store.expire({ maxBytes: 0 });
    expect(messages.map(({ body }) => body[0])).toEqual([0, 1, 2, 3, 4]);
    const { min } = store.offsets("orders", 0);
    // What was read ahead comes first, then what is there.
    const rest: number[] = [];
    for await (const { queueOffset } of reading) rest.push(queueOffset);
    expect(rest.at(-1)).toBe(count - 1);
    expect(rest).toEqual(rest.toSorted((a, b) => a - b));
    expect(rest).toEqual(expect.arrayContaining([min]));
    expect([...scan].at(-1)).toMatchObject({ kind: "message" });
  });
});

describe("the option retention", () => {
  test("removes by itself", async () => {
    const path = await temporaryDirectory();
    const full = await openStore(options, path);
    const count = fill(full, 3);
    await full.close();
    const store = await openStore({ ...options, retention: { maxBytes: SEGMENT } }, path);
    await vi.waitFor(() => expect(store.log.minOffset).toBeGreaterThan(0), { timeout: 5000 });
    expect(store.offsets("orders", 0).next).toBe(count);
    expect((await logFiles(path)).length).toBeLessThan(4);
  });

  test("leaves what is young", async () => {
    const path = await temporaryDirectory();
    const full = await openStore(options, path);
    fill(full, 2);
    await full.close();
    const store = await openStore({ ...options, retention: { maxAgeMs: 3_600_000, diskRatio: 1 } }, path);
    expect(await store.expire()).toMatchObject({ files: 0, minOffset: 0 });
  });

  test("is asked whatever the hour by expire without options", async () => {
    let time = Date.now();
    const store = await openStore({
      ...options,
      clock: () => time,
      retention: { maxAgeMs: 60_000, deleteHour: (new Date(time).getHours() + 12) % 24 },
    });
    fill(store, 2);
    expect(await store.expire()).toMatchObject({ files: 0 });
    time += 120_000;
    expect(await store.expire()).toMatchObject({ files: 2 });
  });

  test.each([
    [null, "options.retention"],
    [[], "options.retention"],
    [{ maxAge: 1 }, "options.retention.maxAge"],
    [{ maxAgeMs: -1 }, "options.retention.maxAgeMs"],
    [{ maxAgeMs: "1d" }, "options.retention.maxAgeMs"],
    [{ maxBytes: 1.5 }, "options.retention.maxBytes"],
    [{ maxAgeMs: 1, deleteHour: 24 }, "options.retention.deleteHour"],
    [{ deleteHour: 4 }, "options.retention.deleteHour"],
    [{ diskRatio: 0 }, "options.retention.diskRatio"],
    [{ diskRatio: 75 }, "options.retention.diskRatio"],
    [{ diskRatio: Number.NaN }, "options.retention.diskRatio"],
  ])("refuses %j", async (retention, argument) => {
    const error = await rejected(openStore({ retention: retention as never }));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
  });

  test("of nothing is none", async () => {
    const store = await openStore({ retention: {} });
    expect(await answer(() => store.expire())).toBe("STORE_INVALID_ARGUMENT");
  });
});

describe("deleteTopic", () => {
  test("hides a topic, and lets it go on where it was", async () => {
    const path = await temporaryDirectory();
    const store = await openStore(options, path);
    for (const topic of ["orders", "other"]) {
      for (let i = 0; i < 25; i += 1) store.put(message({ topic, keys: ["k"] }));
    }
    expect(await store.deleteTopic("orders")).toBe(true);
    expect(await store.deleteTopic("orders")).toBe(false);
    const isGone = (of: Store) => {
      expect(of.topics()).toEqual(["other"]);
      expect(of.queues("orders")).toEqual([]);
      expect(of.get("orders", 0, 0).status).toBe("NO_MATCHED_LOGIC_QUEUE");
      expect(of.lookup("orders", "k")).toEqual([]);
      expect(of.lookup("other", "k")).toHaveLength(25);
      expect(of.offsets("orders", 0)).toEqual({ min: 25, max: 25, next: 25 });
      expect(of.at(0)?.topic).toBe("orders");
    };
    isGone(store);
    await store.close();
    expect(await readdir(join(path, "consumequeue"))).toEqual(["other"]);
    const again = await openStore(options, path);
    isGone(again);
    const waiting = again.arrival("orders", 0, 25);
    const put = again.put(message({ body: new TextEncoder().encode("new") }));
    expect(put.queueOffset).toBe(25);
    again.put(message());
    expect(await waiting).toBe(true);
    expect(again.get("orders", 0, 25).messages.map(({ body }) => text(body))[0]).toBe("new");
    expect(again.topics()).toEqual(["orders", "other"]);
  });

  test("takes what is no topic for what it is", async () => {
    const store = await openStore();
    expect(await store.deleteTopic("none")).toBe(false);
    for (const topic of ["", "..", "../x", "a\u0001", 7, undefined] as never[]) {
      expect(await rejected(store.deleteTopic(topic))).toMatchObject({
        code: "STORE_INVALID_ARGUMENT",
        details: { argument: "topic" },
      });
    }
  });

  test("keeps its own table for itself", async () => {
    const store = await openStore(SMALL);
    expect(thrown(() => store.table("moraine")).code).toBe("STORE_INVALID_ARGUMENT");
  });
});
