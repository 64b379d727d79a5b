import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeMessages, type Message, type Store, type StoreOptions } from "../../src/index.ts";
import { BATCH_QUEUES, INNER_BATCH, innerBatch, wireBatch, writeTopics } from "./inner-batch.ts";
import { bytes, message, openStore, temporaryDirectory, thrown } from "./temporary-store.ts";

const TOPIC = "batches";
const bodies = (count: number): Uint8Array[] => Array.from({ length: count }, (_, n) => bytes(`inner ${n}`));
const inner = (count: number, fields = {}) => innerBatch(TOPIC, 0, bodies(count), fields);
const plain = (fields = {}) => message({ topic: TOPIC, ...fields });

async function batchStore(options: StoreOptions = {}): Promise<{ store: Store; directory: string }> {
  const directory = await temporaryDirectory();
  writeTopics(directory, { [TOPIC]: BATCH_QUEUES, orders: {} });
  return { store: await openStore(options, directory), directory };
}

/** [queue offset, messages] of every record from an offset on, as a consumer reads them. */
async function consume(store: Store, from = 0): Promise<number[][]> {
  const found: number[][] = [];
  for await (const one of store.read(TOPIC, 0, { from })) {
    found.push([one.queueOffset, Number(one.properties.get("INNER_NUM") ?? 1)]);
  }
  return found;
}

describe("a topic with batch queues", () => {
  test("gives an inner batch as many offsets as it has messages, and a plain message one", async () => {
    const { store } = await batchStore();
    expect(store.put(inner(3)).queueOffset).toBe(0);
    expect(store.put(plain()).queueOffset).toBe(3);
    const results = store.putBatch([inner(5), plain(), inner(2)]);
    expect([...results].map(({ queueOffset }) => queueOffset)).toEqual([4, 9, 10]);
    expect((await store.append(inner(1))).queueOffset).toBe(12);
    expect(store.offsets(TOPIC, 0)).toEqual({ min: 0, max: 13, next: 13 });
    expect(store.topics()).toEqual([TOPIC]);
    expect(store.queues(TOPIC)).toEqual([0]);
  });

  test("stores an inner batch as one record that says where it begins", async () => {
    const { store } = await batchStore({ recordCrc: false });
    store.put(plain());
    const { physicalOffset } = store.put(inner(2, { tags: "paid", keys: ["k-1"] }));
    const stored = store.at(physicalOffset);
    expect(stored).toMatchObject({ queueOffset: 1, sysFlag: INNER_BATCH, tags: "paid" });
    expect(Buffer.from(stored?.body ?? [])).toEqual(wireBatch(bodies(2)));
    expect([...(stored?.properties ?? [])]).toEqual([
      ["INNER_BASE", "1"],
      ["TAGS", "paid"],
      ["KEYS", "k-1"],
      ["INNER_NUM", "2"],
    ]);
    expect([...store.lookup(TOPIC, "k-1")].map((found) => found.physicalOffset)).toEqual([physicalOffset]);
  });

  test("returns whole batches, and counts their messages", async () => {
    const { store } = await batchStore();
    store.putBatch(Array.from({ length: 4 }, () => inner(5)));
    const ask = (offset: number, max: number) => {
      const { status, nextOffset, messages, minOffset, maxOffset } = store.get(TOPIC, 0, offset, { max });
      expect({ minOffset, maxOffset }).toEqual({ minOffset: 0, maxOffset: 20 });
      return [status, nextOffset, messages.map(({ queueOffset }) => queueOffset)];
    };
    expect(ask(0, 10)).toEqual(["FOUND", 10, [0, 5]]);
    expect(ask(7, 9)).toEqual(["FOUND", 10, [5]]);
    expect(ask(19, 1)).toEqual(["FOUND", 20, [15]]);
    expect(ask(20, 32)).toEqual(["OFFSET_OVERFLOW_ONE", 20, []]);
    expect(ask(21, 32)).toEqual(["OFFSET_OVERFLOW_BADLY", 20, []]);
    expect(store.get(TOPIC, 1, 0).status).toBe("NO_MATCHED_LOGIC_QUEUE");
    expect(store.get(TOPIC, 0, 0, { maxBytes: 1 }).messages.length).toBe(1);
  });

  test("has one entry for each batch", async () => {
    const { store } = await batchStore();
    const results = [...store.putBatch([inner(3, { tags: "a" }), inner(4), inner(5)])];
    const entries = results.map(({ physicalOffset, size }, n) => ({
      physicalOffset,
      size,
      tagsCode: n === 0 ? 97 : 0,
    }));
    expect(store.entries(TOPIC, 0)).toEqual(entries);
    expect(store.entries(TOPIC, 0, { from: 6, max: 1 })).toEqual(entries.slice(1, 2));
  });

  test("finds times and tags", async () => {
    let now = 1_700_000_000_000;
    const directory = await temporaryDirectory();
    writeTopics(directory, { [TOPIC]: BATCH_QUEUES });
    const store = await openStore({ clock: () => now }, directory);
    for (const tags of ["a", "b", "a"]) {
      store.put(inner(2, { tags }));
      now += 10;
    }
    expect(store.offsetByTime(TOPIC, 0, 1_700_000_000_005, "lower")).toBe(2);
    expect(store.timeOf(TOPIC, 0, 3)).toBe(1_700_000_000_010);
    expect(store.timeOf(TOPIC, 0, 6)).toBeUndefined();
    const found = store.get(TOPIC, 0, 0, { filter: { tags: "a" } });
    expect(found.messages.map(({ queueOffset }) => queueOffset)).toEqual([0, 4]);
    expect(found.nextOffset).toBe(6);
  });

  test("is the same when the store is opened again, and when its queues are built again", async () => {
    const { store, directory } = await batchStore();
    for (let n = 0; n < 2500; n++) store.put(n % 3 === 0 ? plain() : inner(1 + (n % 4)));
    store.put(message());
    const all = await consume(store);
    const { max } = store.offsets(TOPIC, 0);
    await store.close();
    expect(existsSync(join(directory, "consumequeue", TOPIC))).toBe(false);
    for (const trees of [[], ["batchconsumequeue"], ["consumequeue"], ["batchconsumequeue", "consumequeue", "index"]]) {
      for (const tree of trees) rmSync(join(directory, tree), { recursive: true });
      const looking = await openStore({ readOnly: true }, directory);
      expect(await consume(looking)).toEqual(all);
      await looking.close();
      const again = await openStore({}, directory);
      expect(await consume(again)).toEqual(all);
      expect(again.offsets(TOPIC, 0)).toEqual({ min: 0, max, next: max });
      expect(again.get("orders", 0, 0).messages.length).toBe(1);
      await again.close();
    }
    const last = await openStore({}, directory);
    expect(last.put(inner(2)).queueOffset).toBe(max);
    expect(await consume(last, max + 1)).toEqual([[max, 2]]);
    const kinds = last.health().files.map(({ path, kind }) => [path.split("/")[0], kind]);
    expect(kinds).toContainEqual(["batchconsumequeue", "batchconsumequeue"]);
  });

  test("may be configured while the store is open, before its first message", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    store.put(message());
    writeTopics(directory, { [TOPIC]: BATCH_QUEUES, orders: BATCH_QUEUES });
    expect(store.put(inner(4)).queueOffset).toBe(0);
    expect(store.put(plain()).queueOffset).toBe(4);
    expect(store.put(message()).queueOffset).toBe(1);
  });
});

describe("refused", () => {
  const cases: [string, Partial<Message>, string, RegExp][] = [
    ["INNER_NUM on a plain message", { sysFlag: 0 }, "properties", /leave it out/],
    ["an inner batch for plain queues", { topic: "orders" }, "topic", /queue\.type=BatchCQ/],
    ["an inner batch without INNER_NUM", { properties: {} }, "properties", /needs the property INNER_NUM/],
    ["an INNER_NUM that is no number", { properties: { INNER_NUM: "x" } }, "properties", /from 1 to 32767/],
    ["an INNER_NUM that is not true", { properties: { INNER_NUM: "3" } }, "body", /holds 2 messages, INNER_NUM says 3/],
    ["a body that is no wire batch", { body: bytes("hello") }, "body", /do not add up/],
    ["a body that ends too soon", { body: wireBatch(bodies(2)).subarray(0, 40) }, "body", /do not add up/],
    ["a batch of a prepared transaction", { sysFlag: INNER_BATCH | 4 }, "sysFlag", /transaction/],
  ];
  test.each(cases)("%s", async (_, fields, argument, words) => {
    const { store } = await batchStore();
    const error = thrown(() => store.put({ ...inner(2), ...fields }));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
    expect(error.message).toMatch(words);
    expect(store.log.endOffset).toBe(0);
    expect(store.put(inner(2)).queueOffset).toBe(0);
  });

  test("messages for a topic that has queues of both kinds", async () => {
    const directory = await temporaryDirectory();
    const before = await openStore({}, directory);
    before.put(message());
    await before.close();
    writeTopics(directory, { orders: BATCH_QUEUES });
    const store = await openStore({}, directory);
    expect(store.health().findings).toMatchObject([{ kind: "topic-kind", file: "consumequeue/orders" }]);
    expect(thrown(() => store.put(message())).code).toBe("STORE_UNSUPPORTED_FORMAT");
    expect(store.put(message({ topic: "others" })).queueOffset).toBe(0);
  });
});

describe("innerBatch", () => {
  const messages = [{ body: bytes("a"), tags: "t", keys: ["k1"] }, { body: bytes("b"), flag: 3 }, { body: bytes("c") }];

  test("makes one record of its messages, or takes their wire form", async () => {
    const { store } = await batchStore();
    const fields = { topic: TOPIC, queueId: 0, properties: { UNIQ_KEY: "u" } };
    const made = store.put({ ...fields, innerBatch: messages });
    const given = store.put({ ...fields, innerBatch: true, body: encodeMessages(messages) });
    expect([made.queueOffset, given.queueOffset]).toEqual([0, 3]);
    expect(given.size).toBe(made.size);
    const [first, second] = store.get(TOPIC, 0, 0).messages;
    expect(first).toMatchObject({ sysFlag: INNER_BATCH, queueOffset: 0 });
    expect(first?.properties.get("INNER_NUM")).toBe("3");
    expect(first?.properties.get("INNER_BASE")).toBe("0");
    expect(second?.properties.get("INNER_BASE")).toBe("3");
    expect(first?.body).toEqual(encodeMessages(messages));
    expect(second?.body).toEqual(first?.body);
  });

  test("of a wrong message or body stores nothing", async () => {
    const { store } = await batchStore();
    const fields = { topic: TOPIC, queueId: 0 };
    const wrong = thrown(() => store.put({ ...fields, innerBatch: [{ body: bytes("a"), tags: "" }] }));
    expect(wrong).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "innerBatch[0].tags" } });
    const cut = thrown(() => store.put({ ...fields, innerBatch: true, body: encodeMessages(messages).subarray(1) }));
    expect(cut).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "body", position: 0 } });
    expect(store.log.endOffset).toBe(0);
  });

  test("has as many messages as it counts, whatever the array says of itself", async () => {
    class Twice extends Array<(typeof messages)[0]> {
      override *[Symbol.iterator](): ArrayIterator<(typeof messages)[0]> {
        for (let n = 0; n < 2 * this.length; n++) yield this[n % this.length] as (typeof messages)[0];
      }
    }
    const { store } = await batchStore();
    const fields = { topic: TOPIC, queueId: 0 };
    store.put({ ...fields, innerBatch: Twice.from(messages) });
    expect(store.put({ ...fields, innerBatch: messages }).queueOffset).toBe(3);
    const [first, second] = store.get(TOPIC, 0, 0).messages;
    expect(first?.body).toEqual(second?.body);
    const many = new Proxy(messages, { get: (all, name) => (name === "length" ? 1e9 : all[0]) });
    expect(thrown(() => store.put({ ...fields, innerBatch: many })).code).toBe("STORE_MESSAGE_TOO_LARGE");
  });

  test("in a batch of puts names the message that is wrong", async () => {
    const { store } = await batchStore();
    const error = thrown(() => store.putBatch([plain(), { topic: TOPIC, queueId: 0, innerBatch: [] }]));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "messages[1].innerBatch" } });
  });
});
