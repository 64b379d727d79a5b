import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseBody, printBody, printFastjson } from "../../../src/protocol/json.ts";
import { RequestError } from "../../../src/protocol/request-error.ts";

const parse = (text: string) => parseBody(Buffer.from(text));
const strict = (value: unknown) => printBody(value).toString();
const fastjson = (value: unknown) => printFastjson(value).toString();

describe("reading", () => {
  it("JSON as everybody else reads it", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value = JSON.parse(text);
        // Not what fastjson would have written: an object that refers to another place.
        fc.pre(!text.includes("$ref"));
        expect(parse(text)).toEqual(bigs(value, parse(text)));
      }),
      { numRuns: 1000 },
    );
  });

  it("bare numeric keys", () => {
    expect(parse('{0:"10.0.0.1:10911",-1 : {1:2}}')).toEqual({ 0: "10.0.0.1:10911", "-1": { 1: 2 } });
  });

  it("integers of 64 bits keep their digits", () => {
    expect(
      parse("[9223372036854775807,-9223372036854775808,9007199254740991,9007199254740993,1e3,-0.5,.5,12L]"),
    ).toEqual([9223372036854775807n, -9223372036854775808n, 9007199254740991, 9007199254740993n, 1000, -0.5, 0.5, 12]);
  });

  it("objects as keys", () => {
    const parsed = parse('{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:7,{"queueId":1}:8,"plain":9}}');
    const { offsetTable } = parsed as { offsetTable: Map<unknown, unknown> };
    expect([...offsetTable]).toEqual([
      [{ brokerName: "b", queueId: 0, topic: "t" }, 7],
      [{ queueId: 1 }, 8],
      ["plain", 9],
    ]);
  });

  it("references", () => {
    const parsed = parse(
      '{"a":[{"n":1},{"$ref":"$.a[0]"}],"b":{"$ref":"$.a[1]"},"c":{"$ref":"$.missing.x"}}',
    ) as Record<string, unknown>;
    expect(parsed.a).toEqual([{ n: 1 }, { n: 1 }]);
    expect(parsed.b).toBe((parsed.a as unknown[])[0]);
    expect(parsed.c).toBeNull();
    expect(parse('{"$ref":"$"}')).toBeNull();
    expect(parse('{"$ref":"$.x","more":1}')).toEqual({ $ref: "$.x", more: 1 });
  });

  it.each(['{"d":{"$ref":"$"}}', '{"e":{"f":{"$ref":"@"}}}', '{"e":{"g":{"$ref":".."}}}', '[[{"$ref":".."}]]'])(
    "references in a circle are none: %s",
    (text) => {
      expect(() => parse(text)).toThrow(/in a circle/);
    },
  );

  it("references that multiply what there is are refused, before anybody walks through it", () => {
    const levels = Array.from({ length: 40 }, (_, n) => {
      const before = `{"$ref":"$.l${n}"}`;
      return `"l${n + 1}":{"a":${before},"b":${before}}`;
    });
    expect(() => parse(`{"l0":{"a":1},${levels.join(",")}}`)).toThrow(/multiply/);
    const list = Array.from({ length: 1000 }, () => "7").join(",");
    const refer = (count: number) => `{"a":[${list}],"b":[${Array(count).fill('{"$ref":"$.a"}').join(",")}]}`;
    expect((parse(refer(90)) as { b: unknown[] }).b).toHaveLength(90);
    expect(() => parse(refer(110))).toThrow(/multiply/);
  });

  it("what fastjson reads beside JSON", () => {
    expect(parse("{'a':'it\\'s',/* here */b:[1,2,],// there\n}")).toEqual({ a: "it's", b: [1, 2] });
    expect(parse('"\\x41\\u00e4\\v"')).toBe("Aä\v");
  });

  it("a name that objects have already", () => {
    const parsed = parse('{"__proto__":{"x":1},"constructor":2}') as object;
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
    expect(Object.keys(parsed)).toEqual(["__proto__", "constructor"]);
  });

  it.each(["", "{", "[1", '"abc', '"a\\', '{"a"1}', "{a:}", "[1 2]", "nul", "1.2.3", '"\\u12g4"', "{}{}", "-", "[1]]"])(
    "%s is none",
    (text) => {
      expect(() => parse(text)).toThrow(RequestError);
    },
  );

  it("depth and number of values are bounded", () => {
    expect(parse(`${"[".repeat(100)}${"]".repeat(100)}`)).toBeDefined();
    expect(() => parse(`${"[".repeat(101)}${"]".repeat(101)}`)).toThrow(/levels/);
    expect(() => parse("[".repeat(1_000_000))).toThrow(/levels/);
    expect(() => parse(`[${"0,".repeat(2_000_000)}]`)).toThrow(/values/);
    expect(() => parse(`[${'{"$ref":"$"},'.repeat(10_001)}]`)).toThrow(/references/);
  });

  it("anything is a value or a RequestError", () => {
    const letters = fc.constantFrom(..."{}[]\"':,\\/* \n0123456789.eE+-aLu$ref@nulltrue");
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: letters })), (text) => {
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RequestError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("long documents take time by their length", () => {
    const topics = Array.from({ length: 20_000 }, (_, index) => [
      `topic-${index}`,
      { topicName: `topic-${index}`, perm: 6 },
    ]);
    const text = JSON.stringify(Object.fromEntries(topics));
    expect(Object.keys(parse(text) as object)).toHaveLength(20_000);
    const escaped = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => (index % 2 === 0 ? "plain" : 'a"b\n')));
    expect(parse(escaped)).toEqual(JSON.parse(escaped));
  });
});

/** Integers behind 2^53, which this reader keeps exact, in the place of JSON.parse's rounded ones. */
function bigs(value: unknown, exact: unknown): unknown {
  if (typeof exact === "bigint") return Number(exact) === value ? exact : value;
  if (Array.isArray(value)) return value.map((item, index) => bigs(item, (exact as unknown[])[index]));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, bigs(item, (exact as Record<string, unknown>)[name])]),
  );
}

describe("writing", () => {
  const addresses = new Map([
    [1, "b"],
    [0, "a"],
  ]);

  it("keys sorted, absent members left out, sets as lists", () => {
    expect(
      strict({ b: 1, a: [true, null, undefined], c: undefined, d: null, e: new Set(["x"]), f: 9007199254740993n }),
    ).toBe('{"a":[true,null,null],"b":1,"e":["x"],"f":9007199254740993}');
    expect(strict({ a: Number.NaN, b: 0.5 })).toBe('{"a":null,"b":0.5}');
  });

  it("numeric keys are quoted strictly, and bare as fastjson writes them", () => {
    expect(strict(addresses)).toBe('{"0":"a","1":"b"}');
    expect(fastjson(addresses)).toBe('{0:"a",1:"b"}');
    expect(fastjson({ 0: "a" })).toBe('{"0":"a"}');
  });

  it("objects as keys stand as objects in both", () => {
    const table = new Map([[{ topic: "t", queueId: 0, brokerName: "b" }, 7]]);
    const text = '{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:7}}';
    expect(strict({ offsetTable: table })).toBe(text);
    expect(fastjson({ offsetTable: table })).toBe(text);
  });

  it("strict is ASCII", () => {
    expect(strict({ ä: "日本\ud83d\ude00" })).toBe('{"\\u00E4":"\\u65E5\\u672C\\uD83D\\uDE00"}');
    expect(fastjson({ ä: "日本" })).toBe('{"ä":"日本"}');
    expect(JSON.parse(strict("\u007f\u2028"))).toBe("\u007f\u2028");
  });

  it("what is written is read again", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const read = parse(strict(value));
        fc.pre(!JSON.stringify(value).includes("$ref"));
        expect(parse(fastjson(value))).toEqual(read);
      }),
    );
  });
});
