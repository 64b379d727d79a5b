import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { StoreError, shown } from "../../src/errors.ts";
import { storeOptions } from "../../src/options.ts";

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const source = readFileSync(new URL("../../src/errors.ts", import.meta.url), "utf8");

describe("StoreError", () => {
  test("is an Error with code, retriable, details and cause", () => {
    const cause = new Error("below");
    const error = new StoreError("STORE_BUSY", "later", { cause, details: { argument: "x" } });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "StoreError",
      code: "STORE_BUSY",
      retriable: true,
      details: { argument: "x" },
    });
    expect(error.cause).toBe(cause);
    expect(error.stack).toMatch(/^StoreError: later\n/);
    expect(new StoreError("STORE_CLOSED", "closed")).toMatchObject({ retriable: false, details: {} });
  });

  test("has a page with a heading for each code, and no other", () => {
    const union = source.slice(source.indexOf("export type StoreErrorCode"));
    const codes = [...union.slice(0, union.indexOf(";")).matchAll(/"(STORE_[A-Z_]+)"/g)].map(([, code]) => code);
    const headings = [...page.matchAll(/^## (STORE_[A-Z_]+)$/gm)].map(([, code]) => code);
    expect(headings).toEqual(codes);
    expect(codes.length).toBe(15);
  });
});

describe("shown", () => {
  test.each<[string, unknown]>([
    ['"text"', "text"],
    ['"a\\n"', "a\n"],
    [`"${"x".repeat(64)}"… (100 characters)`, "x".repeat(100)],
    ["-0", -0],
    ["1.5", 1.5],
    ["NaN", Number.NaN],
    ["5n", 5n],
    ["true", true],
    ["undefined", undefined],
    ["null", null],
    ["an array", [1]],
    ["an object", {}],
    ["a function", () => {}],
    ["a symbol", Symbol("s")],
  ])("as %s", (text, value) => {
    expect(shown(value)).toBe(text);
  });

  test("runs no code of the value", () => {
    const hostile = {
      toString: () => {
        throw new Error("mine");
      },
    };
    expect(shown(hostile)).toBe("an object");
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    expect(shown(proxy)).toBe("an object");
  });
});

describe("the table of options", () => {
  test("has defaults within their limits", () => {
    for (const option of Object.values(storeOptions)) {
      if (option.kind === "integer") {
        expect(option.default).toBeGreaterThanOrEqual(option.minimum);
        expect(option.default).toBeLessThanOrEqual(option.maximum);
      } else if (option.kind === "choice") {
        expect(option.values).toContain(option.default);
      }
    }
  });
});
