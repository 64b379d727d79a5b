import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena, forbiddenCharacters } from "../../src/arena.ts";

const NOTHING = forbiddenCharacters();

function written(text: string): Uint8Array {
  const arena = new Arena(3 * text.length + 16);
  arena.at = 8;
  expect(arena.writeText(text, NOTHING)).toBe(true);
  return arena.bytes.slice(8, arena.at);
}

describe("writeText", () => {
  test("writes UTF-8 as TextEncoder does, lone surrogates as U+FFFD", () => {
    const unit = fc.oneof(
      fc.string({ unit: "binary", maxLength: 3 }),
      fc.constantFrom("\ud800", "\udbff", "\udc00", "\udfff", "🚀", "\x7f", "\x80", "߿", "ࠀ", "\uffff"),
    );
    const text = fc.array(unit, { maxLength: 200 }).map((units) => units.join(""));
    fc.assert(
      fc.property(text, (text) => {
        expect(written(text)).toEqual(new TextEncoder().encode(text));
      }),
    );
  });

  test.each([
    "\ud800",
    "a\ud83d",
    "\ude80a",
    "\ud83d\ud83d\ude80",
    `${"x".repeat(100)}\ud83d`,
    `\ude80${"x".repeat(100)}`,
  ])("writes %j as TextEncoder does", (text) => expect(written(text)).toEqual(new TextEncoder().encode(text)));

  test("finds a forbidden character in short texts and in long ones", () => {
    const forbidden = forbiddenCharacters(1, 32);
    const arena = new Arena();
    for (const length of [0, 1, 63, 64, 65, 1000]) {
      const around = "é".repeat(length / 2);
      for (const text of [`${around}\x01${around}`, `${around} `, ` ${around}`]) {
        expect(arena.writeText(text, forbidden)).toBe(false);
        expect(arena.at).toBe(0);
      }
      expect(arena.writeText(`${around}\x02\x00`, forbidden)).toBe(true);
      expect(arena.at).toBe(2 * around.length + 2);
      arena.at = 0;
    }
  });
});

describe("an arena that grows", () => {
  test("keeps what lies before its position", () => {
    const arena = new Arena();
    arena.bytes.fill(7);
    const { capacity } = arena;
    arena.at = 1000;
    arena.reserve(capacity - 1000);
    expect(arena.capacity).toBe(capacity);
    arena.reserve(capacity - 999);
    expect(arena.capacity).toBeGreaterThan(capacity);
    expect(arena.bytes.subarray(0, 1000).every((byte) => byte === 7)).toBe(true);
    expect(arena.bytes[1000]).toBe(0);
    expect(arena.ints.buffer).toBe(arena.bytes.buffer);
    expect(arena.doubles.buffer).toBe(arena.bytes.buffer);
  });

  test("grows while it writes", () => {
    const arena = new Arena();
    for (let i = 0; i < 10_000; i++) {
      arena.writeText("0123456789", NOTHING);
      arena.writeByte(10);
      arena.writeBytes(Uint8Array.of(1, 2));
    }
    expect(arena.at).toBe(130_000);
    expect([...arena.bytes.subarray(129_987, 130_000)]).toEqual([...Buffer.from("0123456789\n\x01\x02")]);
  });
});
