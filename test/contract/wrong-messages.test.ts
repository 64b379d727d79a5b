/** Every way for a message to be wrong is refused by name, with the value and what would be right, and changes nothing. */
import { describe, expect, test } from "vitest";
import type { Message } from "../../src/index.ts";
import { bytes, message, openStore, temporaryDirectory, thrown } from "./temporary-store.ts";

interface Wrong {
  name: string;
  fields: Record<string, unknown>;
  argument: string;
  /** Parts of the sentence. */
  says: string[];
  code?: string;
}

const detached = bytes("gone");
structuredClone(detached.buffer, { transfer: [detached.buffer as ArrayBuffer] });

const WRONG: Wrong[] = [
  { name: "topic missing", fields: { topic: undefined }, argument: "topic", says: ["undefined", "string"] },
  { name: "topic a number", fields: { topic: 7 }, argument: "topic", says: ["7", "string"] },
  { name: "topic empty", fields: { topic: "" }, argument: "topic", says: ["empty", "127"] },
  { name: "topic a path", fields: { topic: "../../x" }, argument: "topic", says: ['"../../x"', '"."'] },
  { name: "topic with NUL", fields: { topic: "a\0b" }, argument: "topic", says: ["letters"] },
  { name: "topic not ASCII", fields: { topic: "标签" }, argument: "topic", says: ["标"] },
  { name: "topic of 128", fields: { topic: "a".repeat(128) }, argument: "topic", says: ["128", "127"] },
  {
    name: "topic a light queue, where messages of other topics go",
    fields: { topic: "%LMQ%a" },
    argument: "topic",
    says: ['"%LMQ%a"', "light queue"],
  },
  {
    name: "retry topic of 256",
    fields: { topic: `%RETRY%${"a".repeat(249)}` },
    argument: "topic",
    says: ["256", "255"],
  },
  { name: "queueId missing", fields: { queueId: undefined }, argument: "queueId", says: ["undefined", "integer"] },
  { name: "queueId negative", fields: { queueId: -1 }, argument: "queueId", says: ["-1", "from 0 to 2147483647"] },
  { name: "queueId a fraction", fields: { queueId: 0.5 }, argument: "queueId", says: ["0.5"] },
  { name: "queueId NaN", fields: { queueId: Number.NaN }, argument: "queueId", says: ["NaN"] },
  { name: "queueId 2^31", fields: { queueId: 2 ** 31 }, argument: "queueId", says: ["2147483648"] },
  { name: "queueId a string", fields: { queueId: "0" }, argument: "queueId", says: ['"0"'] },
  { name: "queueId a bigint", fields: { queueId: 0n }, argument: "queueId", says: ["0n"] },
  { name: "body missing", fields: { body: undefined }, argument: "body", says: ["undefined", "Uint8Array"] },
  { name: "body a string", fields: { body: "text" }, argument: "body", says: ['"text"', "Uint8Array"] },
  { name: "body an array", fields: { body: [1, 2] }, argument: "body", says: ["an array"] },
  { name: "body an ArrayBuffer", fields: { body: new ArrayBuffer(2) }, argument: "body", says: ["Uint8Array"] },
  { name: "body of 16-bit numbers", fields: { body: new Uint16Array(2) }, argument: "body", says: ["Uint8Array"] },
  { name: "body a proxy", fields: { body: new Proxy(new Uint8Array(1), {}) }, argument: "body", says: ["Uint8Array"] },
  { name: "body detached", fields: { body: detached }, argument: "body", says: ["detached"] },
  { name: "tags empty", fields: { tags: "" }, argument: "tags", says: ['""', "not empty"] },
  { name: "tags null", fields: { tags: null }, argument: "tags", says: ["null"] },
  { name: "tags with U+0001", fields: { tags: "a\x01b" }, argument: "tags", says: ["U+0001"] },
  { name: "tags with U+0002", fields: { tags: `${"a".repeat(100)}\x02` }, argument: "tags", says: ["U+0002"] },
  { name: "keys a string", fields: { keys: "k" }, argument: "keys", says: ['"k"', "array"] },
  { name: "a key empty", fields: { keys: ["a", ""] }, argument: "keys[1]", says: ["keys[1]", "not empty"] },
  { name: "a key with a space", fields: { keys: ["a b"] }, argument: "keys[0]", says: ['"a b"', "spaces"] },
  { name: "a key with U+0002", fields: { keys: ["a\x02"] }, argument: "keys[0]", says: ["U+0002"] },
  { name: "a key a number", fields: { keys: [1] }, argument: "keys[0]", says: ["1", "string"] },
  { name: "keys with a hole", fields: { keys: new Array(1) }, argument: "keys[0]", says: ["undefined"] },
  {
    name: "properties a string",
    fields: { properties: "a=b" },
    argument: "properties",
    says: ['"a=b"', "plain object"],
  },
  { name: "properties an array", fields: { properties: ["a"] }, argument: "properties", says: ["an array"] },
  { name: "properties a set", fields: { properties: new Set(["a"]) }, argument: "properties", says: ["an object"] },
  { name: "a name empty", fields: { properties: { "": "v" } }, argument: "properties", says: ['""', "not empty"] },
  { name: "a name no string", fields: { properties: new Map([[1, "v"]]) }, argument: "properties", says: ["1"] },
  { name: "a name with U+0001", fields: { properties: { "a\x01": "v" } }, argument: "properties", says: ["U+0001"] },
  { name: "a value empty", fields: { properties: { p: "" } }, argument: "properties.p", says: ['"p"', "not empty"] },
  { name: "a value a number", fields: { properties: { p: 1 } }, argument: "properties.p", says: ["1", "string"] },
  {
    name: "a value undefined",
    fields: { properties: { p: undefined } },
    argument: "properties.p",
    says: ["undefined"],
  },
  { name: "a value with U+0002", fields: { properties: { p: "\x02" } }, argument: "properties.p", says: ["U+0002"] },
  {
    name: "TAGS twice",
    fields: { tags: "t", properties: { TAGS: "t" } },
    argument: "properties",
    says: ["TAGS", "twice"],
  },
  {
    name: "KEYS twice",
    fields: { keys: ["k"], properties: new Map([["KEYS", "k"]]) },
    argument: "properties",
    says: ["KEYS"],
  },
  {
    name: "TAGS twice, in bytes",
    fields: { tags: "t", properties: bytes("a\x01b\x02TAGS\x01t\x02") },
    argument: "properties",
    says: ["TAGS", "twice"],
  },
  {
    name: "KEYS twice, in bytes without the last separator",
    fields: { keys: ["k"], properties: bytes("KEYS\x01k") },
    argument: "properties",
    says: ["KEYS", "twice"],
  },
  {
    name: "properties too long",
    fields: { properties: { p: "v".repeat(32_767) } },
    argument: "properties",
    says: ["property string", "32747"],
    code: "STORE_MESSAGE_TOO_LARGE",
  },
  {
    name: "many keys too long",
    fields: { keys: new Array(20_000).fill("key") },
    argument: "properties",
    says: ["property string"],
    code: "STORE_MESSAGE_TOO_LARGE",
  },
  {
    name: "property bytes too long",
    fields: { properties: new Uint8Array(32_768).fill(97) },
    argument: "properties",
    says: ["32768"],
    code: "STORE_MESSAGE_TOO_LARGE",
  },
  { name: "flag 2^31", fields: { flag: 2 ** 31 }, argument: "flag", says: ["2147483648", "from -2147483648"] },
  { name: "flag null", fields: { flag: null }, argument: "flag", says: ["null"] },
  { name: "sysFlag a string", fields: { sysFlag: "4" }, argument: "sysFlag", says: ['"4"'] },
  { name: "reconsumeTimes a fraction", fields: { reconsumeTimes: 1.5 }, argument: "reconsumeTimes", says: ["1.5"] },
  {
    name: "bornTimestamp 2^53",
    fields: { bornTimestamp: 2 ** 53 },
    argument: "bornTimestamp",
    says: ["9007199254740992"],
  },
  {
    name: "bornTimestamp a Date",
    fields: { bornTimestamp: new Date() },
    argument: "bornTimestamp",
    says: ["an object"],
  },
  {
    name: "preparedTransactionOffset infinite",
    fields: { preparedTransactionOffset: Number.POSITIVE_INFINITY },
    argument: "preparedTransactionOffset",
    says: ["Infinity"],
  },
  { name: "bornHost a string", fields: { bornHost: "10.0.0.1:1" }, argument: "bornHost", says: ["{ address, port }"] },
  { name: "bornHost null", fields: { bornHost: null }, argument: "bornHost", says: ["null"] },
  {
    name: "an address that is a name",
    fields: { bornHost: { address: "localhost", port: 1 } },
    argument: "bornHost.address",
    says: ['"localhost"', "IPv4 or IPv6"],
  },
  {
    name: "a port too great",
    fields: { storeHost: { address: "10.0.0.1", port: 65_536 } },
    argument: "storeHost.port",
    says: ["65536", "65535"],
  },
  {
    name: "a port that is no number",
    fields: { storeHost: { address: "::1", port: "80" } },
    argument: "storeHost.port",
    says: ['"80"'],
  },
];

describe("a wrong message", () => {
  test.each(WRONG)("$name", async ({ fields, argument, says, code = "STORE_INVALID_ARGUMENT" }) => {
    const store = await openStore();
    const wrong = message(fields as Partial<Message>);
    const error = thrown(() => store.put(wrong));
    expect(error).toMatchObject({ code, retriable: false, details: { argument } });
    for (const part of says) expect(error.message).toContain(part);

    const inBatch = thrown(() => store.putBatch([message(), wrong]));
    expect(inBatch).toMatchObject({ code, details: { argument: `messages[1].${argument}`, stored: 0 } });
    for (const part of says) expect(inBatch.message).toContain(part);

    await expect(store.append(wrong)).rejects.toMatchObject({ code, details: { argument } });
    expect(store.log.endOffset).toBe(0);
    expect(store.put(message())).toMatchObject({ physicalOffset: 0, queueOffset: 0 });
  });

  test.each([undefined, null, 1, "message", true])("that is no object: %j", async (wrong) => {
    const store = await openStore();
    expect(thrown(() => store.put(wrong as unknown as Message))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "message" },
    });
    const error = thrown(() => store.putBatch([wrong as unknown as Message]));
    expect(error).toMatchObject({ details: { argument: "messages[0]", stored: 0 } });
    expect(error.message).toMatch(/^messages\[0\] is /);
  });

  test("a long value is shown by its beginning", async () => {
    const store = await openStore();
    const error = thrown(() => store.put(message({ topic: "x".repeat(5000) })));
    expect(error.message.length).toBeLessThan(300);
    expect(error.message).toContain("5000 characters");
  });
});

describe('with compat "4.9"', () => {
  test("a topic of more than 127 characters is refused: 4.9 would cut the log there", async () => {
    const directory = await temporaryDirectory();
    const topic = `%RETRY%${"g".repeat(121)}`;
    const error = thrown(
      await openStore({ compat: "4.9" }, directory).then((store) => () => store.put(message({ topic }))),
    );
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "topic" } });
    expect(error.message).toContain("4.9");
  });

  test("a topic of 127 is fine", async () => {
    const store = await openStore({ compat: "4.9" });
    expect(store.put(message({ topic: "a".repeat(127) })).queueOffset).toBe(0);
  });
});

test("retry and dead-letter topics may have 255 characters", async () => {
  const store = await openStore();
  for (const topic of [`%RETRY%${"g".repeat(248)}`, `%DLQ%${"g".repeat(250)}`]) {
    store.put(message({ topic }));
    expect(store.get(topic, 0, 0).messages[0]?.topic).toBe(topic);
  }
});
