/** Lines of standard input: the same whatever pieces it comes in, and never more of it held than a line may have. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { LineTooLong, readLines } from "../../src/cli/lines.ts";

async function* stream(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

async function lines(pieces: readonly Uint8Array[], maximum = 1000): Promise<string[]> {
  const found: string[] = [];
  for await (const some of readLines(stream(pieces), maximum)) {
    for (const line of some) found.push(Buffer.from(line).toString("latin1"));
  }
  return found;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

it.each([
  ["", []],
  ["\n", [""]],
  ["a", ["a"]],
  ["a\n", ["a"]],
  ["a\n\nb", ["a", "", "b"]],
  ["a\r\n\r\nb\r", ["a", "", "b\r"]],
  ["a\rb\n", ["a\rb"]],
  ["\u00ff\u0000\n", ["\u00ff\u0000"]],
])("%j has the lines %j", async (text, wanted) => {
  expect(await lines([bytes(text)])).toEqual(wanted);
});

it("does not depend on how the input is cut", async () => {
  const character = fc.constantFrom("\n", "\r", "\r\n", "a", "b", "\u0000", "\u00ff");
  const text = fc.array(character, { maxLength: 60 }).map((characters) => characters.join(""));
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(60), { maxLength: 10 }), async (given, cuts) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, given.length)).sort((a, b) => a - b), given.length];
      const pieces = places.slice(1).map((end, i) => bytes(given.slice(places[i], end)));
      const wanted = given.split("\n");
      if (wanted.at(-1) === "") wanted.pop();
      const last = given.endsWith("\n") ? wanted.length : wanted.length - 1;
      expect(await lines(pieces)).toEqual(wanted.map((line, i) => (i < last ? line.replace(/\r$/, "") : line)));
    }),
  );
});

it("gives up on a line that is too long, with its number, after the lines before it", async () => {
  const before: number[] = [];
  const read = async (): Promise<void> => {
    const pieces = [bytes("one\ntwo\nthr"), ...Array.from({ length: 1000 }, () => bytes("e".repeat(10)))];
    for await (const some of readLines(stream(pieces), 20)) before.push(some.length);
  };
  const error = await read().catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(LineTooLong);
  expect(error).toMatchObject({ line: 3, message: "line 3 is longer than 20 bytes, the longest body" });
  expect(before).toEqual([2]);
});
