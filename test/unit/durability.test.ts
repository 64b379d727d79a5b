/** docs/durability.md: each promise, and each thing that goes wrong, names tests, and they exist. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const docs = join(import.meta.dirname, "../../docs");
const page = readFileSync(join(docs, "durability.md"), "utf8");
const chapters = page.split(/^## /m).slice(1);

/** `waits for: ` and what; a row says so while a part of it cannot be tested yet. */
const WAITS = /waits for: (.*?) \|?$/;
const AWAITED = ["real faults"];

/** A test by its name and file: [`name`](../path). */
interface Named {
  name: string;
  path: string;
}

function named(text: string): Named[] {
  return [...text.matchAll(/\[`([^`]+)`\]\(([^)]+)\)/g)].map(([, name = "", path = ""]) => ({ name, path }));
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function exists({ name, path }: Named): boolean {
  const file = join(docs, path);
  if (!existsSync(file)) return false;
  const test = path.endsWith(".rs")
    ? new RegExp(`#\\[test\\]\\s+fn ${escaped(name)}\\(`)
    : new RegExp(`\\b(?:test|it|describe|oracleTest)\\b[^;{}"]*\\(\\s*["\`]${escaped(name)}["\`]`);
  return test.test(readFileSync(file, "utf8"));
}

const promises = chapters.filter((chapter) => /^P\d+: /.test(chapter));
const faults = (chapters.find((chapter) => chapter.startsWith("What goes wrong")) ?? "")
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .slice(1);

it("P1 to P10 are headings, in order", () => {
  expect(promises.map((chapter) => /^P\d+/.exec(chapter)?.[0])).toEqual(
    Array.from({ length: 10 }, (_, n) => `P${n + 1}`),
  );
});

it.each(promises.map((chapter) => [chapter.slice(0, chapter.indexOf("\n")), chapter]))(
  "%s: its tests exist",
  (_, chapter) => {
    const tests = named(chapter);
    expect(tests).not.toEqual([]);
    expect(tests.filter((test) => !exists(test))).toEqual([]);
  },
);

describe("what goes wrong", () => {
  it("has a row for each fault that is known", () => {
    expect(faults).toHaveLength(21);
  });

  it.each(faults.map((row) => [row.split(" | ")[0]?.slice(2), row]))("%s: its tests exist", (_, row = "") => {
    const tests = named(row);
    expect(tests).not.toEqual([]);
    expect(tests.filter((test) => !exists(test))).toEqual([]);
  });

  it("waits for these things, and in so many rows", () => {
    const waiting = faults.filter((row) => row.includes("waits for")).map((row) => WAITS.exec(row)?.[1] ?? row);
    const count = (what: string) => [what, waiting.filter((waits) => waits === what).length];
    expect(waiting.filter((waits) => !AWAITED.includes(waits))).toEqual([]);
    // Whoever makes one of them testable takes it out of the page, and out of here.
    expect(Object.fromEntries(AWAITED.map(count))).toEqual({ "real faults": 3 });
  });
});

it("a test that does not exist, or stands elsewhere, is noticed", () => {
  const path = "../native/core/tests/engine/rolls.rs";
  expect(exists({ name: "both_halves_of_the_roll_are_kept", path })).toBe(true);
  expect(exists({ name: "both_halves_of_the_roll", path })).toBe(false);
  expect(exists({ name: "rolled", path })).toBe(false);
  expect(exists({ name: "both_halves_of_the_roll_are_kept", path: "../native/core/tests/engine/reopen.rs" })).toBe(
    false,
  );
  expect(exists({ name: "P1 to P10 are headings", path: "../test/unit/durability.test.ts" })).toBe(false);
  expect(exists({ name: "P1 to P10 are headings, in order", path: "../test/unit/durability.test.ts" })).toBe(true);
});
