import { describe, expect, test } from "vitest";
import { messagesIn, type StoredMessage } from "../../src/stored-message.ts";
import { goldenBytes } from "./golden.ts";

const decoded = (name: string): StoredMessage => messagesIn(goldenBytes(name))[0] as StoredMessage;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe("a record of RocketMQ", () => {
  test("with properties", () => {
    const message = decoded("record.v1.props");
    expect(message.toJSON()).toEqual({
      physicalOffset: 1_073_742_336,
      topic: "TopicTest",
      queueId: 3,
      queueOffset: 42,
      size: 187,
      bodyCrc: 0x69c865ed,
      sysFlag: 0,
      flag: 7,
      bornTimestamp: 1_700_000_000_000,
      bornHost: "10.0.0.1:40001",
      storeTimestamp: 1_700_000_000_123,
      storeHost: "127.0.0.1:10911",
      reconsumeTimes: 2,
      preparedTransactionOffset: 0,
      properties: { TAGS: "TagA", KEYS: "KeyA order-1001", UNIQ_KEY: "7F00000100002A9F18B4AAC2E5D10000" },
      bodySize: 14,
    });
    expect(text(message.body)).toBe("Hello RocketMQ");
    expect(message.tags).toBe("TagA");
    expect(message.keys).toEqual(["KeyA", "order-1001"]);
    expect(message.offsetMsgId).toBe("7F00000100002A9F0000000040000200");
  });

  test("without properties", () => {
    const message = decoded("record.v1.noProps");
    expect(message.properties.size).toBe(0);
    expect(message.tags).toBeUndefined();
    expect(message.keys).toEqual([]);
  });

  test("of version 2, with a long topic", () => {
    const message = decoded("record.v2.longTopic");
    expect(message.topic).toHaveLength(128);
    expect(text(message.body)).toBe("Hello RocketMQ");
  });

  test("with IPv6 hosts", () => {
    const message = decoded("record.v1.ipv6");
    expect(message.bornHost).toEqual({ address: "2001:db8::2", port: 40_001 });
    expect(message.storeHost).toEqual({ address: "2001:db8::1", port: 10_911 });
    expect(message.storeTimestamp).toBe(1_700_000_000_123);
    expect(message.offsetMsgId).toBe("20010DB800000000000000000000000100002A9F0000000000000000");
    expect(message.tags).toBe("TagA");
  });

  test("is found in its place among others, and has the queue offset that it was found at", () => {
    const records = ["record.v1.props", "record.v1.ipv6", "record.v1.noProps"].map(goldenBytes);
    const bytes = Uint8Array.from(Buffer.concat(records));
    const messages = messagesIn(bytes, Float64Array.of(7, 8, 9));
    expect(messages.map(({ queueOffset }) => queueOffset)).toEqual([7, 8, 9]);
    expect(messages.map(({ raw }) => [...raw])).toEqual(records.map((record) => [...record]));
    expect(messages.map(({ body }) => text(body))).toEqual(new Array(3).fill("Hello RocketMQ"));
  });

  test("has numbers of 64 bits as the nearest double", () => {
    const bytes = goldenBytes("record.v1.noProps");
    const view = new DataView(bytes.buffer);
    for (const value of [
      -1n,
      2n ** 53n - 1n,
      2n ** 53n + 1n,
      2n ** 63n - 1n,
      -(2n ** 63n),
      -(2n ** 53n) - 1n,
      0xffff_ffffn,
    ]) {
      view.setBigInt64(40, value);
      expect(messagesIn(bytes)[0]?.bornTimestamp).toBe(Number(value));
    }
  });

  test("whose text is no UTF-8 reads with U+FFFD", () => {
    const bytes = goldenBytes("record.v1.props");
    bytes[Buffer.from(bytes).indexOf("TagA")] = 0xff;
    expect(messagesIn(bytes)[0]?.tags).toBe("\ufffdagA");
  });
});

describe("bytes that were written over", () => {
  test("are STORE_CORRUPT or other values, never anything worse", () => {
    const record = goldenBytes("record.v1.props");
    for (let bit = 0; bit < record.length * 8; bit++) {
      const bytes = record.slice();
      const [message] = messagesIn(bytes) as [StoredMessage];
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        expect(message.toJSON().size).toBe(187);
        expect(message.raw).toHaveLength(187);
      } catch (error) {
        expect(error).toMatchObject({ code: "STORE_CORRUPT" });
      }
    }
  });

  test("end the messages that are found in them", () => {
    const record = goldenBytes("record.v1.noProps");
    const bytes = Uint8Array.from(Buffer.concat([record, record]));
    for (const size of [0, -1, 90, 115, 2 ** 31 - 1]) {
      new DataView(bytes.buffer).setInt32(record.length, size);
      expect(messagesIn(bytes)).toHaveLength(1);
    }
    expect(messagesIn(bytes.subarray(0, 50))).toEqual([]);
  });
});
