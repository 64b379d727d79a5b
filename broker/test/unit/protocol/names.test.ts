import { describe, expect, it } from "vitest";
import { isLoopbackAddress, parseAddress, plainAddress, printAddress } from "../../../src/protocol/hosts.ts";
import { OffsetMessageIds, parseOffsetMessageId } from "../../../src/protocol/message-ids.ts";
import { findProperty, parseProperties, printProperties } from "../../../src/protocol/message-properties.ts";
import * as names from "../../../src/protocol/names.ts";
import { buildSubscription, hashCode } from "../../../src/protocol/subscription.ts";
import { versionName } from "../../../src/protocol/versions.ts";

describe("names", () => {
  it("topics", () => {
    for (const topic of ["a", "%RETRY%g", "A-b_c|1", "a".repeat(127), `%DLQ%${"a".repeat(250)}`]) {
      expect(names.topicNameProblem(topic)).toBeUndefined();
    }
    for (const topic of ["", "  ", "a b", "a.b", "ä", "a".repeat(128), `%RETRY%${"a".repeat(249)}`]) {
      expect(() => names.checkTopicName(topic)).toThrow(expect.objectContaining({ code: 29 }));
    }
  });

  it("groups", () => {
    expect(names.groupNameProblem("g".repeat(120))).toBeUndefined();
    expect(() => names.checkGroupName("g".repeat(121))).toThrow(/longer/);
  });

  it("retry and dead letter topics, system topics", () => {
    expect(names.retryTopic("g")).toBe("%RETRY%g");
    expect(names.groupOfTopic(names.deadLetterTopic("g"))).toBe("g");
    expect(names.isSystemTopic("rmq_sys_x")).toBe(true);
    expect(names.isSystemTopic("mine")).toBe(false);
    expect(names.isSystemTopic("mine", new Set(["mine"]))).toBe(true);
    expect(names.isNotSendable("TBW102")).toBe(false);
    expect(names.isNotSendable("SCHEDULE_TOPIC_XXXX")).toBe(true);
  });
});

describe("offset message ids", () => {
  it("IPv4", () => {
    const ids = new OffsetMessageIds({ address: "127.0.0.1", port: 10911 });
    expect(ids.of(0x1234)).toBe("7F00000100002A9F0000000000001234");
    expect(parseOffsetMessageId(ids.of(0x1234))).toEqual({ address: "127.0.0.1", port: 10911, physicalOffset: 0x1234 });
  });

  it("IPv6", () => {
    const id = new OffsetMessageIds({ address: "2001:db8::ffff:1.2.3.4", port: 80 }).of(2 ** 52);
    expect(id).toBe("20010DB8000000000000FFFF01020304000000500010000000000000");
    expect(parseOffsetMessageId(id)).toMatchObject({ port: 80, physicalOffset: 2 ** 52 });
    expect(new OffsetMessageIds({ address: "::1", port: 1 }).of(0).slice(0, 32)).toBe(`${"0".repeat(31)}1`);
  });

  it("what is none", () => {
    for (const id of ["", "7F", "G".repeat(32), "F".repeat(32), "A".repeat(31)])
      expect(parseOffsetMessageId(id)).toBeUndefined();
  });
});

describe("hosts", () => {
  it("addresses", () => {
    expect(plainAddress("::ffff:10.0.0.1")).toBe("10.0.0.1");
    expect(["127.1.2.3", "::1", "::ffff:127.0.0.1", "10.0.0.1", "::2"].map(isLoopbackAddress)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(parseAddress("[::1]:9876")).toEqual({ address: "::1", port: 9876 });
    expect(printAddress({ address: "::1", port: 9876 })).toBe("[::1]:9876");
    expect(parseAddress("broker-a:10911")).toEqual({ address: "broker-a", port: 10911 });
    for (const text of ["", "host", "host:", "::1:9876", "host:99999", ":1"])
      expect(parseAddress(text)).toBeUndefined();
  });
});

describe("properties", () => {
  it("by RocketMQ's rules", () => {
    const text = "A\u00011\u0002B\u0001\u0002\u0001x\u0002C\u00012\u00013\u0002A\u00014";
    expect([...parseProperties(text)]).toEqual([
      ["A", "4"],
      ["C", "2\u00013"],
    ]);
    for (const name of ["A", "B", "C", "D"]) expect(findProperty(text, name)).toBe(parseProperties(text).get(name));
    expect(findProperty("XA\u00011\u0002", "A")).toBeUndefined();
    expect(printProperties(new Map([["A", "1"]]))).toBe("A\u00011\u0002");
    expect(printProperties([["A", undefined]])).toBe("");
  });
});

describe("subscriptions", () => {
  it("tags", () => {
    const subscription = buildSubscription("t", " A || B ||", "TAG", 7);
    expect(subscription).toMatchObject({
      subString: " A || B ||",
      subVersion: 7,
      tagsSet: new Set(["A", "B"]),
      codeSet: new Set([65, 66]),
    });
  });

  it("all of them", () => {
    for (const expression of [undefined, "", "*"]) {
      expect(buildSubscription("t", expression)).toMatchObject({ subString: "*", codeSet: new Set() });
    }
  });

  it("none", () => {
    expect(() => buildSubscription("t", "||")).toThrow(expect.objectContaining({ code: 23 }));
  });

  it("hash codes are Java's", () => {
    expect(["", "A", "TagA", "order-created", "日本"].map(hashCode)).toEqual([
      0,
      65,
      2598919,
      hash("order-created"),
      hash("日本"),
    ]);
  });
});

/** The sum of s[i]·31^(n-1-i), in 32 bits, calculated another way. */
function hash(text: string): number {
  let sum = 0n;
  for (let at = 0; at < text.length; at++) sum += BigInt(text.charCodeAt(at)) * 31n ** BigInt(text.length - 1 - at);
  return Number(BigInt.asIntN(32, sum));
}

it("versions have RocketMQ's names", () => {
  const known: readonly [number, string][] = [
    [0, "V3_0_0_SNAPSHOT"],
    [15, "V3_0_0_FINAL"],
    [28, "V3_0_7_SNAPSHOT"],
    [37, "V3_0_11"],
    [45, "V3_0_15"],
    [62, "V3_1_8_SNAPSHOT"],
    [121, "V3_4_9"],
    [213, "V4_0_0"],
    [232, "V4_1_0_SNAPSHOT"],
    [273, "V4_3_0"],
    [399, "V4_9_3"],
    [401, "V4_9_4"],
    [413, "V5_0_0"],
    [479, "V5_3_3"],
    [611, "V5_9_9"],
    [612, "HIGHER_VERSION"],
    [-1, "HIGHER_VERSION"],
  ];
  for (const [ordinal, name] of known) expect(versionName(ordinal)).toBe(name);
});
