/** Tokens come from anywhere: what is none is refused in words of its own length. */
import { describe, expect, test } from "vitest";
import { numberIn, tokenOf } from "../../src/binding/token.ts";
import { StoreError } from "../../src/errors.ts";

const COPY = "4711-18a2b3c4d5e6f708-7f0011223344";

function refusal(token: unknown): StoreError {
  try {
    numberIn(token, COPY);
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }
  throw new Error(`${String(token).slice(0, 50)} was taken`);
}

describe("a token", () => {
  test("has the number that it was made of", () => {
    for (const number of [1, 77, 0xffff_ffff]) expect(numberIn(tokenOf(COPY, number), COPY)).toBe(number);
  });

  test("with a number that is no handle is none: it must not stand for another store", () => {
    for (const number of ["4294967296", "4294967297", "9999999999", "-1", "1.5", "1e3", "", " 1"]) {
      expect(refusal(`moraine:${COPY}:${number}`)).toMatchObject({
        code: "STORE_INVALID_ARGUMENT",
        details: { argument: "token" },
      });
    }
  });

  test("of another process, or another copy here, is told apart", () => {
    expect(refusal(tokenOf("12-1-1", 1)).message).toMatch(/is of process 12; .* this is process 4711/);
    expect(refusal(tokenOf("4711-1-1", 1)).message).toMatch(/another copy of moraine in this process/);
  });

  test("that is no name of a copy is none, however long it is", () => {
    for (const copy of ["x".repeat(1_000_000), "12\n-1-1", "12", "12-1", "12-1-1-1", "12-g-1", "\u0000-1-1"]) {
      const { code, message } = refusal(`moraine:${copy}:1`);
      expect(code).toBe("STORE_INVALID_ARGUMENT");
      expect(message).toMatch(/must be what share\(\)/);
      expect(message.length).toBeLessThan(1000);
    }
  });
});
