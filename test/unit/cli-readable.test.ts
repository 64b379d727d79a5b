import { describe, expect, test } from "vitest";
import { bytesText, countText, findingText, safeText, tableLines, timeText } from "../../src/cli/readable.ts";

describe("bytes", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1500, "1.46 KiB"],
    [98_453, "96.1 KiB"],
    [2 ** 30, "1 GiB"],
    [420_000_040, "401 MiB"],
    [2 ** 53, "8 PiB"],
  ])("%d are shown as %s", (bytes, text) => expect(bytesText(bytes)).toBe(text));
});

describe("times", () => {
  test("are UTC with milliseconds", () => expect(timeText(1_795_245_053_283)).toBe("2026-11-21 07:10:53.283"));
  test("that are missing are a dash", () => expect(timeText(undefined)).toBe("-"));
  test("that no calendar has stay numbers", () => expect(timeText(9e15)).toBe("9000000000000000"));
});

describe("text from a store", () => {
  test("cannot steer a terminal", () => expect(safeText("a\u001b[2Jb\u009bc\nd")).toBe("a\\u001b[2Jb\\u009bc\\u000ad"));
  test("cannot turn the writing direction", () => expect(safeText("a\u202eb")).toBe("a\\u202eb"));
  test("is left alone otherwise", () => expect(safeText("größe 👩‍🚀 注文")).toBe("größe 👩‍🚀 注文"));
});

test("one is not many", () => {
  expect(countText(1, "file")).toBe("1 file");
  expect(countText(1234, "entry", "entries")).toBe("1,234 entries");
});

test("a finding names file, place and length", () => {
  const finding = {
    kind: "damaged",
    file: "commitlog/00000000000000032768",
    offset: 40_099,
    length: 304,
    message: "body CRC",
  };
  expect(findingText(finding)).toBe("finding: damaged commitlog/00000000000000032768 at 40,099 (304 bytes): body CRC");
  expect(findingText({ ...finding, file: "", length: 0 })).toBe("finding: damaged: body CRC");
});

test("columns are aligned, numbers to the right", () => {
  const rows = [
    ["queue", "max"],
    ["0", "1,000"],
  ];
  expect(tableLines(rows, [false, true], "  ")).toEqual(["  queue    max", "  0      1,000"]);
});
