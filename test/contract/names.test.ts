/** Every name of the public API is there, and is what it should be. Programs outside are written against these. */
import { describe, expect, test } from "vitest";
import * as moraine from "../../src/index.ts";
import { message, openStore } from "./temporary-store.ts";

/** Members of a store: methods, and getters by the type of what they answer. */
const METHODS = [
  "append",
  "arrival",
  "at",
  "close",
  "deleteTopic",
  "entries",
  "expire",
  "flush",
  "get",
  "health",
  "lookup",
  "lookupAll",
  "offsetByTime",
  "offsets",
  "onAppend",
  "put",
  "putBatch",
  "putColumns",
  "putGroup",
  "queues",
  "read",
  "retain",
  "scan",
  "stats",
  "table",
  "timeOf",
  "topics",
  "verify",
];
const GETTERS = {
  path: "string",
  engine: "string",
  state: "string",
  readOnly: "boolean",
  log: "object",
  groups: "object",
};

const EXPORTS = {
  Store: "function",
  StoreError: "function",
  storeOptions: "object",
  encodeMessages: "function",
  verifyStore: "function",
  rebuildStore: "function",
  salvageStore: "function",
};

/** Options that `storeOptions` describes. */
const OPTIONS = [
  "clock",
  "compat",
  "create",
  "delayLevels",
  "engine",
  "flush",
  "flushIntervalMs",
  "index",
  "indexEntries",
  "indexSlots",
  "indexTags",
  "maxMessageBytes",
  "onProgress",
  "queueFileEntries",
  "readOnly",
  "recordCrc",
  "retention",
  "segmentBytes",
];

/** Facts of what calls answer, each with its type. */
const PUT_RESULT = {
  physicalOffset: "number",
  endOffset: "number",
  queueOffset: "number",
  size: "number",
  storeTimestamp: "number",
  offsetMsgId: "string",
};
const STORED_MESSAGE = {
  topic: "string",
  queueId: "number",
  body: "object",
  tags: "string",
  keys: "object",
  properties: "object",
  flag: "number",
  sysFlag: "number",
  bornTimestamp: "number",
  bornHost: "object",
  storeHost: "object",
  reconsumeTimes: "number",
  preparedTransactionOffset: "number",
  physicalOffset: "number",
  queueOffset: "number",
  size: "number",
  storeTimestamp: "number",
  offsetMsgId: "string",
  bodyCrc: "number",
  raw: "object",
  toJSON: "function",
};
const GET_RESULT = {
  status: "string",
  nextOffset: "number",
  minOffset: "number",
  maxOffset: "number",
  messages: "object",
  bytes: "object",
  bytesBehind: "number",
};
const POSITIONS = { minOffset: "number", endOffset: "number", durableOffset: "number", visibleOffset: "number" };
const EXPIRED = { files: "number", bytes: "number", minOffset: "number", more: "boolean" };
const GROUPS = { commit: "function", offset: "function", all: "function", delete: "function", flush: "function" };

/** The kinds of an object's members, those of its class included. */
function kinds(of: object, names: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, typeof (of as Record<string, unknown>)[name]]));
}

describe("the package", () => {
  test("exports the store, its errors, its options and the wire form of batches", () => {
    expect(kinds(moraine, EXPORTS)).toEqual(EXPORTS);
    expect(moraine.Store).toBeTypeOf("function");
    expect(moraine.StoreError.prototype).toBeInstanceOf(Error);
    expect(Object.keys(moraine.storeOptions)).toEqual(expect.arrayContaining(OPTIONS));
  });
});

describe("a store", () => {
  test("is opened by Store.open", () => {
    expect(moraine.Store.open).toBeTypeOf("function");
  });

  test("has these members", () => {
    const members = Object.getOwnPropertyDescriptors(moraine.Store.prototype) as Record<string, PropertyDescriptor>;
    expect(METHODS.filter((name) => typeof members[name]?.value !== "function")).toEqual([]);
    expect(Object.keys(GETTERS).filter((name) => members[name]?.get === undefined)).toEqual([]);
    if (Symbol.asyncDispose !== undefined) expect(moraine.Store.prototype[Symbol.asyncDispose]).toBeTypeOf("function");
  });

  test("answers with these facts", async () => {
    const store = await openStore();
    expect(kinds(store, GETTERS)).toEqual(GETTERS);
    const result = store.put(message({ tags: "t", keys: ["k"] }));
    expect(kinds(result, PUT_RESULT)).toEqual(PUT_RESULT);
    expect(kinds(await store.append(message()), PUT_RESULT)).toEqual(PUT_RESULT);
    const results = store.putBatch([message(), message()]);
    expect([...results]).toHaveLength(results.count);
    for (const column of [results.physicalOffsets, results.queueOffsets, results.sizes]) {
      expect(column).toBeInstanceOf(Float64Array);
    }
    const found = store.get("orders", 0, 0);
    expect(kinds(found, GET_RESULT)).toEqual(GET_RESULT);
    expect(kinds(found.messages[0] as object, STORED_MESSAGE)).toEqual(STORED_MESSAGE);
    expect(kinds(store.log, POSITIONS)).toEqual(POSITIONS);
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 4, next: 4 });
    expect(Object.keys(store.entries("orders", 0)[0] ?? {}).sort()).toEqual(["physicalOffset", "size", "tagsCode"]);
    expect(store.health()).toMatchObject({ clean: true, findings: [], files: expect.any(Array) });
    expect(kinds(await store.expire({ maxBytes: 1_000_000 }), EXPIRED)).toEqual(EXPIRED);
    expect(await store.deleteTopic("other")).toBe(false);
    expect(store.retain(0)).toBeTypeOf("function");
    expect(kinds(store.groups, GROUPS)).toEqual(GROUPS);
    expect(store.table("settings").name).toBe("settings");
  });

  test("reads with iterators that any loop takes", async () => {
    const store = await openStore();
    expect(store.scan()[Symbol.iterator]).toBeTypeOf("function");
    const reading = store.read("orders", 0);
    expect(reading[Symbol.asyncIterator]).toBeTypeOf("function");
    expect(reading.batches()[Symbol.asyncIterator]).toBeTypeOf("function");
    expect(store.scan({ follow: true })[Symbol.asyncIterator]).toBeTypeOf("function");
  });
});
