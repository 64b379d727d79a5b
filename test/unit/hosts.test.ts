import { isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressBytes, addressText, EncodedHost, offsetMessageId } from "../../src/hosts.ts";
import { golden } from "./golden.ts";

describe("an address", () => {
  test("of 16 bytes is written as RFC 5952 wants it", () => {
    const cases: [string, string][] = [
      ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
      ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
      ["ABCD::", "abcd::"],
      ["::", "::"],
    ];
    for (const [address, text] of cases) {
      expect(addressText(addressBytes(address) as Uint8Array, 0, true)).toBe(text);
    }
  });

  test("survives the way to bytes and back", () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const encoded = addressBytes(address) as Uint8Array;
        const text = addressText(encoded, 0, encoded.length === 16);
        expect(addressBytes(text)).toEqual(encoded);
        if (encoded.length === 16) expect(isIPv6(text)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(addressText(addressBytes(address) as Uint8Array, 0, false)).toBe(address);
      }),
    );
  });

  test("that is mapped becomes IPv4, in every notation", () => {
    for (const address of ["::ffff:10.0.0.1", "::FFFF:a00:1", "0:0:0:0:0:ffff:10.0.0.1"]) {
      expect(addressBytes(address)).toEqual(Uint8Array.of(10, 0, 0, 1));
    }
    expect(addressBytes("::10.0.0.1")).toHaveLength(16);
  });

  test.each(["", "localhost", "10.0.0", "10.0.0.256", "1:2:3", "::1::", "[::1]", " 10.0.0.1"])("%j is none", (text) => {
    expect(addressBytes(text)).toBeUndefined();
  });
});

describe("offsetMessageId", () => {
  test.each(["offsetMsgId.v4", "offsetMsgId.v6"])("%s", (name) => {
    const { inputs, expected } = golden(name);
    const { host, port, commitLogOffset } = inputs as { host: string; port: number; commitLogOffset: number };
    expect(offsetMessageId(addressBytes(host) as Uint8Array, port, commitLogOffset)).toBe(expected.msgId);
  });

  test("has offsets of more than 32 bits", () => {
    const host = new EncodedHost("127.0.0.1", 10_911, Uint8Array.of(127, 0, 0, 1));
    expect(offsetMessageId(host.bytes, host.port, 2 ** 53 - 1)).toBe("7F00000100002A9F001FFFFFFFFFFFFF");
  });
});
