/** docs/benchmarks.md and its plots, made of figures. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { filled, type KeptRun, latest, peersTable, rowPart, summaryTable } from "../../bench/report/document.mjs";
import { barPlot, curvePlot } from "../../bench/report/plots.mjs";
import type { Row } from "../../bench/rows/rows.mjs";
import { ROWS } from "../../bench/rows/rows.mjs";

const row: Row = {
  number: 1,
  name: "put",
  title: "put",
  class: "survives kill -9",
  messages: 10,
  leavesOut: "the network",
  contestants: [
    { id: "moraine", kind: "ours", family: "moraine" },
    { id: "rocketmq, batch", kind: "peer", family: "rocketmq" },
  ],
};
const targets = [{ number: 1, row: "put", of: "moraine", atLeast: 12, against: "rocketmq" }];

function run(contestant: string, round: number, messagesPerSecond: number, more: Partial<KeptRun> = {}): KeptRun {
  const key = { commit: "c2", machine: "m", amount: "10 messages", at: `2026-01-0${round + 1}T00:00:00Z` };
  return { ...key, contestant, round, figures: { messagesPerSecond, privateBytes: 2e6 }, ...more };
}
const runs = [
  run("moraine", 0, 2_000_000),
  run("moraine", 1, 3_000_000),
  run("rocketmq, batch", 0, 200_000),
  run("moraine", 2, 9, { commit: "c1", at: "2025-01-01T00:00:00Z" }),
];

describe("the document", () => {
  it("takes the runs of the latest commit only", () => {
    const found = latest(runs);
    expect(found).toMatchObject({ commit: "c2", rounds: 2 });
    expect(found?.figures.moraine).toHaveLength(2);
    expect(latest([])).toBeUndefined();
    const { figures: _, ...failed } = run("moraine", 0, 1, { failed: "no room" });
    expect(latest([failed])).toBeUndefined();
  });

  it("shows figures, whether the target is met, what is left out, and the command", () => {
    const { text, plot } = rowPart(row, targets, runs);
    expect(text).toContain("| moraine | 3.00 M/s | 2.00 M/s – 3.00 M/s | 2 | private 2.0 MB |");
    expect(text).toContain("- moraine: 15.0 × RocketMQ; target 1: ≥ 12 × RocketMQ met");
    expect(text).toContain("Left out: the network.");
    expect(text).toContain("`npm run bench -- --only put`");
    expect(plot).toContain("<svg");
  });

  it("says of a row without figures what is asked", () => {
    const { text, plot } = rowPart(row, targets, []);
    expect(text).toContain("Not measured yet.");
    expect(text).toContain("- moraine: ≥ 12 × RocketMQ");
    expect(plot).toBeUndefined();
  });

  it("has every target in one table", () => {
    const table = summaryTable(
      [row],
      () => targets,
      () => runs,
    );
    expect(table).toContain("| 1 | put | moraine | ≥ 12 × RocketMQ | 15.0 × RocketMQ | met |");
  });

  it("fills the template, which may name nothing that there is not", () => {
    expect(filled("a {{b}} c", { b: "$&" })).toBe("a $& c");
    expect(() => filled("{{unknown}}", {})).toThrow("unknown");
  });

  it("says of everybody how he is set up in both classes", () => {
    const peers = { one: { title: "One", process: "p|q", power: "r", rest: "s" } };
    expect(peersTable(peers)).toContain("| One | p\\|q | r | s |");
  });

  it("is made of the rows that there are", () => {
    const text = readFileSync(join(import.meta.dirname, "../../docs/benchmarks.md"), "utf8");
    expect(
      ROWS.filter(({ name }) => !text.includes(`npm run bench -- --only ${name}`)).map(({ name }) => name),
    ).toEqual([]);
  });
});

describe("plots", () => {
  const bar = { label: "a<b>&", kind: "ours" as const, median: 5, least: 4, most: 10, text: "5 /s" };

  it("a bar is as long as its median, and its line reaches from the least to the most", () => {
    const svg = barPlot("t", [bar, { ...bar, label: "second", median: 10, least: 10, most: 10 }]);
    const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
    expect(widths).toHaveLength(2);
    expect((widths[1] ?? 0) / (widths[0] ?? 1)).toBeCloseTo(2, 1);
    expect(svg).toContain("a&lt;b&gt;&amp;");
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("a cost that stays flat is a flat line, over equal steps for equal factors", () => {
    const points = [1, 10, 100].map((x) => ({ x, median: 7, least: 6, most: 8 }));
    const svg = curvePlot("t", "queues", points, String);
    const places = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)]);
    expect(new Set(places.map(([, y]) => y)).size).toBe(1);
    const [a = 0, b = 0, c = 0] = places.map(([x]) => x);
    expect(c - b).toBeCloseTo(b - a, 0);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("a row over something that grows shows the cost of a message, not the rate", () => {
    const contestants = [1, 100].map((x) => ({ id: `files: ${x}`, kind: "ours" as const, family: "moraine", x }));
    const kept = [run("files: 1", 0, 500_000), run("files: 100", 0, 250_000)];
    const { plot } = rowPart({ ...row, curve: "files", contestants }, [], kept);
    expect(plot).toContain("microseconds a message");
    expect(plot).toContain(">4.00 µs<");
    const heights = [...(plot ?? "").matchAll(/<circle cx="[\d.]+" cy="([\d.]+)"/g)].map(([, y]) => Number(y));
    expect(heights[0]).toBeGreaterThan(heights[1] ?? 0);
  });

  it("nothing measured, or zero, makes no broken plot", () => {
    const zero = { ...bar, median: 0, least: 0, most: 0 };
    expect(barPlot("t", [zero])).not.toMatch(/NaN|Infinity/);
    expect(curvePlot("t", "x", [{ x: 1, median: 0, least: 0, most: 0 }], String)).not.toMatch(/NaN|Infinity/);
  });
});
