import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeProperties, namesProperty, splitKeys } from "../../src/properties.ts";
import { golden } from "./golden.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a property string", () => {
  test("is decoded by RocketMQ's rules", () => {
    const { inputs, expected } = golden("properties.decodeRules");
    expect(Object.fromEntries(decodeProperties(inputs.string as string))).toEqual(expected.map);
  });

  test("without its last separator reads the same", () => {
    expect(decodeProperties("a\x01b\x02c\x01d")).toEqual(decodeProperties("a\x01b\x02c\x01d\x02"));
  });

  test("has the last one of two of a name", () => {
    expect([...decodeProperties("a\x011\x02b\x012\x02a\x013\x02")]).toEqual([
      ["a", "3"],
      ["b", "2"],
    ]);
  });

  test.each(["", "\x02", "\x01", "\x01\x02", "a", "a\x01", "a\x01\x02", "\x02\x02\x01\x01"])("%j has none", (text) => {
    expect(decodeProperties(text).size).toBe(0);
  });

  test("is searched for a name", () => {
    const text = bytes("xTAGS\x01a\x02TAGSx\x01a\x02TAGS\x02KEYS\x01k");
    expect(namesProperty(text, 0, text.length, "TAGS")).toBe(false);
    expect(namesProperty(text, 1, text.length, "TAGS")).toBe(true);
    expect(namesProperty(text, 0, text.length, "KEYS")).toBe(true);
    expect(namesProperty(text, 0, text.length - 1, "KEYS")).toBe(false);
  });

  test("names what decoding finds", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "\x01", "\x02"), maxLength: 30 });
    fc.assert(
      fc.property(text, (text) => {
        const names = [...decodeProperties(text).keys()];
        for (const name of ["a", "b", "ab", "aa", "aab"]) {
          expect(namesProperty(bytes(text), 0, text.length, name)).toBe(names.includes(name));
        }
      }),
    );
  });
});

describe("KEYS", () => {
  test("are divided by spaces, and empty ones dropped", () => {
    expect(splitKeys(" a  b c ")).toEqual(["a", "b", "c"]);
    expect(splitKeys("")).toEqual([]);
  });
});
