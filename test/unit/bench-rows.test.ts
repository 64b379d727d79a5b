/** The table of benchmarks: every target binds somebody, every row says what it leaves out. */
import { describe, expect, it } from "vitest";
import { ROWS } from "../../bench/rows/rows.mjs";
import { TARGETS } from "../../bench/rows/targets.mjs";
import { parse, UsageError } from "../../bench/run/command-line.mjs";

describe("rows", () => {
  it("have names and numbers of their own", () => {
    expect(new Set(ROWS.map(({ name }) => name)).size).toBe(ROWS.length);
    const numbers = ROWS.map(({ number }) => number).filter((number) => number > 0);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it("have contestants with ids of their own, one of ours among them, and say what they leave out", () => {
    for (const row of ROWS) {
      const ids = row.contestants.map(({ id }) => id);
      expect(new Set(ids).size, row.name).toBe(ids.length);
      expect(
        row.contestants.some(({ kind }) => kind === "ours"),
        row.name,
      ).toBe(true);
      expect(row.leavesOut, row.name).not.toBe("");
      expect(row.class, row.name).toMatch(/survives|reading/);
    }
  });

  it("have amounts of their own only for families that there are", () => {
    const families = new Set(ROWS.flatMap(({ contestants }) => contestants.map(({ family }) => family)));
    for (const { name, amounts } of ROWS)
      for (const [family, messages] of Object.entries(amounts ?? {})) {
        expect(families, `${name}: ${family}`).toContain(family);
        expect(messages, `${name}: ${family}`).toBeGreaterThan(0);
      }
  });

  it("over something that grows have points in its order", () => {
    for (const { name, curve, contestants } of ROWS.filter((row) => row.curve !== undefined)) {
      const points = contestants.map((one) => (one as { x?: number }).x).filter((x) => x !== undefined);
      expect(points.length, `${name} over ${curve}`).toBeGreaterThan(2);
      expect(points, name).toEqual(points.toSorted((a, b) => a - b));
    }
  });

  it("cover all 26 workloads, in themselves or in a target", () => {
    const covered = new Set([...ROWS, ...TARGETS].map(({ number }) => number));
    expect(Array.from({ length: 26 }, (_, n) => n + 1).filter((number) => !covered.has(number))).toEqual([]);
  });

  it("every target names a row, and contestants of it or says why there are none", () => {
    for (const target of TARGETS) {
      const row = ROWS.find(({ name }) => name === target.row);
      const names = row?.contestants.flatMap(({ id, family, kind }) => [id, family, kind]) ?? [];
      expect(row, target.row).toBeDefined();
      if (target.not === undefined) expect(names, `${target.row}: ${target.of}`).toContain(target.of);
      if (target.against !== undefined && target.against !== "best peer")
        expect(names, `${target.row}: ${target.against}`).toContain(target.against);
      expect([target.atLeast, target.atMost].filter((bound) => bound !== undefined)).toHaveLength(1);
      if (target.against === undefined) expect(target.unit, target.row).toBeDefined();
    }
  });
});

describe("the command line", () => {
  const rows = [
    { name: "put", number: 1, main: true, also: [25] },
    { name: "read", number: 15 },
    { name: "filter", number: 0 },
  ];

  it("takes the main rows, all of them, or those that are named or numbered", () => {
    const names = (...words: string[]) => parse(words, rows).rows.map(({ name }) => name);
    expect(names()).toEqual(["put"]);
    expect(names("--all")).toEqual(["put", "read", "filter"]);
    expect(names("--only", "filter, 15")).toEqual(["read", "filter"]);
    expect(names("--only", "25")).toEqual(["put"]);
  });

  it("has five rounds, and one of a smoke run", () => {
    expect(parse([], rows)).toMatchObject({ rounds: 5, messages: undefined, gigabytes: 10 });
    expect(parse(["--smoke"], rows)).toMatchObject({ rounds: 1 });
    expect(parse(["--rounds", "7", "--messages", "1000"], rows)).toMatchObject({ rounds: 7, messages: 1000 });
  });

  it.each([
    [["--rounds", "0"], '--rounds is "0"; it has to be an integer from 1 to 1,000.'],
    [["--messages", "1e3"], '--messages is "1e3"; it has to be an integer from 1 to 50,000,000.'],
    [
      ["--only", "put,writ"],
      '--only names "writ"; it has to be a list of rows, of put, read, filter, or their numbers.',
    ],
    [["--only", "0"], '--only names "0"; it has to be a list of rows, of put, read, filter, or their numbers.'],
    [["--all", "--only", "put"], "Give --all or --only, not both."],
    [["--dir", "/no/such/place"], "--dir is /no/such/place, which is no directory; it has to be one that exists."],
    [["--smoke", "--results", "x"], "--smoke keeps nothing: leave out --results."],
  ])("refuses %j in one sentence", (words, sentence) => {
    expect(() => parse(words, rows)).toThrow(new UsageError(sentence));
  });

  it("names the options where one is not known", () => {
    expect(() => parse(["--round", "3"], rows)).toThrow(/'--round'.*the options are --all, --only, --rounds/);
    expect(() => parse(["put"], rows)).toThrow(UsageError);
  });
});
