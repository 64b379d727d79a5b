/** What the benchmarks say of their figures: sums, order, resumption, targets. */
import { describe, expect, it } from "vitest";
import { amountFor, boundedBy, bytesOf, bytesToWarm, messagesOf } from "../../bench/rules/amounts.mjs";
import { type Contestant, judge, type Target } from "../../bench/rules/judgement.mjs";
import { figuresOf, isKept, type Run, withRun } from "../../bench/rules/resumption.mjs";
import { rotated } from "../../bench/rules/rotation.mjs";
import { median, medians, percentile, summary } from "../../bench/rules/statistics.mjs";

describe("statistics", () => {
  it("the median is the middle one, of an even number the higher of both", () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(3);
  });

  it("the spread is a share of the median", () => {
    expect(summary([10, 8, 13])).toEqual({ median: 10, least: 8, most: 13, spread: 0.5, count: 3 });
    expect(() => summary([])).toThrow("nothing");
  });

  it("a percentile is the least value that so many do not exceed", () => {
    const values = Float64Array.from({ length: 100 }, (_, n) => n + 1);
    expect([0.5, 0.99, 0.999, 1].map((share) => percentile(values, share))).toEqual([50, 99, 100, 100]);
    expect(percentile([7], 0.5)).toBe(7);
  });

  it("medians are taken of what all runs have as numbers", () => {
    const runs = [
      { rate: 3, version: "5", only: 1 },
      { rate: 1, version: "5" },
      { rate: 2, version: "5" },
    ];
    expect(medians(runs)).toEqual({ rate: 2 });
    expect(medians([])).toEqual({});
  });
});

describe("amounts", () => {
  const ours = { id: "moraine", kind: "ours" as const, family: "moraine", job: { bodyBytes: 1000 } };
  const theirs = { id: "lmdb", kind: "peer" as const, family: "lmdb", job: { bodyBytes: 1000 } };
  const floor = { id: "floor", kind: "floor" as const, family: "floor", job: { bodyBytes: 1000 } };
  const row = {
    messages: 1e6,
    bodyBytes: 1000,
    amounts: { lmdb: 1e5, floor: 1e9 },
    contestants: [ours, theirs, floor],
  };
  const settings = { messages: undefined, gigabytes: 10, smoke: false };

  it("are the command line's, or a smoke run's, or the family's, or the row's", () => {
    expect(messagesOf(row, settings, ours)).toBe(1e6);
    expect(messagesOf(row, settings, theirs)).toBe(1e5);
    expect(messagesOf(row, { ...settings, smoke: true }, theirs)).toBe(2048);
    expect(messagesOf(row, { ...settings, smoke: true, messages: 7 }, theirs)).toBe(7);
    expect(amountFor({ messages: 3 }, 5, false)).toBe(3);
    expect(amountFor({ messages: 3 }, 5, true)).toBe(5);
  });

  it("memory to warm is what the largest contestant takes, and something beside it", () => {
    expect(bytesOf(row, ours, settings)).toBeGreaterThan(1e9);
    expect(bytesToWarm(row, settings)).toBeGreaterThan(bytesOf(row, ours, settings));
    expect(bytesToWarm(row, settings)).toBe(bytesToWarm({ ...row, contestants: [ours] }, settings));
    expect(bytesToWarm({ ...row, contestants: [theirs] }, settings)).toBeLessThan(bytesToWarm(row, settings));
  });

  it("stores that are kept lie in memory beside each other", () => {
    const both = bytesToWarm({ ...row, kept: true }, settings) - bytesToWarm(row, settings);
    expect(both).toBe(bytesOf(row, theirs, settings));
  });

  it("a smoke run warms nothing", () => {
    expect(bytesToWarm(row, { ...settings, smoke: true })).toBe(0);
  });

  it("no more is warmed than a share of what is free, and of what is available", () => {
    expect(boundedBy(1e9, { free: 20e9, available: 20e9 })).toBe(1e9);
    expect(boundedBy(10e9, { free: 5e9, available: 20e9 })).toBe(4e9);
    expect(boundedBy(10e9, { free: 20e9, available: 1e9 })).toBe(5e8);
    expect(boundedBy(1e9, { free: 0, available: 20e9 })).toBe(0);
  });
});

describe("rotation", () => {
  it("every round has everybody once, and as many rounds as contestants begin with each of them", () => {
    const contestants = ["a", "b", "c"];
    for (let round = 0; round < 6; round++) expect(rotated(contestants, round).toSorted()).toEqual(contestants);
    const first = [0, 1, 2, 3, 4, 5].map((round) => rotated(contestants, round)[0]);
    expect(new Set(first)).toEqual(new Set(contestants));
  });

  it("nobody always follows the same neighbour", () => {
    const behind = (order: string[], name: string) => order[order.indexOf(name) - 1];
    const neighbours = [0, 1, 2, 3].map((round) => behind(rotated(["a", "b", "c", "d"], round), "c"));
    expect(new Set(neighbours.filter((name) => name !== undefined)).size).toBeGreaterThan(1);
  });
});

describe("resumption", () => {
  const key = { contestant: "moraine", round: 0, commit: "c1", machine: "m1", amount: "10 messages" };
  const run: Run = { ...key, figures: { messagesPerSecond: 1 } };

  it("what was run is not run again: the same contestant, round, commit, machine and amount", () => {
    expect(isKept([run], key)).toBe(true);
    const others = { contestant: "lmdb", round: 1, commit: "c2", machine: "m2", amount: "20 messages" };
    for (const [name, value] of Object.entries(others))
      expect(isKept([run], { ...key, [name]: value }), name).toBe(false);
  });

  it("what failed is run again, and so is everything where the commit is not known", () => {
    const { figures: _, ...failed } = { ...run, failed: "no room" };
    expect(isKept([failed], key)).toBe(false);
    expect(isKept([{ ...run, commit: undefined }], { ...key, commit: undefined })).toBe(false);
  });

  it("a new run takes the place of that contestant's round on that machine, and of no other", () => {
    const other = { ...run, machine: "m2" };
    const newer = { ...run, commit: "c2" };
    expect(withRun([run, other], newer)).toEqual([other, newer]);
  });

  it("figures are those of one commit, machine and amount, in the order of the rounds", () => {
    const second = { ...run, round: 1, figures: { messagesPerSecond: 2 } };
    const runs = [second, run, { ...run, round: 2, commit: "c0" }, { ...key, round: 3, failed: "no room" }];
    expect(figuresOf(runs, key)).toEqual({ moraine: [{ messagesPerSecond: 1 }, { messagesPerSecond: 2 }] });
    expect(figuresOf(runs, key, 1)).toEqual({ moraine: [{ messagesPerSecond: 1 }] });
  });
});

describe("targets", () => {
  const contestants: Contestant[] = [
    { id: "moraine", kind: "ours", family: "moraine" },
    { id: "rocketmq, a", kind: "peer", family: "rocketmq" },
    { id: "rocketmq, b", kind: "peer", family: "rocketmq" },
    { id: "lmdb", kind: "peer", family: "lmdb" },
    { id: "fs", kind: "peer", family: "fs", apart: true },
    { id: "floor", kind: "floor", family: "floor" },
  ];
  const rates = (...values: number[]) => values.map((messagesPerSecond) => ({ messagesPerSecond }));
  const figures = {
    moraine: rates(90, 100, 110),
    "rocketmq, a": rates(10, 10, 10),
    "rocketmq, b": rates(20, 20, 90),
    lmdb: rates(25, 25, 25),
    fs: rates(500),
    floor: rates(200),
  };
  const target: Target = { number: 1, row: "put", of: "moraine" };
  const verdict = (of: Partial<Target>) => {
    const { met, value } = judge({ ...target, ...of }, contestants, figures);
    return { met, value };
  };

  it("a ratio is that of the medians, to the best of a family", () => {
    expect(verdict({ atLeast: 5, against: "rocketmq" })).toEqual({ met: true, value: 5 });
    expect(verdict({ atLeast: 5.1, against: "rocketmq" })).toEqual({ met: false, value: 5 });
  });

  it("the best peer is nobody who stands apart", () => {
    expect(verdict({ atLeast: 4, against: "best peer" })).toEqual({ met: true, value: 4 });
    expect(verdict({ atLeast: 0.5, against: "floor" })).toEqual({ met: true, value: 0.5 });
  });

  it("a bound without anybody to compare with binds the median", () => {
    expect(verdict({ atLeast: 101 })).toEqual({ met: false, value: 100 });
    expect(verdict({ atMost: 100 })).toEqual({ met: true, value: 100 });
  });

  it("where less is better, the ratio is how many times less", () => {
    expect(verdict({ atLeast: 0.1, against: "rocketmq", inverse: true })).toEqual({ met: true, value: 0.1 });
  });

  it("without figures nothing is judged, and it is said of whom they are missing", () => {
    const without = { ...figures, "rocketmq, a": [], "rocketmq, b": [] };
    const missing = judge({ ...target, atLeast: 1, against: "rocketmq" }, contestants, without);
    expect(missing).toMatchObject({ met: undefined, why: "rocketmq was not measured" });
    expect(judge({ ...target, of: "nobody", atLeast: 1 }, contestants, figures)).toMatchObject({
      met: undefined,
      why: "nobody was not measured",
    });
  });
});
