/** Light queues: one record that is read from many queues. */
import { describe, expect, test } from "vitest";
import type { Message, Store } from "../../src/index.ts";
import { bytes, message, openStore, temporaryDirectory, text, thrown } from "./temporary-store.ts";

const bodies = (store: Store, topic: string, queueId = 0) =>
  store.get(topic, queueId, 0, { max: 1000 }).messages.map(({ body }) => text(body));

describe("a message with multiDispatch", () => {
  test("stands in its queue and in every light queue that it names, at the next offset of each", async () => {
    const store = await openStore();
    store.put(message({ queueId: 2, body: bytes("m0"), multiDispatch: ["%LMQ%a", "%LMQ%b"] }));
    const { queueOffset } = store.put(message({ body: bytes("m1"), multiDispatch: ["%LMQ%b"] }));
    expect(queueOffset).toBe(0);
    expect(store.topics()).toEqual(["%LMQ%a", "%LMQ%b", "orders"]);
    expect(store.queues("%LMQ%b")).toEqual([0]);
    expect(store.offsets("%LMQ%b", 0)).toEqual({ min: 0, max: 2, next: 2 });
    expect(bodies(store, "%LMQ%a")).toEqual(["m0"]);
    expect(bodies(store, "%LMQ%b")).toEqual(["m0", "m1"]);
    expect(bodies(store, "orders", 2)).toEqual(["m0"]);
    expect(store.entries("%LMQ%b", 0)).toEqual([...store.entries("orders", 2), ...store.entries("orders", 0)]);
  });

  test("has RocketMQ's two properties, its own behind TAGS and KEYS and the store's at the end", async () => {
    const store = await openStore();
    const fields = { tags: "t", keys: ["k"], multiDispatch: ["%LMQ%a", "%LMQ%b"], properties: { colour: "red" } };
    store.put(message({ multiDispatch: ["%LMQ%a"] }));
    store.put(message(fields));
    const stored = store.get("%LMQ%a", 0, 1).messages[0];
    expect([...(stored?.properties ?? [])].filter(([name]) => name !== "__CRC32#")).toEqual([
      ["TAGS", "t"],
      ["KEYS", "k"],
      ["INNER_MULTI_DISPATCH", "%LMQ%a,%LMQ%b"],
      ["colour", "red"],
      ["INNER_MULTI_QUEUE_OFFSET", "1,0"],
    ]);
    expect(store.lookup("orders", "k")).toHaveLength(1);
  });

  test("in a batch takes one offset after the other, over the ends of files and of calls", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const batch = Array.from({ length: 100 }, (_, i) =>
      message({ body: bytes(`m${i}`), multiDispatch: i % 2 === 0 ? ["%LMQ%a", "%LMQ%even"] : ["%LMQ%a"] }),
    );
    store.putBatch(batch);
    expect(bodies(store, "%LMQ%a")).toEqual(batch.map(({ body }) => text(body)));
    expect(bodies(store, "%LMQ%even")).toHaveLength(50);
  });

  test("wakes who waits at a light queue", async () => {
    const store = await openStore();
    const waiting = store.arrival("%LMQ%a", 0, 0);
    store.put(message({ multiDispatch: ["%LMQ%b"] }));
    store.put(message({ multiDispatch: ["%LMQ%a"] }));
    expect(await waiting).toBe(true);
  });

  test("is read from its light queues after the store was opened again, also read-only", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    for (let i = 0; i < 20; i++) store.put(message({ body: bytes(`m${i}`), multiDispatch: ["%LMQ%a"] }));
    await store.close();
    const reader = await openStore({ readOnly: true }, directory);
    expect(bodies(reader, "%LMQ%a")).toHaveLength(20);
    await reader.close();
    const again = await openStore({}, directory);
    again.put(message({ body: bytes("m20"), multiDispatch: ["%LMQ%a"] }));
    expect(bodies(again, "%LMQ%a").at(-1)).toBe("m20");
    expect(again.offsets("%LMQ%a", 0).next).toBe(21);
  });

  test("can name hundreds", async () => {
    const store = await openStore();
    const names = Array.from({ length: 300 }, (_, i) => `%LMQ%queue-${i}`);
    store.put(message({ body: bytes("m"), multiDispatch: names }));
    expect(store.topics()).toHaveLength(301);
    expect(bodies(store, "%LMQ%queue-299")).toEqual(["m"]);
  });

  test("has at most maxMessageBytes as a whole record", async () => {
    const store = await openStore({ maxMessageBytes: 1000 });
    const multiDispatch = ["%LMQ%a"];
    const { size } = store.put(message({ body: new Uint8Array(0), multiDispatch }));
    expect(store.put(message({ body: new Uint8Array(1000 - size), multiDispatch })).size).toBe(1000);
    const error = thrown(() => store.put(message({ body: new Uint8Array(1001 - size), multiDispatch })));
    expect(error).toMatchObject({ code: "STORE_MESSAGE_TOO_LARGE", details: { argument: "body" } });
    expect(error.message).toContain("light queues");
    expect(store.offsets("%LMQ%a", 0).next).toBe(2);
  });

  test("with an empty list is like one without", async () => {
    const store = await openStore();
    store.put(message({ multiDispatch: [] }));
    expect(store.topics()).toEqual(["orders"]);
  });
});

describe("a property string of the wire", () => {
  test("leads to the light queues that it names, its offsets replaced", async () => {
    const store = await openStore();
    const properties = bytes("INNER_MULTI_QUEUE_OFFSET\u000177\u0002INNER_MULTI_DISPATCH\u0001%LMQ%a,%LMQ%b");
    store.put(message({ body: bytes("m"), properties }));
    const stored = store.get("%LMQ%b", 0, 0).messages[0];
    expect(stored?.properties.get("INNER_MULTI_QUEUE_OFFSET")).toBe("0,0");
    expect(stored?.queueOffset).toBe(0);
  });

  test("that names a queue twice puts the message there once", async () => {
    const store = await openStore();
    const properties = { INNER_MULTI_DISPATCH: "%LMQ%a,%LMQ%a" };
    store.put(message({ body: bytes("m0"), properties }));
    store.put(message({ body: bytes("m1"), properties }));
    expect(bodies(store, "%LMQ%a")).toEqual(["m0", "m1"]);
  });

  test.each(["%LMQ%a,other", "other,%LMQ%a", `%LMQ%${"x".repeat(251)}`, "%LMQ%../../x", "%LMQ%a/b"])(
    "that names %j is refused",
    async (names) => {
      const store = await openStore();
      const error = thrown(() => store.put(message({ properties: { INNER_MULTI_DISPATCH: names } })));
      expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "properties" } });
      expect(error.message).toContain("INNER_MULTI_DISPATCH");
      expect(store.log.endOffset).toBe(0);
    },
  );

  const names = ["%LMQ%a b", "%LMQ%a@b", "%LMQ%ä\u{1f600}", "%LMQ%a:b\\c", `%LMQ%${"x".repeat(250)}`, "%LMQ%"];
  test.each(names)("makes a queue %j that is read as any other", async (name) => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    const waiting = store.arrival(name, 0, 0);
    store.put(message({ body: bytes("m"), tags: "t", keys: ["k"], properties: { INNER_MULTI_DISPATCH: name } }));
    expect(await waiting).toBe(true);
    await store.close();
    for (const readOnly of [true, false]) {
      const again = await openStore({ readOnly }, directory);
      expect(again.topics()).toEqual([name, "orders"].sort());
      expect(again.queues(name)).toEqual([0]);
      expect(again.offsets(name, 0)).toEqual({ min: 0, max: 1, next: 1 });
      expect(bodies(again, name)).toEqual(["m"]);
      expect(again.entries(name, 0)).toEqual(again.entries("orders", 0));
      expect(again.offsetByTime(name, 0, 0, "lower")).toBe(0);
      expect(again.timeOf(name, 0, 0)).toBeGreaterThan(0);
      expect(again.lookup(name, "k")).toEqual([]);
      expect(await again.arrival(name, 0, 0)).toBe(true);
      const read: string[] = [];
      for await (const { body } of again.read(name, 0)) read.push(text(body));
      expect(read).toEqual(["m"]);
      await again.close();
    }
  });

  test.each(["%LMQ%a/b", "%LMQ%../../x", "a/b", ".", "..", "\ud800", "ä".repeat(128)])(
    "cannot make a queue %j, and none is asked for",
    async (name) => {
      const store = await openStore();
      for (const ask of [
        () => store.get(name, 0, 0),
        () => store.offsets(name, 0),
        () => store.queues(name),
        () => store.lookup(name, "k"),
      ]) {
        expect(thrown(ask)).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "topic" } });
      }
    },
  );

  test("of a retry leads nowhere, as in RocketMQ", async () => {
    const store = await openStore();
    store.put(message({ topic: "%RETRY%g", properties: { INNER_MULTI_DISPATCH: "%LMQ%a" } }));
    expect(store.topics()).toEqual(["%RETRY%g"]);
  });
});

describe("what is wrong with multiDispatch is said, and nothing is stored", () => {
  const wrong: [string, Partial<Message>, string, string[]][] = [
    ["no prefix", { multiDispatch: ["a"] }, "multiDispatch[0]", ['"a"', '"%LMQ%"']],
    ["nothing behind the prefix", { multiDispatch: ["%LMQ%"] }, "multiDispatch[0]", ['"%LMQ%"']],
    ["a slash", { multiDispatch: ["%LMQ%a", "%LMQ%a/b"] }, "multiDispatch[1]", ['"%LMQ%a/b"']],
    ["a comma", { multiDispatch: ["%LMQ%a,%LMQ%b"] }, "multiDispatch[0]", ["%LMQ%a,%LMQ%b"]],
    ["too long", { multiDispatch: [`%LMQ%${"x".repeat(123)}`] }, "multiDispatch[0]", ["127"]],
    ["a name twice", { multiDispatch: ["%LMQ%a", "%LMQ%b", "%LMQ%a"] }, "multiDispatch[2]", ["twice", '"%LMQ%a"']],
    ["no text", { multiDispatch: [5] as unknown as string[] }, "multiDispatch[0]", ["5"]],
    ["no array", { multiDispatch: "%LMQ%a" as unknown as string[] }, "multiDispatch", ["array", '"%LMQ%a"']],
    [
      "given twice",
      { multiDispatch: ["%LMQ%a"], properties: { INNER_MULTI_DISPATCH: "%LMQ%b" } },
      "properties",
      ["INNER_MULTI_DISPATCH", "multiDispatch"],
    ],
    [
      "given twice, in bytes",
      { multiDispatch: ["%LMQ%a"], properties: bytes("INNER_MULTI_DISPATCH\u0001%LMQ%b\u0002") },
      "properties",
      ["INNER_MULTI_DISPATCH"],
    ],
    ["of a retry", { topic: "%RETRY%g", multiDispatch: ["%LMQ%a"] }, "multiDispatch", ["%RETRY%g"]],
    ["of the system", { topic: "rmq_sys_x", multiDispatch: ["%LMQ%a"] }, "multiDispatch", ["rmq_sys_x"]],
    ["delayed", { topic: "SCHEDULE_TOPIC_XXXX", multiDispatch: ["%LMQ%a"] }, "multiDispatch", ["SCHEDULE_TOPIC_XXXX"]],
  ];
  test.each(wrong)("%s", async (_, fields, argument, says) => {
    const store = await openStore();
    const error = thrown(() => store.put(message(fields)));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
    for (const part of says) expect(error.message).toContain(part);
    expect(store.topics()).toEqual([]);
  });
});
