import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GET_HEAD } from "../../src/binding/contract.ts";
import { addonPaths, loadAddon, packageRoot } from "../../src/binding/load.ts";
import { batchOf } from "./binding-batch.ts";
import { smallStore } from "./binding-options.ts";
import { openRaw, type RawStore } from "./binding-raw-store.ts";

// The addon without the TypeScript side: whatever JavaScript can pass is answered by a sentence, never by a crash.

type Hostile = Record<string, (...args: unknown[]) => unknown>;
const addon = loadAddon(packageRoot);
const hostile = addon as unknown as Hostile;

const directory = mkdtempSync(join(tmpdir(), "moraine-hostile-"));
const topic = Buffer.from("orders");
const batch = batchOf([{ topic: "orders", body: "b" }]);
let handle: number;
let store: RawStore;

beforeAll(async () => {
  store = await openRaw(addon, directory);
  handle = store.handle;
});

afterAll(async () => {
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The topic `orders` and the key `k`. */
const asked = Buffer.from("\x06\0\0\0orders\x01\0\0\0k");
const overlapped = new Float64Array(2);
const overlapping = new Uint8Array(overlapped.buffer);
overlapping.set(asked);
const lookup = (handle: number, begin: number, end: number, max: number) =>
  addon.lookup(handle, asked, asked.length, new Float64Array(1), begin, end, max);

/** Code and argument of the failure that a call throws. */
function failureOf(call: () => unknown): { code: string; message: string; details: Record<string, unknown> } {
  try {
    call();
  } catch (error) {
    const { message } = error as Error;
    expect(message.startsWith(addon.FAILURE_PREFIX)).toBe(true);
    return JSON.parse(message.slice(addon.FAILURE_PREFIX.length));
  }
  throw new Error("the call did not throw");
}

function detached<T extends Uint8Array | Float64Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

/** A view that a resize has left without memory: longer than its buffer. */
function shrunk(): Uint8Array {
  const Resizable = ArrayBuffer as unknown as new (
    bytes: number,
    options: object,
  ) => ArrayBuffer & { resize(n: number): void };
  const buffer = new Resizable(1024, { maxByteLength: 1024 });
  const view = new Uint8Array(buffer, 0, 1024);
  buffer.resize(8);
  return view;
}

const notNumbers: [string, unknown][] = [
  ["nothing", undefined],
  ["null", null],
  ["a string", "1"],
  ["a BigInt", 1n],
  ["a symbol", Symbol("1")],
  ["an object with valueOf", { valueOf: () => 1 }],
];
const notOffsets: [string, unknown][] = [
  ...notNumbers,
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-1", -1],
  ["a fraction", 0.5],
  ["2^53", 2 ** 53],
];
const notBytes: [string, () => unknown][] = [
  ["nothing", () => undefined],
  ["a string", () => "bytes"],
  ["an array", () => [1, 2, 3]],
  ["an ArrayBuffer", () => new ArrayBuffer(1024)],
  ["a DataView", () => new DataView(new ArrayBuffer(1024))],
  ["an Int8Array", () => new Int8Array(1024)],
  ["a Uint8ClampedArray", () => new Uint8ClampedArray(1024)],
  ["a Float64Array", () => new Float64Array(1024)],
  ["a proxy of a Uint8Array", () => new Proxy(new Uint8Array(1024), {})],
  ["an object that inherits from one", () => Object.create(new Uint8Array(1024))],
  ["shared memory", () => new Uint8Array(new SharedArrayBuffer(1024))],
  ["a detached array", () => detached(new Uint8Array(1024))],
  ["an array whose buffer has shrunk", shrunk],
];
const notNumberColumns: [string, () => unknown][] = [
  ["nothing", () => undefined],
  ["an array", () => Array(1024).fill(0)],
  ["a Uint8Array", () => new Uint8Array(8192)],
  ["a Float32Array", () => new Float32Array(1024)],
  ["a BigInt64Array", () => new BigInt64Array(1024)],
  ["shared memory", () => new Float64Array(new SharedArrayBuffer(8192))],
  ["a detached array", () => detached(new Float64Array(1024))],
];

function refuses(name: string, values: readonly [string, unknown][], call: (value: unknown) => unknown) {
  it.each(values)(`refuses %s as ${name}`, (_, value) => {
    const { code, details } = failureOf(() => call(value));
    expect([code, details.argument]).toEqual(["STORE_INVALID_ARGUMENT", name]);
  });
}

const made = (values: readonly [string, () => unknown][]): [string, unknown][] =>
  values.map(([name, make]) => [name, make()]);

describe("put", () => {
  const results = () => new Float64Array(64);
  const put = (...args: unknown[]) => hostile.put?.(...args);

  refuses("handle", notOffsets, (value) => put(value, batch, batch.length, 1, results()));
  refuses("batch", made(notBytes), (value) => put(handle, value, 512, 1, results()));
  refuses("bytes", notOffsets, (value) => put(handle, batch, value, 1, results()));
  refuses("count", notOffsets, (value) => put(handle, batch, batch.length, value, results()));
  refuses("results", made(notNumberColumns), (value) => put(handle, batch, batch.length, 1, value));

  it("refuses a batch that is shorter than it says", () => {
    const { details, message } = failureOf(() => put(handle, batch, batch.length + 1, 1, results()));
    expect(details.argument).toBe("batch");
    expect(message).toContain(`batch has ${batch.length} bytes, the call needs ${batch.length + 1}`);
  });

  it("refuses results without room for every message, also for more messages than numbers exist", () => {
    for (const count of [21, 2 ** 53 - 1]) {
      expect(failureOf(() => put(handle, batch, batch.length, count, results())).details.argument).toBe("results");
    }
  });

  it("refuses a batch and results on the same memory", () => {
    const memory = new ArrayBuffer(4096);
    const { details } = failureOf(() => put(handle, new Uint8Array(memory, 8), 96, 1, new Float64Array(memory, 96)));
    expect(details.argument).toBe("arguments");
  });

  it("takes neighbours on the same buffer", () => {
    const memory = new ArrayBuffer(4096);
    new Uint8Array(memory).set(batch);
    const numbers = new Float64Array(memory, batch.length);
    expect(put(handle, new Uint8Array(memory, 0, batch.length), batch.length, 1, numbers)).toBe(1);
  });

  it("says that a count does not fit the batch", () => {
    expect(put(handle, batch, batch.length, 2, results())).toBe(1);
    expect(JSON.parse(addon.takeError(handle) ?? "")).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      message: `the batch of ${batch.length} bytes holds 1 messages, count says 2`,
    });
    expect(addon.takeError(handle)).toBeNull();
  });

  it("refuses bytes that are no batch, and says where", () => {
    expect(put(handle, new Uint8Array(87), 87, 1, results())).toBe(0);
    expect(JSON.parse(addon.takeError(handle) ?? "")).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "batch" },
    });
  });
});

describe("get", () => {
  const max = 4;
  const filter = () => new Uint8Array([0, 1, 97]);
  const out = () => new Uint8Array(4096);
  const columns = () => new Float64Array(GET_HEAD + max);
  const valid = (): unknown[] => [handle, topic, topic.length, 0, 0, max, 4096, filter(), out(), columns()];
  const getWith = (at: number) => (value: unknown) => hostile.get?.(...valid().toSpliced(at, 1, value));

  refuses("handle", notOffsets, getWith(0));
  refuses("topic", made(notBytes.filter(([name]) => !name.includes("shrunk"))), getWith(1));
  refuses("topicBytes", notOffsets, getWith(2));
  refuses("queueId", [...notOffsets, ["2^31", 2 ** 31]], getWith(3));
  refuses("queueOffset", notOffsets, getWith(4));
  refuses("max", notOffsets, getWith(5));
  refuses("maxBytes", notOffsets, getWith(6));
  refuses("filter", made(notBytes.filter(([name]) => !/detached|shrunk/.test(name))), getWith(7));
  refuses("out", made(notBytes.filter(([name]) => !/detached|shrunk/.test(name))), getWith(8));
  refuses("columns", made(notNumberColumns), getWith(9));

  it("refuses bytes that are no filter", () => {
    for (const bytes of [[0], [0, 0], [0, 2, 97], [0, 1, 97, 0], new Array(65_537).fill(255)]) {
      expect(failureOf(() => getWith(7)(new Uint8Array(bytes))).details.argument).toBe("filter");
    }
  });

  it("refuses columns without room for every message", () => {
    expect(failureOf(() => getWith(9)(new Float64Array(GET_HEAD + max - 1))).details.argument).toBe("columns");
  });

  it("refuses a topic that lies in the output", () => {
    const memory = out();
    const { details } = failureOf(() =>
      hostile.get?.(handle, memory.subarray(8, 14), 6, 0, 0, max, 4096, filter(), memory, columns()),
    );
    expect(details.argument).toBe("arguments");
  });

  it("takes an output without memory for one without room", () => {
    const numbers = columns();
    hostile.get?.(...valid().toSpliced(8, 2, detached(out()), numbers));
    expect(numbers[4]).toBe(0);
  });
});

describe("positions", () => {
  refuses("handle", notOffsets, (value) => hostile.positions?.(value, new Float64Array(4)));
  refuses("out", made(notNumberColumns), (value) => hostile.positions?.(handle, value));
});

describe("takeArrivals", () => {
  refuses("handle", notOffsets, (value) => hostile.takeArrivals?.(value, new Float64Array(2)));
  refuses("out", made(notNumberColumns), (value) => hostile.takeArrivals?.(handle, value));

  it("needs room for a pair", () => {
    expect(failureOf(() => hostile.takeArrivals?.(handle, new Float64Array(1))).details.argument).toBe("out");
  });
});

describe("a handle", () => {
  const calls: [string, (handle: number) => unknown][] = [
    [
      "get",
      (handle) => addon.get(handle, topic, 6, 0, 0, 1, 1, new Uint8Array(0), new Uint8Array(8), new Float64Array(9)),
    ],
    ["put", (handle) => addon.put(handle, batch, batch.length, 1, new Float64Array(6))],
    ["positions", (handle) => addon.positions(handle, new Float64Array(4))],
    ["takeError", (handle) => addon.takeError(handle)],
    ["requestFlush", (handle) => addon.requestFlush(handle)],
    ["setClock", (handle) => addon.setClock(handle, 0)],
    ["at", (handle) => addon.at(handle, 0)],
    ["lookup", (handle) => lookup(handle, 0, 1, 1)],
    ["scan", (handle) => addon.scan(handle, 0, 1, 1, 1)],
    ["appended", (handle) => addon.appended(handle, 0, 1, 1)],
    ["offsets", (handle) => addon.offsets(handle, "orders", 0)],
    ["offsetByTime", (handle) => addon.offsetByTime(handle, "orders", 0, 0, "lower")],
    ["timeOf", (handle) => addon.timeOf(handle, "orders", 0, 0)],
    ["entries", (handle) => addon.entries(handle, "orders", 0, 0, 1)],
    ["watch", (handle) => addon.watch(handle, "orders", 0)],
    ["unwatch", (handle) => addon.unwatch(handle, 0)],
    ["takeArrivals", (handle) => addon.takeArrivals(handle, new Float64Array(2))],
    ["topics", (handle) => addon.topics(handle)],
    ["queues", (handle) => addon.queues(handle, "orders")],
    ["health", (handle) => addon.health(handle)],
    ["stats", (handle) => addon.stats(handle)],
    ["close", (handle) => addon.close(handle)],
  ];

  it.each(calls)("that never was is an error of %s", (_, call) => {
    expect(failureOf(() => call(0)).code).toBe("STORE_CLOSED");
    expect(failureOf(() => call(2 ** 32 - 1)).code).toBe("STORE_CLOSED");
  });

  it("of another thread is an error there", async () => {
    const code = `
      const { parentPort, workerData } = require("node:worker_threads");
      const addon = require(workerData.path);
      try { addon.topics(workerData.handle); } catch (error) { parentPort.postMessage(error.message); }`;
    const worker = new Worker(code, {
      eval: true,
      workerData: { handle, path: addonPaths(packageRoot).find(existsSync) },
    });
    const message = await new Promise<string>((resolve) => worker.once("message", resolve));
    expect(message).toContain("STORE_CLOSED");
    await worker.terminate();
    expect(addon.topics(handle)).toBeInstanceOf(Array);
  });
});

describe("the other calls", () => {
  it.each<[string, string, () => unknown]>([
    ["setClock", "clock", () => addon.setClock(handle, Number.NaN)],
    ["at", "physicalOffset", () => addon.at(handle, -1)],
    ["lookup", "begin", () => lookup(handle, Number.NaN, 1, 1)],
    ["lookup", "end", () => lookup(handle, 0, Number.POSITIVE_INFINITY, 1)],
    ["lookup", "max", () => lookup(handle, 0, 1, 0.5)],
    ["lookup", "bytes", () => addon.lookup(handle, asked, -1, new Float64Array(1), 0, 1, 1)],
    ["lookup", "asked", () => addon.lookup(handle, asked, asked.length + 1, new Float64Array(1), 0, 1, 1)],
    ["lookup", "asked", () => addon.lookup(handle, asked, asked.length - 1, new Float64Array(1), 0, 1, 1)],
    ["lookup", "asked", () => addon.lookup(handle, new Uint8Array(0), 0, new Float64Array(1), 0, 1, 1)],
    ["lookup", "asked", () => addon.lookup(handle, new Uint8Array(8).fill(255), 8, new Float64Array(1), 0, 1, 1)],
    ["lookup", "counts", () => addon.lookup(handle, asked, asked.length, new Float64Array(0), 0, 1, 1)],
    ["lookup", "arguments", () => addon.lookup(handle, overlapping, asked.length, overlapped, 0, 1, 1)],
    ["scan", "from", () => addon.scan(handle, -1, 1, 1, 1)],
    ["scan", "to", () => addon.scan(handle, 0, Number.NaN, 1, 1)],
    ["scan", "maxItems", () => addon.scan(handle, 0, 1, -1, 1)],
    ["scan", "maxBytes", () => addon.scan(handle, 0, 1, 1, 1.5)],
    ["offsets", "queueId", () => addon.offsets(handle, "orders", -1)],
    ["offsetByTime", "timestamp", () => addon.offsetByTime(handle, "orders", 0, Number.NaN, "lower")],
    ["offsetByTime", "boundary", () => addon.offsetByTime(handle, "orders", 0, 0, "middle")],
    ["timeOf", "queueOffset", () => addon.timeOf(handle, "orders", 0, -1)],
    ["entries", "from", () => addon.entries(handle, "orders", 0, 2 ** 53, 1)],
    ["entries", "max", () => addon.entries(handle, "orders", 0, 0, -1)],
    ["appended", "from", () => addon.appended(handle, -1, 1, 1)],
    ["appended", "to", () => addon.appended(handle, 0, Number.NaN, 1)],
    ["appended", "max", () => addon.appended(handle, 0, 1, 0.5)],
    ["watch", "queueId", () => addon.watch(handle, "orders", 2 ** 31)],
    ["unwatch", "watch", () => addon.unwatch(handle, -1)],
    ["unwatch", "watch", () => addon.unwatch(handle, 4_000_000_000)],
    ["open", "segmentBytes", () => addon.open(directory, { ...smallStore, segmentBytes: 0.5 }, () => {})],
    ["open", "indexSlots", () => addon.open(directory, { ...smallStore, indexSlots: 2 ** 32 }, () => {})],
  ])("%s refuses a wrong %s", (_, argument, call) => {
    expect(failureOf(call)).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
  });

  it("refuse arguments of another type", () => {
    const takesNone = ["copyName", "held"];
    const calls = Object.keys(hostile).filter(
      (name) => typeof hostile[name] === "function" && !takesNone.includes(name),
    );
    for (const name of calls) {
      for (const value of [undefined, null, "1", 1n, {}, []]) {
        expect(() => hostile[name]?.(value, value, value, value, value)).toThrow();
      }
    }
  });
});
