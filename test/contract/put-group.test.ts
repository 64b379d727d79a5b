/** `putGroup`: RocketMQ's plain batch, whose messages stay together. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeMessages, type GroupMessage, type GroupOptions, type Store } from "../../src/index.ts";
import { bytes, message, openStore, temporaryDirectory, text, thrown } from "./temporary-store.ts";

const group = (count: number, fields: Partial<GroupMessage> = {}): GroupMessage[] =>
  Array.from({ length: count }, (_, i) => ({ body: bytes(`m${i}`), ...fields }));
const bodies = (store: Store, topic = "orders", queueId = 0) =>
  store.get(topic, queueId, 0, { max: 1000 }).messages.map(({ body }) => text(body));

describe("a group", () => {
  test("has consecutive queue offsets, one store time, and its messages one behind the other", async () => {
    const store = await openStore({ clock: () => 1_700_000_000_123 });
    store.put(message({ queueId: 3 }));
    const results = store.putGroup("orders", 3, group(5));
    expect(results.count).toBe(5);
    expect([...results.queueOffsets]).toEqual([1, 2, 3, 4, 5]);
    expect(results.storeTimestamp).toBe(1_700_000_000_123);
    const each = [...results];
    expect(each.slice(1).map(({ physicalOffset }) => physicalOffset)).toEqual(
      each.slice(0, -1).map(({ endOffset }) => endOffset),
    );
    expect(results.endOffset).toBe(store.log.endOffset);
    expect(each.map(({ offsetMsgId }) => offsetMsgId).join(",")).toMatch(/^7F00000100002A9F[0-9A-F]{16},/);
    expect(bodies(store, "orders", 3)).toEqual(["hello", "m0", "m1", "m2", "m3", "m4"]);
  });

  test("is found by its keys and tags, with the flag and properties of each message", async () => {
    const store = await openStore();
    store.putGroup("orders", 0, [
      { body: bytes("a"), tags: "paid", keys: ["k1", "k2"], flag: 7, properties: { colour: "red" } },
      { body: bytes("b"), topic: "orders", queueId: 0 },
    ]);
    const [found] = store.lookup("orders", "k2");
    expect(found).toMatchObject({ tags: "paid", keys: ["k1", "k2"], flag: 7, queueOffset: 0 });
    expect(found?.properties.get("colour")).toBe("red");
    expect(store.at((found?.physicalOffset ?? 0) + (found?.size ?? 0))).toMatchObject({ flag: 0, queueOffset: 1 });
  });

  test("shares what the options say", async () => {
    const store = await openStore();
    const options: GroupOptions = {
      sysFlag: 0x1,
      bornTimestamp: 1_699_999_999_000,
      bornHost: { address: "2001:db8::2", port: 40_001 },
      storeHost: { address: "10.0.0.9", port: 10_911 },
      reconsumeTimes: 2,
    };
    store.putGroup("orders", 0, group(2), options);
    for (const stored of store.get("orders", 0, 0).messages) {
      expect(stored).toMatchObject({ ...options, sysFlag: 0x11, preparedTransactionOffset: 0 });
    }
  });

  test.each([
    ["", "", ""],
    ["A\u0001b\u0002", "", "A\u0001b\u0002"],
    ["", "R\u0001x\u0002", "R\u0001x\u0002"],
    ["A\u0001b\u0002", "R\u0001x\u0002", "A\u0001b\u0002R\u0001x\u0002"],
    ["A\u0001b", "R\u0001x\u0002", "A\u0001b\u0002R\u0001x\u0002"],
  ])("with the properties %j and its own %j has %j", async (own, shared, expected) => {
    const store = await openStore({ recordCrc: false });
    store.putGroup("orders", 0, [{ body: bytes("m"), properties: bytes(own) }], { properties: bytes(shared) });
    const raw = store.get("orders", 0, 0).messages[0]?.raw as Uint8Array;
    expect(text(raw).endsWith(expected)).toBe(true);
    expect(raw.length).toBe(91 + 1 + "orders".length + expected.length);
  });

  const both: [string, Partial<GroupMessage>, GroupOptions["properties"], string][] = [
    ["a property", { properties: { A: "own" } }, { A: "shared" }, "A"],
    ["a property in bytes", { properties: bytes("A\u0001own") }, bytes("B\u0001b\u0002A\u0001shared"), "A"],
    ["tags", { tags: "own" }, { TAGS: "shared" }, "TAGS"],
    ["keys", { keys: ["own"] }, new Map([["KEYS", "shared"]]), "KEYS"],
  ];
  test.each(both)("of objects that has %s of a message too is refused by name", async (_, fields, properties, name) => {
    const store = await openStore();
    const call = () => store.putGroup("orders", 0, [...group(1), { body: bytes("m"), ...fields }], { properties });
    const error = thrown(call);
    expect(error).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "messages[1].properties" },
    });
    expect(error.message).toContain(`"${name}" is given twice`);
    expect(store.log.endOffset).toBe(0);
  });

  test("of the wire may repeat a property: the record has both, and that of the group is found, as with RocketMQ", async () => {
    const store = await openStore({ recordCrc: false });
    const wire = encodeMessages([{ body: bytes("m"), tags: "own", properties: { A: "own" } }]);
    store.putGroup("orders", 0, wire, { properties: { A: "shared", TAGS: "shared" } });
    const stored = store.get("orders", 0, 0, { filter: { tags: "shared" } }).messages[0];
    expect(stored?.properties.get("A")).toBe("shared");
    expect(text(stored?.raw as Uint8Array)).toContain(
      "TAGS\u0001own\u0002A\u0001own\u0002A\u0001shared\u0002TAGS\u0001shared\u0002",
    );
  });

  test("has its own properties in front of the CRC of each record", async () => {
    const store = await openStore();
    const shared = new Map([["TRACE_ON", "true"]]);
    store.putGroup("orders", 0, group(2, { tags: "t" }), { properties: shared });
    for (const { properties } of store.get("orders", 0, 0).messages) {
      expect([...properties.keys()].slice(0, 2)).toEqual(["TAGS", "TRACE_ON"]);
    }
  });

  test("that does not fit the rest of the file goes to the next as a whole", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const body = new Uint8Array(1000);
    const [first] = store.putGroup("orders", 0, group(2, { body }));
    expect(first?.physicalOffset).toBe(0);
    expect([...store.putGroup("orders", 0, group(3, { body })).physicalOffsets][0]).toBe(4096);
    expect(store.get("orders", 0, 0).messages.map(({ queueOffset }) => queueOffset)).toEqual([0, 1, 2, 3, 4]);
  });

  test("that no file takes is refused, and nothing is stored", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const error = thrown(() => store.putGroup("orders", 0, group(4, { body: new Uint8Array(1000) })));
    expect(error).toMatchObject({ code: "STORE_MESSAGE_TOO_LARGE", details: { argument: "messages" } });
    expect(store.log.endOffset).toBe(0);
    expect(store.topics()).toEqual([]);
  });

  test("of many megabytes is stored by one call, however many bytes others are cut at", async () => {
    const store = await openStore({ segmentBytes: 64 * 1024 * 1024, maxMessageBytes: 32 * 1024 * 1024 });
    const results = store.putGroup("orders", 0, group(24, { body: new Uint8Array(1024 * 1024) }));
    expect(new Set([...results].map(({ storeTimestamp }) => storeTimestamp)).size).toBe(1);
    expect([...results.queueOffsets]).toEqual(Array.from({ length: 24 }, (_, i) => i));
    expect(store.offsets("orders", 0)).toMatchObject({ max: 24 });
  });

  test("has at most maxMessageBytes in the wire form, the properties it shares not counted", async () => {
    const store = await openStore({ maxMessageBytes: 1000 });
    const of = (rest: number) => [
      { body: new Uint8Array(500) },
      { body: new Uint8Array(rest), properties: { a: "b" } },
    ];
    const most = 1000 - 500 - 22 - 22 - 4;
    expect(encodeMessages(of(most)).length).toBe(1000);
    for (const messages of [of(most + 1), encodeMessages(of(most + 1))]) {
      const error = thrown(() => store.putGroup("orders", 0, messages));
      expect(error).toMatchObject({
        code: "STORE_MESSAGE_TOO_LARGE",
        details: { argument: "messages", bytes: 1001, maximum: 1000 },
      });
      expect(error.message).toContain("maxMessageBytes");
    }
    const properties = { shared: "x".repeat(300) };
    store.putGroup("orders", 0, of(most), { properties });
    store.putGroup("orders", 0, encodeMessages(of(most)), { properties });
    expect(store.offsets("orders", 0).max).toBe(4);
  });

  test("takes any iterable, and memory of the caller may change afterwards", async () => {
    const store = await openStore();
    const body = bytes("a");
    store.putGroup("orders", 0, new Set([{ body }]));
    body[0] = 0;
    expect(bodies(store)).toEqual(["a"]);
  });

  test("is still there when the store is opened again", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    store.putGroup("orders", 0, group(3));
    await store.close();
    expect(bodies(await openStore({ readOnly: true }, directory))).toEqual(["m0", "m1", "m2"]);
  });
});

describe("a group that is wrong stores nothing", () => {
  const good = { body: bytes("good") };
  const wrong: [string, unknown, string, string[]][] = [
    ["another topic", [good, { ...good, topic: "other" }], "messages[1].topic", ['"other"', '"orders"']],
    ["another queue", [good, { ...good, queueId: 1 }], "messages[1].queueId", ["1", "queue 0"]],
    ["a sysFlag of its own", [{ ...good, sysFlag: 0 }], "messages[0].sysFlag", ["the options of the group"]],
    ["a time of its own", [{ ...good, bornTimestamp: 1 }], "messages[0].bornTimestamp", ["options"]],
    ["light queues", [{ ...good, multiDispatch: ["%LMQ%a"] }], "messages[0].multiDispatch", ["no light queues"]],
    ["an inner batch", [{ ...good, innerBatch: true }], "messages[0].innerBatch", ["a message of its own"]],
    [
      "a half message",
      [{ ...good, preparedTransactionOffset: 1 }],
      "messages[0].preparedTransactionOffset",
      ["its own"],
    ],
    ["a delayed message", [good, { ...good, properties: { DELAY: "3" } }], "messages[1].properties", ["DELAY", "3"]],
    ["no body", [good, {}], "messages[1].body", ["undefined"]],
    ["nothing in it", [], "messages", ["empty"]],
    ["no messages", 5, "messages", ["5", "iterable"]],
    ["a text", "abc", "messages", ['"abc"']],
    ["a message that is null", [null], "messages[0]", ["null"]],
    ["a wrong flag", [{ ...good, flag: 0.5 }], "messages[0].flag", ["0.5"]],
    ["an empty wire batch", new Uint8Array(0), "messages", ["empty"]],
    ["a cut wire batch", encodeMessages([good]).subarray(0, 21), "messages", ["byte 0", "21 bytes"]],
  ];
  test.each(wrong)("with %s", async (_, messages, argument, says) => {
    const store = await openStore();
    const error = thrown(() => store.putGroup("orders", 0, messages as GroupMessage[]));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
    for (const part of says) expect(error.message).toContain(part);
    expect(store.log.endOffset).toBe(0);
    expect(store.topics()).toEqual([]);
  });

  const wrongOptions: [object | null, string, string[]][] = [
    [{ sysFlag: 0x4 }, "messages[0].sysFlag", ["transaction"]],
    [{ sysFlag: 0x8 }, "messages[0].sysFlag", ["transaction"]],
    [{ sysFlag: 1.5 }, "options.sysFlag", ["1.5"]],
    [{ bornTimestamp: Number.NaN }, "options.bornTimestamp", ["NaN"]],
    [{ bornHost: { address: "x", port: 1 } }, "options.bornHost.address", ['"x"']],
    [{ storeHost: { address: "::1", port: -1 } }, "options.storeHost.port", ["-1"]],
    [{ reconsumeTimes: "1" }, "options.reconsumeTimes", ['"1"']],
    [{ properties: { DELAY: "1" } }, "options.properties", ["DELAY"]],
    [{ properties: { a: "" } }, "options.properties.a", ["empty"]],
    [{ properties: 5 }, "options.properties", ["5"]],
    [{ tags: "t" }, "options.tags", ["unknown option"]],
    [null, "options", ["null"]],
  ];
  test.each(wrongOptions)("with the options %j", async (options, argument, says) => {
    const store = await openStore();
    const error = thrown(() => store.putGroup("orders", 0, [good], options as GroupOptions));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
    for (const part of says) expect(error.message).toContain(part);
    expect(store.log.endOffset).toBe(0);
  });

  test.each([
    ["", 0, "topic"],
    ["a b", 0, "topic"],
    ["%LMQ%a", 0, "topic"],
    ["orders", -1, "queueId"],
    ["orders", 2 ** 31, "queueId"],
  ])("to topic %j, queue %d", async (topic, queueId, argument) => {
    const store = await openStore();
    const error = thrown(() => store.putGroup(topic, queueId, [good]));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
  });

  test("where one property string is too long with what the group adds", async () => {
    const store = await openStore();
    const own = { a: "x".repeat(32_000) };
    store.putGroup("orders", 0, [{ ...good, properties: own }]);
    const options = { properties: { b: "y".repeat(800) } };
    const error = thrown(() => store.putGroup("orders", 0, [good, { ...good, properties: own }], options));
    expect(error).toMatchObject({ code: "STORE_MESSAGE_TOO_LARGE", details: { argument: "messages[1].properties" } });
    expect(store.offsets("orders", 0).max).toBe(1);
  });

  test("where reading its messages closes the store", async () => {
    const store = await openStore();
    let closing: Promise<void> | undefined;
    const closer = {
      get body() {
        closing = store.close();
        return bytes("x");
      },
    };
    expect(thrown(() => store.putGroup("orders", 0, [closer]))).toMatchObject({ code: "STORE_CLOSED" });
    await closing;
  });
});

describe("the wire form", () => {
  test("is stored as the messages that it was made of", async () => {
    const store = await openStore();
    const messages: GroupMessage[] = [
      { body: bytes("a"), tags: "paid", keys: ["k1", "k2"], flag: -7 },
      { body: new Uint8Array(0) },
      { body: bytes("c"), properties: new Map([["ключ", "значение"]]) },
    ];
    store.putGroup("orders", 0, messages);
    store.putGroup("orders", 0, encodeMessages(messages));
    const fields = ({
      body,
      flag,
      properties,
    }: {
      body: Uint8Array;
      flag: number;
      properties: ReadonlyMap<string, string>;
    }) => ({
      body: text(body),
      flag,
      properties: [...properties].filter(([name]) => name !== "__CRC32#"),
    });
    const stored = store.get("orders", 0, 0).messages.map(fields);
    expect(stored.slice(3)).toEqual(stored.slice(0, 3));
    expect(stored[0]).toMatchObject({
      body: "a",
      flag: -7,
      properties: [
        ["TAGS", "paid"],
        ["KEYS", "k1 k2"],
      ],
    });
  });

  test("with INNER_MULTI_DISPATCH is stored with it, and goes to no light queue, as in RocketMQ", async () => {
    const store = await openStore();
    const properties = { INNER_MULTI_DISPATCH: "%LMQ%a", INNER_MULTI_QUEUE_OFFSET: "0" };
    store.putGroup("orders", 0, encodeMessages([{ body: bytes("m"), properties }]));
    const stored = store.get("orders", 0, 0).messages[0];
    expect(stored?.properties.get("INNER_MULTI_DISPATCH")).toBe("%LMQ%a");
    expect(stored?.properties.has("INNER_MULTI_QUEUE_OFFSET")).toBe(false);
    expect(store.topics()).toEqual(["orders"]);
  });

  test("changed anywhere is stored whole, or refused with its place and without a trace", async () => {
    const store = await openStore({ segmentBytes: 16 * 1024 * 1024 });
    const wire = encodeMessages(group(4, { tags: "t", keys: ["k"] }));
    let stored = 0;
    fc.assert(
      fc.property(
        fc.nat(wire.length),
        fc.array(fc.tuple(fc.nat(wire.length - 1), fc.nat(255)), { maxLength: 3 }),
        fc.uint8Array({ maxLength: 30 }),
        (cut, changes, behind) => {
          const changed = Buffer.concat([wire.subarray(0, cut), behind]);
          for (const [at, byte] of changes) if (at < changed.length) changed[at] = byte;
          try {
            stored += store.putGroup("orders", 0, changed).count;
          } catch (error) {
            expect(error).toMatchObject({
              code: "STORE_INVALID_ARGUMENT",
              details: { argument: expect.stringMatching(/^messages/) },
            });
          }
          expect(store.offsets("orders", 0).next).toBe(stored);
        },
      ),
      { numRuns: 500 },
    );
  });
});

test("bytes of a class of one's own are what they are, whatever its methods answer", async () => {
  class Odd extends Uint8Array {
    override subarray(): Uint8Array<ArrayBuffer> {
      return new Uint8Array(1000);
    }
  }
  const store = await openStore();
  store.putGroup("orders", 0, new Odd(encodeMessages(group(2, { tags: "paid" }))));
  expect(store.get("orders", 0, 0).messages.map(({ tags }) => tags)).toEqual(["paid", "paid"]);
  expect(bodies(store)).toEqual(["m0", "m1"]);
});

describe("encodeMessages", () => {
  test("names the message that is wrong", () => {
    const error = thrown(() => encodeMessages([{ body: bytes("a") }, { body: bytes("b"), tags: "" }]));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "messages[1].tags" } });
    expect(thrown(() => encodeMessages(null as unknown as GroupMessage[]))).toMatchObject({
      details: { argument: "messages" },
    });
  });

  test("of nothing is nothing", () => {
    expect(encodeMessages([])).toEqual(new Uint8Array(0));
  });
});
