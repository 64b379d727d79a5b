import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import type { Message, StoredMessage } from "../../src/index.ts";
import { bytes, message, openStore, text } from "./temporary-store.ts";

/** What the store makes of a message. Without whole-record CRC the property string is exactly what was given. */
async function stored(fields: Partial<Message>): Promise<StoredMessage> {
  const store = await openStore({ recordCrc: false });
  const { physicalOffset } = store.put(message(fields));
  return store.at(physicalOffset) as StoredMessage;
}

/** The property string in a record: behind its topic, up to its end. */
function propertyString({ raw, topic }: StoredMessage): string {
  const record = text(raw);
  return record.slice(record.indexOf(topic) + topic.length + 2);
}

describe("a stored message", () => {
  test("has every field that was put", async () => {
    const fields = {
      topic: "orders",
      queueId: 3,
      flag: -7,
      sysFlag: 0x2,
      bornTimestamp: 1_700_000_000_000,
      bornHost: { address: "10.0.0.1", port: 40_001 },
      storeHost: { address: "192.168.1.2", port: 10_911 },
      reconsumeTimes: 2,
      preparedTransactionOffset: 2 ** 53 - 1,
    };
    const found = await stored({ ...fields, body: bytes("body"), tags: "paid", keys: ["o-1", "c-2"] });
    expect(found).toMatchObject(fields);
    expect(text(found.body)).toBe("body");
    expect(found.tags).toBe("paid");
    expect(found.keys).toEqual(["o-1", "c-2"]);
    expect(found).toMatchObject({ physicalOffset: 0, queueOffset: 0, size: found.raw.length });
  });

  test("says where its record ends, which light queues it went to, and whether its body is a batch", async () => {
    const multiDispatch = ["%LMQ%a", "%LMQ%b"];
    const found = await stored({ multiDispatch });
    expect(found).toMatchObject({ multiDispatch, innerBatch: false, endOffset: found.size });
    expect((await stored({})).multiDispatch).toEqual([]);
  });

  test("has defaults for what was not put", async () => {
    const before = Date.now();
    const found = await stored({});
    expect(found).toMatchObject({
      flag: 0,
      sysFlag: 0,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      bornHost: { address: "127.0.0.1", port: 0 },
      storeHost: { address: "127.0.0.1", port: 10_911 },
      tags: undefined,
      keys: [],
    });
    expect(found.bornTimestamp).toBeGreaterThanOrEqual(before);
    expect(found.bornTimestamp).toBeLessThanOrEqual(Date.now());
    expect(found.properties.size).toBe(0);
  });

  test("bodyCrc is the CRC-32 of the body without its highest bit", async () => {
    expect((await stored({ body: bytes("Hello RocketMQ") })).bodyCrc).toBe(0x69c865ed);
    expect((await stored({ body: bytes("a") })).bodyCrc).toBe(0x68b7be43);
    expect((await stored({ body: bytes("") })).bodyCrc).toBe(0);
  });

  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::1", "::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1::", "1::"],
  ])("host %s reads as %s", async (address, reads) => {
    const found = await stored({ bornHost: { address, port: 65_535 }, storeHost: { address, port: 1 } });
    expect(found.bornHost).toEqual({ address: reads, port: 65_535 });
    expect(found.storeHost).toEqual({ address: reads, port: 1 });
    expect(found.sysFlag).toBe(reads.includes(":") ? 0x30 : 0);
  });

  test("the bits of sysFlag for the hosts follow from the addresses", async () => {
    const bornHost = { address: "::1", port: 1 };
    expect((await stored({ sysFlag: 0x20, bornHost })).sysFlag).toBe(0x10);
    expect((await stored({ sysFlag: 0x31, storeHost: bornHost })).sysFlag).toBe(0x21);
  });

  test("properties are written TAGS, KEYS, then as given", async () => {
    const found = await stored({ properties: { z: "1", a: "2" }, keys: ["k1", "k2"], tags: "t" });
    expect(propertyString(found)).toBe("TAGS\x01t\x02KEYS\x01k1 k2\x02z\x011\x02a\x012\x02");
    expect([...found.properties]).toEqual([
      ["TAGS", "t"],
      ["KEYS", "k1 k2"],
      ["z", "1"],
      ["a", "2"],
    ]);
  });

  test("properties may be a Map, and TAGS and KEYS may stand in them", async () => {
    const found = await stored({
      properties: new Map([
        ["KEYS", "a b  c"],
        ["TAGS", "t"],
      ]),
    });
    expect(found.tags).toBe("t");
    expect(found.keys).toEqual(["a", "b", "c"]);
  });

  test("properties may be bytes as they came from the wire, which stand behind TAGS", async () => {
    const found = await stored({ tags: "t", properties: bytes("p\x01v\x02q\x01w") });
    expect(propertyString(found)).toBe("TAGS\x01t\x02p\x01v\x02q\x01w");
    expect(Object.fromEntries(found.properties)).toEqual({ TAGS: "t", p: "v", q: "w" });
  });

  test("a value may have U+0001 and every other character but U+0002", async () => {
    const properties = { a: "x\x01y", b: " \t\0", 标签: "🚀".repeat(40), long: `${"l".repeat(100)}é` };
    expect(Object.fromEntries((await stored({ properties })).properties)).toEqual(properties);
  });

  test("a lone surrogate becomes U+FFFD, in short texts and in long ones", async () => {
    const found = await stored({ tags: "\ud800a", keys: [`${"k".repeat(80)}\udc00`] });
    expect(found.tags).toBe("\ufffda");
    expect(found.keys).toEqual([`${"k".repeat(80)}\ufffd`]);
  });

  test("inherited properties of a record do not count, empty keys make no KEYS", async () => {
    const found = await stored({
      properties: { __proto__: null, own: "1" } as unknown as Record<string, string>,
      keys: [],
    });
    expect([...found.properties]).toEqual([["own", "1"]]);
  });

  test("a property named __proto__ is one like any other", async () => {
    const found = await stored({ properties: new Map([["__proto__", "x"]]) });
    expect(found.properties.get("__proto__")).toBe("x");
    expect(JSON.stringify(found.toJSON().properties)).toBe('{"__proto__":"x"}');
  });

  test("a longest property string is taken, one byte more is not", async () => {
    const store = await openStore({ recordCrc: false });
    const value = "v".repeat(32_767 - "p\x01\x02".length);
    expect(store.put(message({ properties: { p: value } })).queueOffset).toBe(0);
    expect(() => store.put(message({ properties: { p: `${value}v` } }))).toThrow("32767");
    // The whole-record CRC takes 20 bytes of it.
    const withCrc = await openStore();
    expect(withCrc.put(message({ properties: { p: value.slice(20) } })).queueOffset).toBe(0);
    expect(() => withCrc.put(message({ properties: { p: value.slice(19) } }))).toThrow("32747");
  });

  test("a CRC that came along in the properties is replaced by the store's own", async () => {
    const store = await openStore();
    const first = store.put(message({ properties: { p: "v" } }));
    const { properties } = store.at(first.physicalOffset) as StoredMessage;
    expect([...properties.keys()]).toEqual(["p", "__CRC32#"]);
    const again = store.put(message({ properties }));
    const fromBytes = store.put(message({ properties: bytes(`p\x01v\x02__CRC32#\x01${"1".repeat(10)}\x02`) }));
    expect([again.size, fromBytes.size]).toEqual([first.size, first.size]);
  });

  test("toJSON has the names of the dump command, and no body", async () => {
    const found = await stored({
      body: bytes("body"),
      tags: "t",
      bornTimestamp: 5,
      bornHost: { address: "2001:db8::2", port: 40_001 },
      storeHost: { address: "10.0.0.1", port: 10_911 },
    });
    expect(JSON.parse(JSON.stringify(found))).toEqual({
      physicalOffset: 0,
      topic: "orders",
      queueId: 0,
      queueOffset: 0,
      size: found.size,
      bodyCrc: found.bodyCrc,
      sysFlag: 0x10,
      flag: 0,
      bornTimestamp: 5,
      bornHost: "[2001:db8::2]:40001",
      storeTimestamp: found.storeTimestamp,
      storeHost: "10.0.0.1:10911",
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      properties: { TAGS: "t" },
      bodySize: 4,
    });
  });

  test("shows its fields when it is printed", async () => {
    const printed = inspect(await stored({ tags: "paid", body: bytes("body") }));
    for (const part of ["topic: 'orders'", "TAGS: 'paid'", "bodySize: 4", "98, 111, 100, 121"]) {
      expect(printed).toContain(part);
    }
  });

  test("outlives its store", async () => {
    const store = await openStore();
    store.put(message({ tags: "t" }));
    const [found] = store.get("orders", 0, 0).messages;
    await store.close();
    expect(found?.tags).toBe("t");
    expect(text(found?.body as Uint8Array)).toBe("hello");
  });
});
