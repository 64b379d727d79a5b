import { describe, expect, test } from "vitest";
import type { GetOptions, Store } from "../../src/index.ts";
import { message, messages, openStore, text, thrown } from "./temporary-store.ts";

async function storeOf(count: number): Promise<Store> {
  const store = await openStore();
  store.putBatch(messages(count));
  return store;
}

describe("get", () => {
  test("status and next offset follow RocketMQ's table", async () => {
    const store = await storeOf(3);
    const asked = (topic: string, queueOffset: number) => {
      const { status, nextOffset, minOffset, maxOffset } = store.get(topic, 0, queueOffset);
      return [status, nextOffset, minOffset, maxOffset];
    };
    expect(asked("orders", 0)).toEqual(["FOUND", 3, 0, 3]);
    expect(asked("orders", 2)).toEqual(["FOUND", 3, 0, 3]);
    expect(asked("orders", 3)).toEqual(["OFFSET_OVERFLOW_ONE", 3, 0, 3]);
    expect(asked("orders", 4)).toEqual(["OFFSET_OVERFLOW_BADLY", 3, 0, 3]);
    expect(asked("orders", Number.MAX_SAFE_INTEGER)).toEqual(["OFFSET_OVERFLOW_BADLY", 3, 0, 3]);
    expect(asked("nobody", 0)).toEqual(["NO_MATCHED_LOGIC_QUEUE", 0, 0, 0]);
    expect(asked("nobody", 9)).toEqual(["NO_MATCHED_LOGIC_QUEUE", 0, 0, 0]);
  });

  test("an answer without messages has none, and no bytes", async () => {
    const store = await storeOf(1);
    const { messages, bytes } = store.get("orders", 0, 1);
    expect(messages).toEqual([]);
    expect(bytes).toHaveLength(0);
  });

  test("32 messages by default, as many as max says otherwise", async () => {
    const store = await storeOf(100);
    const counts = [undefined, 1, 33, 100, 65_536].map((max) => store.get("orders", 0, 0, { max }).messages.length);
    expect(counts).toEqual([32, 1, 33, 100, 100]);
    expect(store.get("orders", 0, 0).nextOffset).toBe(32);
  });

  test("queue offsets go on from the one asked for", async () => {
    const store = await storeOf(10);
    const { messages, nextOffset } = store.get("orders", 0, 4, { max: 3 });
    expect(messages.map(({ queueOffset }) => queueOffset)).toEqual([4, 5, 6]);
    expect(messages.map(({ body }) => text(body))).toEqual(["4", "5", "6"]);
    expect(nextOffset).toBe(7);
  });

  test("maxBytes ends an answer, but the first message always comes whole", async () => {
    const store = await storeOf(5);
    const { size } = store.get("orders", 0, 0).messages[0] as { size: number };
    const counts = [1, size, size * 2, size * 3 - 1, size * 5].map(
      (maxBytes) => store.get("orders", 0, 0, { maxBytes }).messages.length,
    );
    expect(counts).toEqual([1, 1, 2, 2, 5]);
  });

  test("256 KiB by default", async () => {
    const store = await openStore({ segmentBytes: 4 * 1024 * 1024 });
    store.putBatch(messages(5, { body: new Uint8Array(100 * 1024) }));
    expect(store.get("orders", 0, 0).messages).toHaveLength(2);
    expect(store.get("orders", 0, 0, { maxBytes: 8 * 1024 * 1024 }).messages).toHaveLength(5);
  });

  test("a message larger than every buffer comes whole", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    store.put(message({ body: new Uint8Array(4 * 1024 * 1024).fill(7) }));
    const [found] = store.get("orders", 0, 0).messages;
    expect(found?.body).toHaveLength(4 * 1024 * 1024);
    expect(found?.body.every((byte) => byte === 7)).toBe(true);
  });

  test("bytes are the raw records, one behind the other", async () => {
    const store = await storeOf(3);
    const { bytes, messages } = store.get("orders", 0, 0);
    expect(Buffer.concat(messages.map(({ raw }) => raw)).equals(bytes)).toBe(true);
    expect(bytes).toBeInstanceOf(Uint8Array);
    expect(bytes.byteLength).toBe(bytes.buffer.byteLength);
  });

  test("an answer owns its bytes", async () => {
    const store = await storeOf(3);
    const first = store.get("orders", 0, 0, { max: 1 });
    store.get("orders", 0, 1);
    expect(text(first.messages[0]?.body as Uint8Array)).toBe("0");
  });

  test("bytesBehind counts what lies behind the last record in the log", async () => {
    const store = await storeOf(3);
    const { size } = store.get("orders", 0, 2).messages[0] as { size: number };
    expect(store.get("orders", 0, 0, { max: 2 }).bytesBehind).toBe(size);
    expect(store.get("orders", 0, 0).bytesBehind).toBe(0);
  });

  test("goes on over the borders of queue files and commit log files", async () => {
    const store = await openStore({ segmentBytes: 4096, queueFileEntries: 10 });
    store.putBatch(messages(100));
    const found = store.get("orders", 0, 0, { max: 1000 });
    expect(found.messages.map(({ body }) => text(body))).toEqual(messages(100).map(({ body }) => text(body)));
  });
});

describe("get into a buffer of the caller", () => {
  test("puts the records there", async () => {
    const store = await storeOf(3);
    const into = new Uint8Array(4096);
    const found = store.get("orders", 0, 0, { into });
    expect(found.messages.map(({ body }) => text(body))).toEqual(["0", "1", "2"]);
    expect(found.bytes.buffer).toBe(into.buffer);
    expect(found.messages[2]?.body.buffer).toBe(into.buffer);
  });

  test("a part of a buffer is not left", async () => {
    const store = await storeOf(3);
    const whole = new Uint8Array(4096).fill(0xee);
    const into = Buffer.from(whole.buffer, 100, 2000);
    const found = store.get("orders", 0, 0, { into });
    expect(found.messages.map(({ body }) => text(body))).toEqual(["0", "1", "2"]);
    expect(found.bytes.byteOffset).toBe(100);
    expect(whole.subarray(0, 100).every((byte) => byte === 0xee)).toBe(true);
    expect(whole.subarray(100 + found.bytes.length).every((byte) => byte === 0xee)).toBe(true);
  });

  test("takes as many as fit", async () => {
    const store = await storeOf(10);
    const { size } = store.get("orders", 0, 0).messages[0] as { size: number };
    expect(store.get("orders", 0, 0, { into: new Uint8Array(size * 3 + 1) })).toMatchObject({ nextOffset: 3 });
  });

  test("too small for the first message: the error has the bytes needed", async () => {
    const store = await storeOf(1);
    const { size } = store.get("orders", 0, 0).messages[0] as { size: number };
    const error = thrown(() => store.get("orders", 0, 0, { into: new Uint8Array(size - 1) }));
    expect(error).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "options.into", needed: size },
    });
    expect(error.message).toContain(String(size));
    expect(store.get("orders", 0, 0, { into: new Uint8Array(size) }).messages).toHaveLength(1);
  });

  test("written over before its messages are asked for: they say so, or are what is there then", async () => {
    const store = await storeOf(3);
    const into = new Uint8Array(4096);
    const found = store.get("orders", 0, 0, { into });
    into.fill(0);
    const error = thrown(() => found.messages);
    expect(error).toMatchObject({ code: "STORE_CORRUPT" });
    expect(error.message).toContain("written over");
    const first = store.get("orders", 0, 0, { max: 1, into });
    store.get("orders", 0, 2, { max: 1, into });
    expect(first.messages.map(({ body }) => text(body))).toEqual(["2"]);
    expect(first.messages).toBe(first.messages);
  });

  test("may be shared with other threads", async () => {
    const store = await storeOf(2);
    const into = new Uint8Array(new SharedArrayBuffer(4096));
    const found = store.get("orders", 0, 0, { into });
    expect(found.bytes.buffer).toBe(into.buffer);
    expect(found.messages.map(({ bodyCrc }) => bodyCrc)).toHaveLength(2);
    expect(found.messages[1]?.queueOffset).toBe(1);
  });
});

describe("get refuses", () => {
  const wrong: [string, unknown[], string][] = [
    ["a topic that is none", ["a/b", 0, 0], "topic"],
    ["no topic", [undefined, 0, 0], "topic"],
    ["a queue id that is none", ["orders", -1, 0], "queueId"],
    ["a queue id of text", ["orders", "0", 0], "queueId"],
    ["an offset below 0", ["orders", 0, -1], "queueOffset"],
    ["an offset of 2^53", ["orders", 0, 2 ** 53], "queueOffset"],
    ["an offset that is no number", ["orders", 0, Number.NaN], "queueOffset"],
    ["a bigint", ["orders", 0, 0n], "queueOffset"],
    ["max 0", ["orders", 0, 0, { max: 0 }], "options.max"],
    ["max 65,537", ["orders", 0, 0, { max: 65_537 }], "options.max"],
    ["maxBytes 0", ["orders", 0, 0, { maxBytes: 0 }], "options.maxBytes"],
    ["into that is no Uint8Array", ["orders", 0, 0, { into: new ArrayBuffer(9) }], "options.into"],
    ["into without room", ["orders", 0, 0, { into: new Uint8Array(0) }], "options.into"],
    ["options that are no object", ["orders", 0, 0, 32], "options"],
    ["an option that does not exist", ["orders", 0, 0, { maximum: 3 }], "options.maximum"],
    ["a filter that is none", ["orders", 0, 0, { filter: "a" }], "options.filter"],
  ];

  test.each(wrong)("%s", async (_name, args, argument) => {
    const store = await storeOf(1);
    const error = thrown(() => store.get(...(args as [string, number, number, GetOptions])));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument } });
  });

  test("an option that does not exist, with the names of those that do", async () => {
    const store = await storeOf(1);
    const error = thrown(() => store.get("orders", 0, 0, { maximum: 1 } as GetOptions));
    expect(error.message).toBe("unknown option `maximum`; known are max, maxBytes, filter, into");
  });
});
