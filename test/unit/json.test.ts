/** JSON as RocketMQ writes and reads it: everything valid is read as JSON.parse does, nothing else gets through. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { JsonArray, JsonObject } from "../../src/json/nodes.ts";
import { printJson } from "../../src/json/print.ts";
import { JsonError, readJson } from "../../src/json/read.ts";
import { type JsonValue, nodeFrom, valueFrom } from "../../src/json/values.ts";

const value = (text: string): JsonValue => valueFrom(readJson(text));
const again = (text: string): string => printJson(readJson(text));
const node = (given: unknown) => nodeFrom("value", given, [], () => false);

/** Integers as JSON.parse has them. */
function rounded(given: JsonValue): unknown {
  if (typeof given === "bigint") return Number(given);
  if (given === null || typeof given !== "object") return given;
  if (Array.isArray(given)) return given.map(rounded);
  return Object.fromEntries(Object.entries(given).map(([key, each]) => [key, rounded(each)]));
}

function failure(text: string): JsonError {
  try {
    readJson(text);
  } catch (error) {
    expect(error).toBeInstanceOf(JsonError);
    return error as JsonError;
  }
  throw new Error(`was read: ${text}`);
}

describe("what RocketMQ wrote", () => {
  const golden = JSON.parse(readFileSync(join(import.meta.dirname, "../fixtures/golden.json"), "utf8"));
  const texts = (golden.vectors as { name: string; expected: Record<string, string> }[])
    .filter(({ name }) => name.startsWith("json."))
    .flatMap(({ name, expected }) =>
      ["prettyText", "compactText", "text"].flatMap((form) =>
        expected[form] === undefined ? [] : [{ name, form, text: expected[form] }],
      ),
    );

  test.each(texts)("$name, $form, is written again byte by byte", ({ text }) => {
    expect(again(text)).toBe(text);
  });

  test("is there in both forms", () => {
    expect(texts.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["json.consumerOffset", "json.delayOffset", "json.topics"]),
    );
  });

  // As fastjson 1.2.83 and fastjson 2.0.43 print one object of a map, a list, a set and maps by number.
  test.each([
    '{\n\t"a":[],\n\t"e":[\n\t\t"x",\n\t\t"y"\n\t],\n\t"ia":[1,2],\n\t"m":{-1:2,3:4\n\t},\n\t"mm":{1:{2:3\n\t\t}\n\t},\n\t"sm":{\n\t\t"k":{}\n\t}\n}',
    '{\n\t"a":[],\n\t"e":["x","y"],\n\t"m":{\n\t\t-1:2,\n\t\t3:4\n\t},\n\t"s":[\n\t\t"p",\n\t\t"q"\n\t],\n\t"z":{\n\t\t\n\t}\n}',
  ])("keeps its lines", (text) => {
    expect(again(text)).toBe(text);
  });
});

describe("reading", () => {
  const list = JSON.parse(readFileSync(join(import.meta.dirname, "../fixtures/json-cases.json"), "utf8"));

  test.each(list.cases as { text: string; strings?: Record<string, string>; refused?: true }[])(
    "takes $text as the core does",
    ({ text, strings, refused }) => {
      expect(refused === true).toBe(strings === undefined);
      if (refused) {
        failure(text);
        return;
      }
      const root = readJson(text);
      const entries = root instanceof JsonObject ? [...root.entries] : [];
      expect(Object.fromEntries(entries.filter(([, each]) => typeof each === "string"))).toEqual(strings);
    },
  );

  const json = fc.jsonValue({ depthSize: "medium", stringUnit: "binary" });

  it("gives what JSON.parse gives, with blanks anywhere", () => {
    fc.assert(
      fc.property(json, fc.constantFrom(undefined, 1, "\t", " \r\n"), (given, indent) => {
        const text = JSON.stringify(given, null, indent as string);
        expect(rounded(value(text))).toEqual(JSON.parse(text));
        expect(JSON.parse(again(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it("takes any integer and any decimal to the last digit", () => {
    const integer = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
    fc.assert(fc.property(integer, (given) => again(`[${given}]`) === `[${given}]`));
    const fraction = fc.stringMatching(/^-?(0|[1-9]\d{0,20})\.\d{1,30}([eE][+-]?\d{1,3})?$/);
    fc.assert(fc.property(fraction, (given) => again(`[${given}]`) === `[${given}]`));
    expect(value("[9007199254740991,9007199254740992,-0,1e400]")).toEqual([
      9_007_199_254_740_991,
      9_007_199_254_740_992n,
      -0,
      Number.POSITIVE_INFINITY,
    ]);
  });

  it.each([
    ["{a:1,$b:2,_:3,null:4}", { a: 1, $b: 2, _: 3, null: 4 }],
    ["{1.5:1,-3:2}", { "1.5": 1, "-3": 2 }],
    ["[+5,.5,1.,007,1L,2.5F]", [5, 0.5, 1, 7, 1, 2.5]],
    ["[1,,2,]", [1, 2]],
    ['{,"a":1,,}', { a: 1 }],
    ["'it\\'s \"\\v\\3'", "it's \"\v\u0003"],
    ["/* a */ [1 // b\n, 2] // c", [1, 2]],
    ['{"a":1} \0\0', { a: 1 }],
    ['"a\nb"', "a\nb"],
  ])("is as lenient as RocketMQ: %s", (text, wanted) => {
    expect(value(text)).toEqual(wanted);
    expect(value(again(text))).toEqual(wanted);
    expect(JSON.parse(again(text).replace(/([{,]\s*)(-?\d+):/g, '$1"$2":'))).toEqual(wanted);
  });

  it.each([
    ["", 0, "a value is expected, found the end"],
    ["{", 1, "a key is expected"],
    ['{"a"', 4, '":" behind a key is expected'],
    ['{"a":}', 5, "a value is expected"],
    ['{"a":1', 6, '"," or "}" is expected, found the end'],
    ["[1 2]", 3, '"," or "]" is expected, found "2"'],
    ["[1}", 2, '"," or "]" is expected, found "}"'],
    ['["abc', 1, "a string without an end"],
    ['["a\\"]', 1, "a string without an end"],
    ['["\\q"]', 3, "an escape such as"],
    ['["\\u00g0"]', 4, "4 hexadecimal digits are expected".replace("are", "is")],
    ["[NaN]", 1, "a value is expected"],
    ["[undefined]", 1, "a value is expected"],
    ["[-]", 1, "a value is expected"],
    ["[1]x", 3, "the end is expected"],
    ["[1]\0x", 4, "the end is expected"],
    ["/* [1]", 0, "a comment without an end"],
    ["[\ud83d\ude00]", 1, 'found "😀"'],
  ])("says where and what: %s", (text, position, message) => {
    expect(failure(text)).toMatchObject({ position, message: expect.stringContaining(message) });
  });

  it("takes no more depth, and no longer numbers, than it can", () => {
    expect(failure("[".repeat(1_000_000)).message).toContain("nested more than 256");
    expect(failure('{"a":'.repeat(1000)).message).toContain("nested more than 256");
    expect(failure(`[${"9".repeat(1_000_000)}]`)).toMatchObject({ position: 1 });
  });

  it("takes time in proportion to the text", () => {
    const megabyte = 1 << 20;
    for (const text of [
      `"${"\\n".repeat(megabyte)}"`,
      `[${"1,".repeat(megabyte)}]`,
      `[${"/**/".repeat(megabyte)}]`,
      `[${",".repeat(megabyte)}]`,
      `"${"\\".repeat(2 * megabyte)}"`,
      "\n".repeat(megabyte),
      `{${"1:1,".repeat(megabyte)}}`,
    ]) {
      try {
        readJson(text);
      } catch (error) {
        expect(error).toBeInstanceOf(JsonError);
      }
    }
  }, 60_000);

  it("of anything at all ends in a value or in a JsonError inside the text", () => {
    const piece = fc.constantFrom(
      ..."{}[]:,\"'\\/*0123456789-+.eELx \t\n\0".split(""),
      "null",
      "true",
      '"a"',
      "\\u00e9",
      "//",
      "/*",
      "*/",
      "\ufeff",
      "\ud800",
      "__proto__",
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join("")),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(text, (given) => {
        let read: string;
        try {
          read = again(given);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
          expect((error as JsonError).position).toBeGreaterThanOrEqual(0);
          expect((error as JsonError).position).toBeLessThanOrEqual(given.length);
          return;
        }
        expect(again(read)).toBe(read);
      }),
      { numRuns: 5000 },
    );
  });

  it("of RocketMQ's text, cut or with a byte changed, is the same or says where", () => {
    const text = '{\n\t"dataVersion":{"counter":3},\n\t"offsetTable":{\n\t\t"a@b":{0:5,1:-7\n\t\t}\n\t}\n}';
    for (let end = 0; end < text.length; end++) failure(text.slice(0, end));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ unit: "binary", minLength: 1, maxLength: 2 }), (at, change) => {
        const changed = text.slice(0, at) + change + text.slice(at + 1);
        try {
          readJson(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
        }
      }),
    );
  });
});

describe("values", () => {
  const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, false),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
      integer.map((given) => (Number.isSafeInteger(Number(given)) ? Number(given) : given)),
      fc.string({ unit: "binary" }),
      fc.array(tie("tree"), { maxLength: 4 }),
      fc.dictionary(fc.oneof(fc.string({ unit: "binary" }), fc.constant("__proto__")), tie("tree"), {
        maxKeys: 4,
        noNullPrototype: true,
      }),
    ),
  }));

  const readAgain = (given: JsonValue): JsonValue => value(printJson(node(given)));

  it("come back from a node and from a document", () => {
    fc.assert(
      fc.property(tree, (given) => {
        expect(rounded(valueFrom(node(given)))).toEqual(rounded(given));
        expect(readAgain(given)).toEqual(valueFrom(node(given)));
        expect(readAgain(readAgain(given))).toEqual(readAgain(given));
      }),
    );
  });

  it("are written only as deep as they are read", () => {
    const nested = (depth: number): JsonArray => new JsonArray(depth === 1 ? [] : [nested(depth - 1)]);
    expect(value(printJson(nested(256)))).toEqual(valueFrom(nested(256)));
    for (const tooDeep of [nested(257), new JsonObject(new Map([["k", nested(256)]]))]) {
      expect(() => printJson(tooDeep)).toThrow("nested more than 256 deep");
    }
  });

  it("of 64 bits come back as they were, longer ones as numbers", () => {
    fc.assert(
      fc.property(integer, (given) => {
        const [back] = readAgain([given]) as [number | bigint];
        expect(BigInt(back)).toBe(given);
        expect(typeof back).toBe(Number.isSafeInteger(Number(given)) ? "number" : "bigint");
      }),
    );
    for (const given of [2 ** 63, -(2 ** 70), 1e21, 1.5e300]) expect(readAgain([given])).toEqual([given]);
    expect(readAgain([2 ** 62])).toEqual([2n ** 62n]);
    expect(value("[9223372036854775808]")).toEqual([2 ** 63]);
    expect(again("[9223372036854775808]")).toBe("[9223372036854775808]");
  });
});
