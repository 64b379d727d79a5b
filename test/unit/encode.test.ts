import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BATCH_HEADER_BYTES } from "../../src/binding/contract.ts";
import { Encoder } from "../../src/encode.ts";
import { encodeMessages, type InnerBatchMessage, type Message } from "../../src/index.ts";

const LIMITS = { maxMessageBytes: 64 * 1024 * 1024, recordCrc: true, compat: "5" } as const;
const text = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const message = (fields: Partial<Message> = {}): Message => ({
  topic: "orders",
  queueId: 0,
  body: Uint8Array.of(1, 2, 3),
  ...fields,
});

/** A message of a batch, read as native/core/src/batch.rs draws it. */
function decode(batch: Uint8Array, at: number) {
  const view = new DataView(batch.buffer, batch.byteOffset + at);
  const u32 = (offset: number) => view.getUint32(offset, true);
  const i32 = (offset: number) => view.getInt32(offset, true);
  const f64 = (offset: number) => view.getFloat64(offset, true);
  const bodyAt = at + BATCH_HEADER_BYTES;
  const topicAt = bodyAt + u32(4);
  const propertiesAt = topicAt + u32(8);
  return {
    size: u32(0),
    body: [...batch.subarray(bodyAt, topicAt)],
    topic: text(batch.subarray(topicAt, propertiesAt)),
    properties: text(batch.subarray(propertiesAt, propertiesAt + u32(12))),
    used: propertiesAt + u32(12) - at,
    queueId: i32(16),
    flag: i32(20),
    sysFlag: i32(24),
    reconsumeTimes: i32(28),
    bornTimestamp: f64(32),
    preparedTransactionOffset: f64(40),
    bornAddress: [...batch.subarray(at + 48, at + 64)],
    bornPort: u32(64),
    storeAddress: [...batch.subarray(at + 68, at + 84)],
    storePort: u32(84),
  };
}

function encode(...messages: Message[]): ReturnType<typeof decode>[] {
  const encoder = new Encoder(LIMITS);
  encoder.begin();
  for (const [i, each] of messages.entries()) encoder.add(each, i);
  const found: ReturnType<typeof decode>[] = [];
  for (const { bytes, used, count } of encoder.chunks()) {
    let at = 0;
    for (let i = 0; i < count; i++) {
      found.push(decode(bytes, at));
      at += found.at(-1)?.size as number;
    }
    expect(at).toBe(used);
  }
  encoder.release();
  return found;
}

const zeros = (count: number): number[] => new Array(count).fill(0);

describe("a batch", () => {
  test("has every field at its place", () => {
    const [found] = encode(
      message({
        queueId: 7,
        flag: -2,
        sysFlag: 0x8,
        reconsumeTimes: 3,
        bornTimestamp: 1_700_000_000_123,
        preparedTransactionOffset: 2 ** 52,
        bornHost: { address: "10.0.0.1", port: 40_001 },
        storeHost: { address: "2001:db8::1", port: 10_911 },
        tags: "TagA",
        keys: ["KeyA", "order-1001"],
        properties: { p: "v" },
      }),
    );
    expect(found).toEqual({
      size: 136,
      used: BATCH_HEADER_BYTES + 3 + 6 + 35,
      body: [1, 2, 3],
      topic: "orders",
      properties: "TAGS\x01TagA\x02KEYS\x01KeyA order-1001\x02p\x01v\x02",
      queueId: 7,
      flag: -2,
      sysFlag: 0x8 | 0x20,
      reconsumeTimes: 3,
      bornTimestamp: 1_700_000_000_123,
      preparedTransactionOffset: 2 ** 52,
      bornAddress: [10, 0, 0, 1, ...zeros(12)],
      bornPort: 40_001,
      storeAddress: [0x20, 0x01, 0x0d, 0xb8, ...zeros(11), 1],
      storePort: 10_911,
    });
  });

  test("has messages at multiples of 8, without gaps", () => {
    const found = encode(...[0, 1, 7, 8, 9, 500].map((length) => message({ body: new Uint8Array(length) })));
    for (const { size, used } of found) {
      expect(size % 8).toBe(0);
      expect(size - used).toBeLessThan(8);
    }
    expect(found.map(({ body }) => body.length)).toEqual([0, 1, 7, 8, 9, 500]);
  });

  test("brings back any message", () => {
    const character = fc.string({ unit: "binary", minLength: 1, maxLength: 200 });
    const word = character.map((word) =>
      ["\x01", "\x02", " "].reduce((text, wrong) => text.replaceAll(wrong, "_"), word),
    );
    const property = fc.tuple(
      word.filter((name) => !["TAGS", "KEYS", "__CRC32#"].includes(name)),
      word,
    );
    const any = fc.record({
      topic: fc.stringMatching(/^[%|A-Za-z0-9_-]{1,127}$/),
      queueId: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      flag: fc.integer(),
      body: fc.uint8Array({ maxLength: 3000 }),
      tags: word,
      keys: fc.array(word, { minLength: 1, maxLength: 3 }),
      properties: fc.uniqueArray(property, { selector: ([name]) => name, maxLength: 5 }),
      bornTimestamp: fc.maxSafeInteger(),
    });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 20 }), (messages) => {
        const found = encode(...messages.map((each) => ({ ...each, properties: new Map(each.properties) })));
        for (const [i, each] of messages.entries()) {
          const pairs: [string, string][] = [["TAGS", each.tags], ["KEYS", each.keys.join(" ")], ...each.properties];
          expect(found[i]).toMatchObject({
            topic: each.topic,
            queueId: each.queueId,
            flag: each.flag,
            body: [...each.body],
            bornTimestamp: each.bornTimestamp,
            properties: pairs.map(([name, value]) => `${name}\x01${value}\x02`).join(""),
          });
        }
      }),
    );
  });

  test("of many megabytes is cut between messages", () => {
    const encoder = new Encoder(LIMITS);
    encoder.begin();
    const sizes = [3, 3, 3, 9, 1, 7, 20, 1].map((megabytes) => megabytes * 1024 * 1024);
    for (const [i, size] of sizes.entries()) encoder.add(message({ body: new Uint8Array(size).fill(i) }), i);
    const chunks = encoder.chunks();
    expect(chunks.map(({ count }) => count)).toEqual([2, 1, 1, 1, 1, 1, 1]);
    expect(chunks.reduce((sum, { count }) => sum + count, 0)).toBe(sizes.length);
    expect(chunks.every(({ bytes, used }) => bytes[used - 40] !== undefined)).toBe(true);
    encoder.release();
  });

  test("starts afresh after a message that was wrong", () => {
    const encoder = new Encoder(LIMITS);
    for (let i = 0; i < 3; i++) {
      encoder.begin();
      encoder.add(message(), 0);
      expect(() => encoder.add(message({ properties: { p: "x".repeat(30_000), q: "" } }), 1)).toThrow("q");
      encoder.release();
    }
    encoder.begin();
    encoder.add(message({ tags: "right" }), -1);
    expect(decode(encoder.bytes, 0)).toMatchObject({ properties: "TAGS\x01right\x02", size: encoder.used });
  });

  test("has one store host, or one a message", () => {
    const encoder = new Encoder(LIMITS);
    const add = (address: string, i: number) => encoder.add(message({ storeHost: { address, port: 1 } }), i);
    encoder.begin();
    for (const [i, address] of ["10.0.0.1", "10.0.0.1"].entries()) add(address, i);
    expect(encoder.storeHosts).toMatchObject({ address: "10.0.0.1" });
    encoder.begin();
    for (const [i, address] of ["10.0.0.1", "10.0.0.1", "::2", "10.0.0.1"].entries()) add(address, i);
    expect(encoder.storeHosts).toMatchObject(
      ["10.0.0.1", "10.0.0.1", "::2", "10.0.0.1"].map((address) => ({ address })),
    );
  });
});

describe("an inner batch", () => {
  const inner = [
    { body: Uint8Array.of(1), tags: "a" },
    { body: new Uint8Array(0), flag: 9 },
  ];
  const fields = { topic: "orders", queueId: 0, sysFlag: 0x1, properties: { UNIQ_KEY: "u" } };
  const put = (message: Message | InnerBatchMessage) => encode(message as Message)[0];

  test("has the wire form as its body, two bits in sysFlag and the number of its messages", () => {
    const made = put({ ...fields, innerBatch: inner });
    expect(made).toMatchObject({ sysFlag: 0xc1, properties: "UNIQ_KEY\u0001u\u0002INNER_NUM\u00012\u0002" });
    expect(made?.body).toEqual([...encodeMessages(inner)]);
    const given = { ...fields, bornTimestamp: 1, body: encodeMessages(inner) };
    expect(put({ ...given, innerBatch: true })).toEqual({ ...put({ ...fields, bornTimestamp: 1, innerBatch: inner }) });
    const open = Buffer.from("UNIQ_KEY\u0001u");
    expect(put({ ...given, innerBatch: true, properties: open })?.properties).toBe(made?.properties);
  });

  const wrong: [string, object, string][] = [
    ["a body that is no batch", { innerBatch: true, body: Uint8Array.of(1, 2, 3) }, "messages[0].body"],
    ["an empty body", { innerBatch: true, body: new Uint8Array(0) }, "messages[0].body"],
    ["no body", { innerBatch: true }, "messages[0].body"],
    ["a body beside its messages", { innerBatch: inner, body: Uint8Array.of(1) }, "messages[0].body"],
    ["no messages", { innerBatch: [] }, "messages[0].innerBatch"],
    ["something else", { innerBatch: "yes" }, "messages[0].innerBatch"],
    ["false", { innerBatch: false, body: Uint8Array.of(1) }, "messages[0].innerBatch"],
    [
      "a wrong message",
      { innerBatch: [...inner, { body: Uint8Array.of(1), tags: "" }] },
      "messages[0].innerBatch[2].tags",
    ],
    ["a number of its own", { innerBatch: inner, properties: { INNER_NUM: "2" } }, "messages[0].properties"],
    ["light queues", { innerBatch: inner, multiDispatch: ["%LMQ%a"] }, "messages[0].multiDispatch"],
    ["too many messages", { innerBatch: new Array(32_768).fill(inner[1]) }, "messages[0].innerBatch"],
  ];
  test.each(wrong)("with %s is refused", (_, more, argument) => {
    expect(() => put({ ...fields, ...more } as unknown as InnerBatchMessage)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ argument }) }),
    );
  });

  test("can have 32,767 messages", () => {
    const made = put({ ...fields, innerBatch: new Array(32_767).fill(inner[1]) });
    expect(made?.properties).toContain("INNER_NUM\u000132767\u0002");
    expect(made?.body).toHaveLength(32_767 * 22);
  });
});
