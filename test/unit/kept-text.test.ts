/** The text of a table that changes: at any time what would be printed anew, with little of it printed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KeptText } from "../../src/json/kept-text.ts";
import { JsonObject } from "../../src/json/nodes.ts";
import { printJson } from "../../src/json/print.ts";
import { readJson } from "../../src/json/read.ts";
import { type JsonValue, nodeFrom } from "../../src/json/values.ts";

const node = (value: JsonValue) => nodeFrom("value", value, [], () => false);
const numbered = (count: number, value: JsonValue = { n: 0 }): JsonValue =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`key ${n}`, value]));

function rootOf(text: string): JsonObject {
  const root = readJson(text);
  if (root instanceof JsonObject) return root;
  throw new Error("no object");
}

/** A document and its text, changed by the same calls. */
class Document {
  readonly root: JsonObject;
  readonly kept: KeptText;

  constructor(root: JsonObject = new JsonObject()) {
    this.root = root;
    this.kept = new KeptText(root);
  }

  set(path: readonly [string, ...string[]], value: JsonValue): boolean {
    let object = this.root;
    for (const key of path.slice(0, -1)) {
      let next = object.entries.get(key);
      if (!(next instanceof JsonObject)) {
        next = new JsonObject();
        object.entries.set(key, next);
      }
      object = next;
    }
    object.entries.set(path.at(-1) as string, node(value));
    return this.kept.changed(path);
  }

  delete(path: readonly [string, ...string[]]): boolean {
    let object = this.root;
    for (const key of path.slice(0, -1)) {
      const next = object.entries.get(key);
      if (!(next instanceof JsonObject)) return false;
      object = next;
    }
    return object.entries.delete(path.at(-1) as string) && this.kept.changed(path);
  }

  /** How many pieces had to be printed. */
  print(): number {
    let pieces = 0;
    const isAll = this.kept.print(() => {
      pieces++;
      return false;
    });
    expect(isAll).toBe(true);
    return pieces;
  }

  expectRight(): void {
    expect(this.kept.bytes().toString("utf8")).toBe(printJson(this.root));
  }
}

describe("is what would be printed anew", () => {
  const name = fc.constantFrom("a", "b", "c", "é😀", "1", "__proto__", "\ud800");
  const value: fc.Arbitrary<JsonValue> = fc.constantFrom<JsonValue>(
    0,
    "é",
    null,
    [],
    {},
    [1, [2]],
    { x: { y: 1 } },
    numbered(40),
    numbered(100, [1]),
  );
  const key = fc.oneof(
    name,
    fc.integer({ min: 0, max: 120 }).map((n) => `key ${n}`),
  );
  const path = fc.oneof(
    fc.tuple(name),
    fc.tuple(name, key),
    fc.tuple(name, key, name),
    fc.tuple(name, key, name, name),
  ) as fc.Arbitrary<[string, ...string[]]>;
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("set" as const), path, value }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), path, value }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("print" as const), path, value }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("bytes" as const), path, value }) },
  );
  const start = fc.constantFrom(
    "{}",
    "{\n}",
    '{"a":{"key 1":1,"key 2":{"x":1.10}},"b":[1]}',
    '{\n\t"a":{1:2,3:4\n\t},\n\t"b":{\n\t\t\n\t},\n\t"c":{"key 7":{}}\n}',
  );

  test("whatever is set, removed and printed, in any order", () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 60 }), (text, steps) => {
        const document = new Document(rootOf(text));
        for (const { kind, path: keys, value: given } of steps) {
          if (kind === "set") document.set(keys, given);
          else if (kind === "delete") document.delete(keys);
          else if (kind === "bytes") document.expectRight();
          else {
            let left = 2;
            document.kept.print(() => left-- === 0);
          }
        }
        document.expectRight();
      }),
      { numRuns: 300 },
    );
  });

  test("where keys go and come again, which puts them at the end", () => {
    const document = new Document();
    document.set(["part"], numbered(100));
    document.expectRight();
    for (const n of [0, 31, 32, 50, 99]) {
      document.delete(["part", `key ${n}`]);
      document.set(["part", `key ${n}`], n);
    }
    document.expectRight();
    for (let n = 0; n < 100; n++) document.delete(["part", `key ${n}`]);
    document.expectRight();
    document.set(["part", "again"], 1);
    document.expectRight();
  });

  test("where a part is changed as it stands, and that is told", () => {
    const document = new Document();
    document.set(["part"], numbered(100));
    document.expectRight();
    const part = document.root.entries.get("part") as JsonObject;
    for (const key of [...part.entries.keys()]) part.entries.set(key, 1);
    document.kept.changed(["part"]);
    document.expectRight();
  });

  test("what is nested too deep is refused, as without it", () => {
    let deep: JsonValue = 1;
    for (let level = 0; level < 255; level++) deep = { deep };
    const document = new Document();
    document.set(["part"], {});
    document.set(["part", "key"], deep);
    expect(() => document.kept.bytes()).toThrow("nested more than 256 deep");
    document.set(["part", "key"], 1);
    document.expectRight();
  });
});

describe("little is printed", () => {
  test("nothing where nothing has changed, and of one entry those beside it alone", () => {
    const document = new Document();
    document.set(["one"], numbered(10_000));
    document.set(["other"], numbered(1000));
    expect(document.print()).toBe(Math.ceil(10_000 / 32) + Math.ceil(1000 / 32));
    expect(document.print()).toBe(0);
    document.set(["one", "key 5000", "n"], 1);
    document.set(["one", "key 5000", "n"], 2);
    document.set(["other", "new"], 2);
    expect(document.print()).toBe(2);
    document.expectRight();
    document.delete(["one", "key 7"]);
    expect(document.print()).toBe(1);
    document.expectRight();
    document.set(["other"], numbered(33));
    expect(document.print()).toBe(2);
    document.expectRight();
  });

  test("at a time, as much as is asked for", () => {
    const document = new Document();
    document.set(["one"], numbered(3200));
    let slices = 0;
    for (let isAll = false; !isAll; slices++) {
      let pieces = 0;
      isAll = document.kept.print(() => pieces++ === 10);
      document.set(["one", `key ${slices * 320}`], slices);
    }
    // Those that have changed behind it were printed again.
    expect(slices).toBe(11);
    document.expectRight();
  });
});

test("whether keys came or went is known", () => {
  const document = new Document();
  document.set(["part"], numbered(3));
  document.print();
  expect(document.set(["part", "key 1"], 5)).toBe(false);
  expect(document.set(["part", "key 2", "n"], 5)).toBe(false);
  expect(document.set(["part", "new"], 5)).toBe(true);
  expect(document.delete(["part", "new"])).toBe(true);
  expect(document.set(["part"], numbered(3))).toBe(true);
  expect(document.set(["part", "key 1"], 5)).toBe(true);
});
