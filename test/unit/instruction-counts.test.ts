/** Counted instructions: what a count is of, and which ones are told. */
import { expect, it } from "vitest";
import { compare, perUnit } from "../../scripts/instruction-counts.mjs";

const dumps = (...totals: number[]) => {
  return (part: number) => `desc: Trigger: --dump-after\nsummary: 1\n\ntotals: ${totals[part - 1]}\n`;
};

it("a count is of one message", () => {
  expect(perUnit("512 put of 1 KiB\n64 get\n", dumps(5120, 130))).toEqual({ "put of 1 KiB": 10, get: 2 });
});

it("what two sections of one name both have beside it is left out", () => {
  expect(perUnit("100 recovery\n300 recovery\n", dumps(1_000_700, 1_002_100))).toEqual({ recovery: 7 });
});

it("a section in which nothing was counted is no count of 0", () => {
  expect(() => perUnit("512 put\n", dumps(0))).toThrow("counted nothing for put");
  expect(() => perUnit("512 put\n", () => "")).toThrow("counted nothing for put");
});

it("a count may move by the tolerance, either way, and not by more", () => {
  const fits = (counted: number) => compare({ put: 1000 }, { put: counted }, 0.05)[0]?.fits;
  expect([949, 950, 1000, 1050, 1051].map(fits)).toEqual([false, true, true, true, false]);
});

it("a count that is not the same in each run has a tolerance of its own", () => {
  const fit = compare({ put: 1000, open: 1000 }, { put: 1060, open: 1060 }, 0.05, { open: 0.08 }).map(
    ({ fits }) => fits,
  );
  expect(fit).toEqual([false, true]);
});

it("a line says what moved, and by how much", () => {
  const lines = compare({ put: 1000, get: 500 }, { put: 1100, get: 495 }, 0.05).map(({ line }) => line);
  expect(lines).toEqual([
    "put: 1,100 instructions, 1,000 expected: +10.0 %, more than 5 %",
    "get: 495 instructions, 500 expected: −1.0 %",
  ]);
});

it("a number that is not expected, and one that is not counted, are told", () => {
  expect(compare({ put: 1 }, { get: 2 }, 0.05)).toEqual([
    { name: "put", fits: false, line: "put: expected, and not counted" },
    { name: "get", fits: false, line: "get: 2 instructions, and no number is expected" },
  ]);
});
