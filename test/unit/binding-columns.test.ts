import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PUT_RESULT_HEADER, PUT_RESULT_STRIDE } from "../../src/binding/contract.ts";
import { loadAddon, packageRoot } from "../../src/binding/load.ts";
import { openRaw, type RawStore } from "./binding-raw-store.ts";

// `putColumns` of the addon without the TypeScript side: whatever is passed is answered by a sentence, never by a crash.

const addon = loadAddon(packageRoot);
const putColumns = addon.putColumns as unknown as (...args: unknown[]) => unknown;
const directory = mkdtempSync(join(tmpdir(), "moraine-columns-"));
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

/** Topics and hosts as native/core/src/columns.rs draws them; the hosts are 127.0.0.1:1. */
function tables(topics: readonly string[] = ["orders"], hosts = 1): Buffer {
  const host = Buffer.from([127, 0, 0, 1, ...Array(12).fill(0), 1, 0, 0, 0, 0, 0, 0, 0]);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(topics.length, 0);
  head.writeUInt32LE(hosts, 4);
  const names = topics.flatMap((topic) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(topic.length, 0);
    return [length, Buffer.from(topic)];
  });
  return Buffer.concat([head, host, ...Array<Buffer>(hosts).fill(host), ...names]);
}

const NAMES = [
  "handle",
  "tables",
  "bytes",
  "bodies",
  "properties",
  "queueIds",
  "topicOf",
  "bornHostOf",
  "flags",
  "sysFlags",
  "reconsumeTimes",
  "preparedTransactionOffsets",
  "bornTimestamps",
  "bornTimestamp",
  "results",
] as const;
type Name = (typeof NAMES)[number];

const MADE = {
  tables: Uint8Array,
  bytes: Uint8Array,
  bodies: Uint32Array,
  properties: Uint32Array,
  queueIds: Int32Array,
  topicOf: Uint32Array,
  bornHostOf: Uint32Array,
  flags: Int32Array,
  sysFlags: Int32Array,
  reconsumeTimes: Int32Array,
  preparedTransactionOffsets: Float64Array,
  bornTimestamps: Float64Array,
  results: Float64Array,
} as const;
const COLUMNS = Object.keys(MADE) as (keyof typeof MADE)[];
const OPTIONAL = COLUMNS.filter((name) => !["tables", "bytes", "results"].includes(name));

/** Two messages, with every column. */
const right = (): Record<Name, unknown> => ({
  handle,
  tables: tables(),
  bytes: Buffer.from("m0m1"),
  bodies: Uint32Array.of(0, 2, 2, 4),
  properties: new Uint32Array(4),
  queueIds: new Int32Array(2),
  topicOf: new Uint32Array(2),
  bornHostOf: new Uint32Array(2),
  flags: new Int32Array(2),
  sysFlags: new Int32Array(2),
  reconsumeTimes: new Int32Array(2),
  preparedTransactionOffsets: new Float64Array(2),
  bornTimestamps: new Float64Array(2),
  bornTimestamp: 0,
  results: new Float64Array(PUT_RESULT_HEADER + 2 * PUT_RESULT_STRIDE),
});
const put = (fields: Partial<Record<Name, unknown>> = {}): unknown => {
  const all = { ...right(), ...fields };
  return putColumns(...NAMES.map((name) => all[name]));
};

function end(): number {
  const positions = new Float64Array(4);
  addon.positions(handle, positions);
  return positions[1] as number;
}

/** Expects that the call throws about an argument, and that nothing was stored. */
function refused(argument: string, call: () => unknown): string {
  const before = end();
  try {
    call();
  } catch (error) {
    const { message } = error as Error;
    expect(message.startsWith(addon.FAILURE_PREFIX)).toBe(true);
    const failure = JSON.parse(message.slice(addon.FAILURE_PREFIX.length));
    expect([failure.code, failure.details.argument]).toEqual(["STORE_INVALID_ARGUMENT", argument]);
    expect(end()).toBe(before);
    return failure.message;
  }
  throw new Error("the call did not throw");
}

/** Expects that the call stores nothing, and keeps an error about an argument. */
function kept(argument: string, fields: Partial<Record<Name, unknown>>): void {
  const before = end();
  expect(put(fields)).toBe(0);
  expect(JSON.parse(addon.takeError(handle) ?? "{}")).toMatchObject({
    code: "STORE_INVALID_ARGUMENT",
    details: { argument },
  });
  expect(end()).toBe(before);
}

const detached = <T extends NodeJS.TypedArray>(array: T): T => {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};

describe("putColumns", () => {
  it("stores messages, and says where", () => {
    const before = end();
    const results = new Float64Array(PUT_RESULT_HEADER + 2 * PUT_RESULT_STRIDE);
    expect(put({ results })).toBe(2);
    expect(results[1]).toBe(end());
    expect(results[PUT_RESULT_HEADER]).toBe(before);
    expect(results[PUT_RESULT_HEADER + PUT_RESULT_STRIDE]).toBe(before + (results[PUT_RESULT_HEADER + 2] as number));
  });

  it("takes no columns where there are defaults, and no messages", () => {
    const none = Object.fromEntries(OPTIONAL.map((name) => [name, undefined]));
    expect(put(none)).toBe(0);
    expect(addon.takeError(handle)).toBeNull();
    expect(put({ ...none, queueIds: new Int32Array(2), bodies: new Uint32Array(4) })).toBe(2);
  });

  it("refuses calls that lack arguments", () => {
    const all = right();
    for (let count = 0; count < NAMES.length; count++) {
      const given = NAMES.slice(0, count).map((name) => all[name]);
      expect(() => putColumns(...given)).toThrow(addon.FAILURE_PREFIX);
    }
    expect(putColumns(...NAMES.map((name) => all[name]), 1, 2, 3)).toBe(2);
  });

  it.each([undefined, null, "1", 1n, Symbol("1"), -1, 0.5, Number.NaN, 2 ** 53])("refuses %s as handle", (value) => {
    refused("handle", () => put({ handle: value }));
  });

  it.each([undefined, null, "1", 1n, Symbol("1"), {}])("refuses %s as bornTimestamp", (value) => {
    refused("bornTimestamp", () => put({ bornTimestamp: value }));
  });

  it.each(COLUMNS)("refuses whatever is no array of its kind as %s", (name) => {
    const make = MADE[name];
    const kinds = [Int8Array, Uint8Array, Uint8ClampedArray, Int32Array, Uint32Array, Float32Array, Float64Array];
    const values: unknown[] = [
      null,
      1,
      "text",
      [0, 0],
      new ArrayBuffer(1024),
      new DataView(new ArrayBuffer(1024)),
      new BigInt64Array(128),
      new Proxy(new make(128), {}),
      Object.create(new make(128)),
      new make(new SharedArrayBuffer(1024) as unknown as ArrayBuffer),
      ...kinds.filter((kind) => kind !== make).map((kind) => new kind(128)),
      ...(OPTIONAL.includes(name) ? [] : [undefined]),
    ];
    for (const value of values) {
      const message = refused(name, () => put({ [name]: value }));
      expect(message).toMatch(new RegExp(`^${name} must be an? ${make.name}`));
    }
  });

  it.each(OPTIONAL.filter((name) => name !== "queueIds"))(
    "keeps an error for a length of %s that is another",
    (name) => {
      const make = MADE[name];
      kept(name, { [name]: new make(3) });
      kept(name, { [name]: new make(5) });
    },
  );

  it("takes detached columns for empty ones", () => {
    kept("bodies", { bodies: detached(new Uint32Array(4)) });
    kept("tables", { tables: detached(new Uint8Array(100)) });
    kept("bodies", { bytes: detached(new Uint8Array(4)) });
    kept("bodies", { queueIds: detached(new Int32Array(2)) });
    refused("results", () => put({ results: detached(new Float64Array(9)) }));
  });

  it("refuses results without room for every message", () => {
    refused("results", () => put({ results: new Float64Array(PUT_RESULT_HEADER + 2 * PUT_RESULT_STRIDE - 1) }));
  });

  it.each(COLUMNS.filter((name) => name !== "results"))("refuses results on the memory of %s", (name) => {
    const memory = new ArrayBuffer(4096);
    const results = new Float64Array(memory, 16, PUT_RESULT_HEADER + 5 * PUT_RESULT_STRIDE);
    const overlapping = new MADE[name](memory, 0, name === "tables" || name === "bytes" ? 17 : 5);
    const message = refused("arguments", () => put({ [name]: overlapping, results }));
    expect(message).toContain("same memory");
  });

  it("takes columns on the same memory, and results right behind them", () => {
    const memory = new ArrayBuffer(4096);
    const ints = new Int32Array(memory, 0, 2);
    const words = new Uint32Array(memory, 0, 2);
    const results = new Float64Array(memory, 8, PUT_RESULT_HEADER + 2 * PUT_RESULT_STRIDE);
    const shared = { queueIds: ints, flags: ints, sysFlags: ints, topicOf: words, bornHostOf: words };
    expect(put({ ...shared, results })).toBe(2);
    expect(results[1]).toBe(end());
  });

  it("keeps an error for what lies outside, and says of which message", () => {
    kept("bodies", { bodies: Uint32Array.of(0, 2, 2, 5) });
    kept("bodies", { bodies: Uint32Array.of(0, 2, 2 ** 32 - 1, 0) });
    kept("properties", { properties: Uint32Array.of(0, 0, 4, 2 ** 32 - 1) });
    kept("columns", { topicOf: Uint32Array.of(0, 1) });
    kept("columns", { bornHostOf: Uint32Array.of(0, 2 ** 32 - 1) });
    kept("queueId", { queueIds: Int32Array.of(0, -1) });
    expect(put({ bodies: Uint32Array.of(0, 2, 2, 5) })).toBe(0);
    expect(JSON.parse(addon.takeError(handle) ?? "{}").details.message).toBe(1);
  });

  it("keeps an error for tables that are cut, or lie", () => {
    const whole = tables(["orders", "payments"], 2);
    for (let length = 0; length < whole.length; length++) kept("tables", { tables: whole.subarray(0, length) });
    for (const at of [0, 4]) {
      const lying = Buffer.from(whole);
      lying.writeUInt32LE(2 ** 32 - 1, at);
      kept("tables", { tables: lying });
    }
  });

  it("is an error of a handle that never was", () => {
    for (const handle of [0, 2 ** 32 - 1]) {
      expect(() => put({ handle })).toThrow("STORE_CLOSED");
    }
  });
});
