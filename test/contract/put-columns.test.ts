/** `putColumns`: messages whose bodies and property strings stand in memory already. */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Message, MessageColumns, PutDiagnostics, PutResults, Store, StoreOptions } from "../../src/index.ts";
import { columnsOf, plainColumns } from "./columns.ts";
import { BATCH_QUEUES, INNER_BATCH, wireBatch, writeTopics } from "./inner-batch.ts";
import { bytes, message, messages, openStore, temporaryDirectory, text, thrown } from "./temporary-store.ts";

const bodies = (store: Store, topic = "orders", queueId = 0) =>
  store.get(topic, queueId, 0, { max: 1000 }).messages.map(({ body }) => text(body));

const MANY: StoreOptions = { segmentBytes: 8 * 1024 * 1024 };

/** What the results say, by columns and one by one. */
const told = (results: PutResults) => ({
  count: results.count,
  endOffset: results.endOffset,
  storeTimestamp: results.storeTimestamp,
  columns: [results.physicalOffsets, results.queueOffsets, results.sizes].map((column) => [...column]),
  each: [...results].map((each) => ({ ...each, offsetMsgId: each.offsetMsgId })),
});

/** The commit log of a store that is closed. */
function logOf(directory: string): Buffer {
  const folder = join(directory, "commitlog");
  return Buffer.concat(
    readdirSync(folder)
      .sort()
      .map((name) => readFileSync(join(folder, name))),
  );
}

/** Puts in stores of their own, which must come to the same bytes and answers. */
async function expectSame(options: StoreOptions, ...ways: ((store: Store) => PutResults)[]): Promise<void> {
  const found = [];
  for (const way of ways) {
    const directory = await temporaryDirectory();
    writeTopics(directory, { batches: BATCH_QUEUES });
    const store = await openStore({ clock: () => 1_700_000_000_123, ...options }, directory);
    const results = told(way(store));
    const topics = store.topics();
    await store.close();
    found.push({ results, topics, log: logOf(directory) });
  }
  const [first, ...others] = found;
  for (const { results, topics, log } of others) {
    expect(results).toEqual(first?.results);
    expect(topics).toEqual(first?.topics);
    expect(log.equals(first?.log as Buffer), "the logs are the same").toBe(true);
  }
}

const bornTimestamp = 1_699_999_999_000;
/** Messages of all kinds. */
const KINDS: Message[] = [
  message({ bornTimestamp, tags: "paid", keys: ["k1", "k2"], flag: -7 }),
  message({ bornTimestamp: -1, topic: "payments", queueId: 2 ** 31 - 1, body: new Uint8Array(0) }),
  message({ bornTimestamp, sysFlag: 4, preparedTransactionOffset: 0 }),
  message({ bornTimestamp, sysFlag: 8, preparedTransactionOffset: 2 ** 53 - 1, reconsumeTimes: 3 }),
  message({ bornTimestamp, sysFlag: 12, preparedTransactionOffset: 1 - 2 ** 53, reconsumeTimes: -(2 ** 31) }),
  message({ bornTimestamp, bornHost: { address: "2001:db8::1", port: 65_535 }, flag: 2 ** 31 - 1 }),
  message({ bornTimestamp, bornHost: { address: "10.1.2.3", port: 1 }, sysFlag: 0x30 }),
  message({ bornTimestamp, multiDispatch: ["%LMQ%a", "%LMQ%b"] }),
  message({ bornTimestamp, multiDispatch: ["%LMQ%a"], tags: "t" }),
  message({ bornTimestamp, topic: `%RETRY%${"g".repeat(130)}`, properties: new Map([["ключ", "значение"]]) }),
  message({ bornTimestamp, properties: { DELAY: "3", further: "value" } }),
  message({ bornTimestamp, properties: bytes("A\u0001open") }),
  message({ bornTimestamp, properties: bytes("A\u0001b\u0002__CRC32#\u000112345678") }),
  {
    ...message({ bornTimestamp, topic: "batches", body: wireBatch([bytes("x"), bytes("y")]) }),
    sysFlag: INNER_BATCH,
    properties: { INNER_NUM: "2" },
  },
];

describe("columns", () => {
  test.each<[string, StoreOptions]>([
    ["with a CRC", { recordCrc: true }],
    ["without", { recordCrc: false }],
    ["over many files", { segmentBytes: 4096 }],
  ])("are stored as putBatch stores the same messages, records %s", async (_, options) => {
    const many = Array.from({ length: 10 }, () => KINDS).flat();
    await expectSame(
      options,
      (store) => store.putBatch(many),
      (store) => store.putColumns(columnsOf(many)),
    );
  });

  test.each(["10.0.0.9", "2001:db8::2", "::ffff:10.0.0.9"])("have a store host, %s", async (address) => {
    const storeHost = { address, port: 10_912 };
    const from = KINDS.map((each) => ({ ...each, storeHost }));
    await expectSame(
      {},
      (store) => store.putBatch(from),
      (store) => store.putColumns(columnsOf(from)),
    );
  });

  const optional = [
    ["properties", {}],
    ["flags", { flag: 0 }],
    ["sysFlags", { sysFlag: 0 }],
    ["reconsumeTimes", { reconsumeTimes: 0 }],
    ["preparedTransactionOffsets", { preparedTransactionOffset: 0 }],
  ] as const;
  const full = messages(3, {
    bornTimestamp,
    topic: "payments",
    flag: 5,
    sysFlag: 0x1,
    reconsumeTimes: 2,
    preparedTransactionOffset: 9,
    bornHost: { address: "10.0.0.1", port: 3 },
  });
  test.each(optional)("may lack %s", async (column, fields) => {
    await expectSame(
      {},
      (store) => store.putBatch(full.map((each) => ({ ...each, ...fields }))),
      (store) => store.putColumns({ ...columnsOf(full), [column]: undefined }),
    );
  });

  test("may lack places: topics and hosts are the first", async () => {
    const host = { address: "10.0.0.1", port: 3 };
    const { topicOf: _, bornHostOf: __, ...columns } = columnsOf(full);
    const hosts = [host, { address: "::1", port: 4 }];
    await expectSame(
      {},
      (store) => store.putBatch(full),
      (store) => store.putColumns({ ...columns, topics: ["payments", "orders"], bornHosts: hosts }),
    );
  });

  test("have defaults: they are born now, at 127.0.0.1, port 0, and stored at port 10911", async () => {
    const store = await openStore();
    const before = Date.now();
    const [result] = store.putColumns(plainColumns(1));
    const after = Date.now();
    const found = store.get("orders", 0, 0).messages[0];
    expect(found).toMatchObject({
      flag: 0,
      sysFlag: 0,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      bornHost: { address: "127.0.0.1", port: 0 },
      storeHost: { address: "127.0.0.1", port: 10_911 },
    });
    expect(found?.bornTimestamp).toBeGreaterThanOrEqual(before);
    expect(found?.bornTimestamp).toBeLessThanOrEqual(after);
    expect(result?.offsetMsgId).toBe(found?.offsetMsgId);
  });

  test("are found by keys, tags and light queues", async () => {
    const store = await openStore();
    store.putColumns(columnsOf(KINDS.filter(({ topic }) => topic !== "batches")));
    expect(store.lookup("orders", "k2")).toHaveLength(1);
    expect(store.get("orders", 0, 0, { filter: { tags: "paid" } }).messages).toHaveLength(1);
    expect(store.offsets("%LMQ%a", 0)).toEqual({ min: 0, max: 2, next: 2 });
    expect(store.get("%LMQ%b", 0, 0).messages[0]?.multiDispatch).toEqual(["%LMQ%a", "%LMQ%b"]);
  });

  test("may be none at all", async () => {
    const store = await openStore();
    const results = store.putColumns(plainColumns(0));
    expect(told(results)).toEqual(told(store.putBatch([])));
    expect(results).toMatchObject({ count: 0, endOffset: 0, storeTimestamp: 0 });
    expect(store.log.endOffset).toBe(0);
    expect(store.topics()).toEqual([]);
  });

  test("may point anywhere into the bytes: twice to the same, to each other, to nothing at their end", async () => {
    const store = await openStore({ recordCrc: false });
    store.putColumns({
      topics: ["orders"],
      queueIds: new Int32Array(5),
      bytes: bytes("A\u0001b\u0002"),
      bodies: Uint32Array.of(0, 4, 0, 4, 1, 3, 4, 4, 0, 0),
      properties: Uint32Array.of(0, 4, 4, 4, 0, 4, 0, 0, 0, 4),
    });
    expect(bodies(store)).toEqual(["A\u0001b\u0002", "A\u0001b\u0002", "\u0001b", "", ""]);
    const names = store.get("orders", 0, 0).messages.map(({ properties }) => [...properties.keys()].join());
    expect(names).toEqual(["A", "", "A", "", "A"]);
  });

  test("may be changed afterwards", async () => {
    const store = await openStore();
    const columns = plainColumns(2);
    store.putColumns(columns);
    columns.bytes.fill(0);
    expect(bodies(store)).toEqual(["m0000", "m0001"]);
  });

  test("of many megabytes are stored whole and in order, by several calls of the engine", async () => {
    const size = 900_000;
    const from = Array.from({ length: 12 }, (_, i) =>
      message({ bornTimestamp, queueId: i % 3, body: new Uint8Array(size).fill(i), flag: i, keys: [`k${i}`] }),
    );
    await expectSame(
      MANY,
      (store) => store.putBatch(from),
      (store) => store.putColumns(columnsOf(from)),
    );
  });

  test("of many megabytes have the place of each in the results, and every column in each call", async () => {
    const store = await openStore({ ...MANY, clock: () => 1_700_000_000_000 });
    const count = 60_000;
    const places = Uint32Array.from({ length: count }, (_, i) => i & 1);
    const results = store.putColumns(
      plainColumns(count, {
        topics: ["even", "odd"],
        topicOf: places,
        bodies: new Uint32Array(2 * count),
        bornHosts: [
          { address: "10.0.0.1", port: 1 },
          { address: "::1", port: 2 },
        ],
        bornHostOf: places,
        flags: Int32Array.from({ length: count }, (_, i) => -i),
        sysFlags: new Int32Array(count).fill(1),
        reconsumeTimes: Int32Array.from({ length: count }, (_, i) => i),
        preparedTransactionOffsets: Float64Array.from({ length: count }, (_, i) => i * 2 ** 30),
        bornTimestamps: Float64Array.from({ length: count }, (_, i) => i),
        properties: new Uint32Array(2 * count),
      }),
    );
    expect(results.count).toBe(count);
    expect([...results.queueOffsets.subarray(-2)]).toEqual([count / 2 - 1, count / 2 - 1]);
    for (const i of [0, 1, 40_000, 40_001, count - 1]) {
      expect(store.at(results.physicalOffsets[i] as number)).toMatchObject({
        topic: i & 1 ? "odd" : "even",
        flag: i === 0 ? 0 : -i,
        sysFlag: i & 1 ? 0x11 : 0x1,
        reconsumeTimes: i,
        preparedTransactionOffset: i * 2 ** 30,
        bornTimestamp: i,
        bornHost: i & 1 ? { address: "::1", port: 2 } : { address: "10.0.0.1", port: 1 },
      });
    }
  });

  test("may have many topics and hosts", async () => {
    const store = await openStore(MANY);
    const count = 100;
    const own = Uint32Array.from({ length: count }, (_, i) => count - 1 - i);
    const topics = Array.from({ length: count }, (_, i) => `topic-${i}`);
    const bornHosts = Array.from({ length: count }, (_, i) => ({ address: `10.0.0.${i}`, port: i }));
    const columns = plainColumns(count, { topics, topicOf: own, bornHosts, bornHostOf: own });
    store.putColumns(columns);
    store.putColumns(plainColumns(1));
    expect(store.topics()).toHaveLength(count + 1);
    expect(store.get("topic-0", 0, 0).messages[0]).toMatchObject({ bornHost: { address: "10.0.0.0", port: 0 } });
    const [last] = store.get(`topic-${count - 1}`, 0, 0).messages;
    expect(last?.bornHost).toEqual({ address: "10.0.0.99", port: 99 });
    expect(text(last?.body as Uint8Array)).toBe("m0000");
    expect(bodies(store)).toEqual(["m0000"]);
  });

  test("are still there when the store is opened again", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    store.putColumns(plainColumns(3));
    await store.close();
    expect(bodies(await openStore({ readOnly: true }, directory))).toEqual(["m0000", "m0001", "m0002"]);
  });

  test("of a synchronous store are visible once they are durable", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    const { endOffset } = store.putColumns(plainColumns(3));
    expect(bodies(store)).toEqual([]);
    expect(await store.flush(endOffset)).toBe(endOffset);
    expect(bodies(store)).toEqual(["m0000", "m0001", "m0002"]);
  });

  test("wake those who wait for them, and are told to listeners", async () => {
    const store = await openStore();
    const seen: number[] = [];
    store.onAppend(({ queueOffsets }) => void seen.push(...queueOffsets));
    const waiting = store.arrival("orders", 0, 2);
    store.putColumns(plainColumns(3));
    expect(await waiting).toBe(true);
    await store.close();
    expect(seen).toEqual([0, 1, 2]);
  });

  test("are told on the channel moraine:put, each call of the engine once", async () => {
    const store = await openStore(MANY);
    const seen: PutDiagnostics[] = [];
    const listener = (told: unknown) => {
      if ((told as PutDiagnostics).path === store.path) seen.push(told as PutDiagnostics);
    };
    subscribe("moraine:put", listener);
    onTestFinished(() => void unsubscribe("moraine:put", listener));
    const small = store.putColumns(plainColumns(3));
    const large = store.putColumns({
      ...plainColumns(2),
      bytes: new Uint8Array(6e6),
      bodies: Uint32Array.of(0, 3e6, 3e6, 6e6),
    });
    expect(seen).toEqual([
      {
        path: store.path,
        count: 3,
        physicalOffset: 0,
        endOffset: small.endOffset,
        storeTimestamp: small.storeTimestamp,
      },
      expect.objectContaining({ count: 1, physicalOffset: large.physicalOffsets[0] }),
      expect.objectContaining({ count: 1, physicalOffset: large.physicalOffsets[1], endOffset: large.endOffset }),
    ]);
  });
});

describe("limits of columns", () => {
  const stored = (store: Store) => store.offsets("orders", 0).next;

  test("a body has at most maxMessageBytes", async () => {
    const store = await openStore({ maxMessageBytes: 1000 });
    const columns = (size: number) =>
      plainColumns(2, { bytes: new Uint8Array(1001), bodies: Uint32Array.of(0, 5, 0, size) });
    store.putColumns(columns(1000));
    const error = thrown(() => store.putColumns(columns(1001)));
    expect(error).toMatchObject({
      code: "STORE_MESSAGE_TOO_LARGE",
      message: "messages[1]: body has 1001 bytes; the store takes at most 1000 (option maxMessageBytes)",
      details: { argument: "messages[1].body", bytes: 1001, maximum: 1000, stored: 0 },
    });
    expect(stored(store)).toBe(2);
  });

  const property = (length: number) => bytes(`p\u0001${"v".repeat(length - 3)}\u0002`);
  const withProperties = (properties: Uint8Array, before = 0): MessageColumns => ({
    topics: ["orders"],
    queueIds: new Int32Array(before + 1),
    bytes: properties,
    bodies: new Uint32Array(2 * before + 2),
    properties: Uint32Array.of(...new Array(2 * before).fill(0), 0, properties.length),
  });
  test.each([
    [true, 32_747],
    [false, 32_767],
  ])("with recordCrc %s a property string has at most %i bytes", async (recordCrc, most) => {
    const store = await openStore({ recordCrc });
    store.putColumns(withProperties(property(most)));
    const found = store.get("orders", 0, 0).messages[0];
    expect(found?.properties.get("p")).toHaveLength(most - 3);
    for (const length of [most + 1, 32_768, 65_536]) {
      const columns = thrown(() => store.putColumns(withProperties(property(length), 1)));
      expect(columns).toMatchObject({
        code: "STORE_MESSAGE_TOO_LARGE",
        message: `messages[1]: the property string (tags, keys and properties) has ${length} bytes or more; a record takes at most ${most}`,
        details: { argument: "messages[1].properties", bytes: length, maximum: most, stored: 0 },
      });
      const batch = thrown(() => store.putBatch([message(), message({ properties: property(length) })]));
      expect([batch.code, batch.details.argument]).toEqual([columns.code, columns.details.argument]);
    }
    expect(stored(store)).toBe(1);
  });

  test("a CRC that a property string brings takes no room of it", async () => {
    const store = await openStore();
    const brought = bytes(`${text(property(32_747))}__CRC32#\u0001123456789`);
    store.putColumns(withProperties(brought));
    store.putBatch([message({ body: new Uint8Array(0), properties: brought, bornTimestamp })]);
    const [one, other] = store.get("orders", 0, 0).messages;
    expect(one?.properties.get("p")).toBe(other?.properties.get("p"));
    expect(one?.size).toBe(other?.size);
  });

  test("a property string that is too long behind many megabytes keeps all out", async () => {
    const store = await openStore(MANY);
    const error = thrown(() =>
      store.putColumns({
        ...plainColumns(3, { bytes: new Uint8Array(6e6), bodies: Uint32Array.of(0, 3e6, 3e6, 6e6, 0, 0) }),
        properties: Uint32Array.of(0, 0, 0, 0, 0, 40_000),
      }),
    );
    expect(error).toMatchObject({
      code: "STORE_MESSAGE_TOO_LARGE",
      details: { argument: "messages[2].properties", stored: 0 },
    });
    expect(store.log.endOffset).toBe(0);
  });

  test("what only the engine refuses is named by its message, also behind many megabytes", async () => {
    const store = await openStore(MANY);
    const columns = plainColumns(3, { bytes: new Uint8Array(6e6), bodies: Uint32Array.of(0, 3e6, 3e6, 6e6, 0, 0) });
    const error = thrown(() => store.putColumns({ ...columns, sysFlags: Int32Array.of(0, 0, 0x80) }));
    expect(error.code).toBe("STORE_INVALID_ARGUMENT");
    expect(error.details).toMatchObject({ argument: "messages[2].topic", message: 2, stored: 1 });
    expect(error.message).toMatch(/^messages\[2\]: /);
    expect(stored(store)).toBe(1);
  });

  test("a record that fits no file is refused", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const error = thrown(() =>
      store.putColumns(plainColumns(2, { bytes: new Uint8Array(5000), bodies: Uint32Array.of(0, 5, 0, 5000) })),
    );
    expect(error).toMatchObject({
      code: "STORE_MESSAGE_TOO_LARGE",
      details: { argument: "messages[1].body", stored: 0 },
    });
    expect(stored(store)).toBe(0);
  });

  test('with compat "4.9" topics have at most 127 characters', async () => {
    const store = await openStore({ compat: "4.9" });
    const long = `%RETRY%${"g".repeat(130)}`;
    const error = thrown(() => store.putColumns(plainColumns(1, { topics: ["orders", long] })));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "topics[1]", stored: 0 } });
    expect(error.message).toMatch(/^topics\[1\]: topic .* has 137 characters; with compat "4.9"/);
    expect(store.log.endOffset).toBe(0);
  });

  test("a message for light queues that may not be is refused by its properties", async () => {
    const store = await openStore();
    const error = thrown(() =>
      store.putColumns(withProperties(bytes("INNER_MULTI_DISPATCH\u0001%LMQ%a,orders\u0002"), 2)),
    );
    expect(error).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "messages[2].properties", stored: 0 },
    });
    expect(store.log.endOffset).toBe(0);
  });
});
