import { describe, expect, it } from "vitest";
import { ResponseCode } from "../../../src/protocol/codes.ts";
import { Fields } from "../../../src/protocol/fields.ts";

const fields = new Fields({
  text: "t",
  empty: "",
  int: "-12",
  number: 7,
  long: "1700000000000",
  most: "9223372036854775807",
  least: "-9223372036854775808",
  beyond: "9223372036854775808",
  zeros: "00000000000000000000007",
  minusZero: "-0",
  yes: "TRUE",
  no: "yes",
  flag: true,
  nothing: null,
  list: [],
  bound: "UPPER",
});

const refusal = (name: string, read: () => unknown) => {
  try {
    read();
  } catch (error) {
    return error;
  }
  throw new Error(`${name} was read`);
};

describe("fields", () => {
  it("text", () => {
    expect(fields.text("text")).toBe("t");
    expect(fields.text("empty")).toBe("");
    expect(fields.text("number")).toBe("7");
    expect(fields.optionalText("nothing")).toBeUndefined();
    expect(fields.has("nothing")).toBe(false);
    expect(fields.has("empty")).toBe(true);
  });

  it("numbers", () => {
    expect(fields.int("int")).toBe(-12);
    expect(fields.int("number")).toBe(7);
    expect(fields.long("long")).toBe(1_700_000_000_000);
    expect(fields.long("most")).toBe(2 ** 63);
    expect(fields.long("least")).toBe(-(2 ** 63));
    expect(fields.long("zeros")).toBe(7);
    expect(Object.is(fields.int("minusZero"), 0)).toBe(true);
    expect(fields.optionalInt("missing")).toBeUndefined();
    expect(fields.optionalLong("missing")).toBeUndefined();
  });

  it("booleans and boundaries", () => {
    expect(["yes", "no", "flag", "empty", "missing"].map((name) => fields.boolean(name))).toEqual([
      true,
      false,
      true,
      false,
      false,
    ]);
    expect(fields.boolean("missing", true)).toBe(true);
    expect([fields.boundary("bound"), fields.boundary("text"), fields.boundary("missing")]).toEqual([
      "upper",
      "lower",
      "lower",
    ]);
  });

  it.each([
    ["text of a missing field", () => fields.text("missing")],
    ["text of a list", () => fields.optionalText("list")],
    ["an int that is text", () => fields.int("text")],
    ["an int that is empty", () => fields.optionalInt("empty")],
    ["an int that is a long", () => fields.int("long")],
    ["a long that does not fit", () => fields.long("beyond")],
    ["a long that is missing", () => fields.long("missing")],
    ["a long that is a list", () => fields.long("list")],
  ])("%s", (name, read) => {
    expect(refusal(name, read)).toMatchObject({ code: ResponseCode.INVALID_PARAMETER });
  });

  it.each(["1 ", " 1", "+", "-", "1.0", "1e3", "0x10", "١"])("%j is no number", (text) => {
    expect(refusal(text, () => new Fields({ n: text }).long("n"))).toMatchObject({
      message: "the field n is not a long",
    });
  });
});
