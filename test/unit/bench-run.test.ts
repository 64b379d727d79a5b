/** A row as it is run: everybody in every round, nothing twice, failures by name. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ResultsFiles } from "../../bench/run/results-file.mjs";
import { type RunnableRow, runRow } from "../../bench/run/row.mjs";
import { told } from "../../bench/run/told.mjs";
import { WarmMemory } from "../../bench/run/warm-memory.mjs";

let dir: string;
let ran: string[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "moraine-bench-test-"));
  ran = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function contestant(id: string, kind: "ours" | "peer", work: (dir: string) => void = () => {}) {
  const run = (place: string) => {
    ran.push(id);
    work(place);
    return { messagesPerSecond: 10 * ran.length };
  };
  return { id, family: id, kind, run };
}

function row(contestants: RunnableRow["contestants"], more: Partial<RunnableRow> = {}): RunnableRow {
  return { number: 1, name: "r", title: "row", class: "reading", messages: 5, leavesOut: "all", contestants, ...more };
}

const settings = (more = {}) => ({
  dir,
  rounds: 3,
  messages: undefined,
  gigabytes: 1,
  again: false,
  smoke: false,
  commit: "c1",
  machine: "m1",
  results: new ResultsFiles(join(dir, "results")),
  ...more,
});

describe("a row", () => {
  const two = () => [contestant("ours", "ours"), contestant("theirs", "peer")];

  it("runs everybody in every round, and nothing that was run on this commit and machine", async () => {
    const { figures } = await runRow(row(two()), settings());
    expect(ran).toHaveLength(6);
    expect(figures.ours).toHaveLength(3);
    await runRow(row(two()), settings({ rounds: 4 }));
    expect(ran).toHaveLength(8);
    await runRow(row(two()), settings({ commit: "c2" }));
    expect(ran).toHaveLength(14);
    await runRow(row(two()), settings({ commit: "c2", again: true, rounds: 1 }));
    expect(ran).toHaveLength(16);
  });

  it("keeps the figures of what ran before somebody stopped it", async () => {
    const stopping = contestant("theirs", "peer", () => {
      throw new Error("stopped");
    });
    const told = () => {
      if (ran.length === 3) throw new Error("interrupted");
    };
    await expect(runRow(row([contestant("ours", "ours"), stopping]), settings({ told }))).rejects.toThrow(
      "interrupted",
    );
    await runRow(row([contestant("ours", "ours")]), settings());
    expect(ran.filter((id) => id === "ours")).toHaveLength(3);
  });

  it("takes a run that was ended for no failure", async () => {
    const ending = new AbortController();
    const failing = contestant("theirs", "peer", () => {
      ending.abort(new Error("ended"));
      throw new Error("killed");
    });
    const results = new ResultsFiles(join(dir, "results"));
    const running = runRow(row([failing]), settings({ results, signal: ending.signal }));
    await expect(running).rejects.toThrow("ended");
    expect(results.runsOf("r")).toEqual([]);
    expect(readdirSync(dir)).toEqual(["results"]);
  });

  it("names who failed and why, does not run him again, and goes on", async () => {
    const failing = contestant("theirs", "peer", () => {
      throw new Error("no room");
    });
    const result = await runRow(row([contestant("ours", "ours"), failing]), settings());
    expect(ran.filter((id) => id === "theirs")).toHaveLength(1);
    expect(result.failed).toEqual({ theirs: "no room" });
    expect([...told(result)].join("\n")).toContain("FAILED: no room");
    expect(result.figures.ours).toHaveLength(3);
  });

  it("names who is left out, and why", async () => {
    const out = { ...contestant("theirs", "peer"), out: "it is not installed" };
    const result = await runRow(row([contestant("ours", "ours"), out]), settings());
    expect([...told(result)].join("\n")).toMatch(/theirs +not measured: it is not installed/);
    expect(ran).not.toContain("theirs");
  });

  it("gives each run a directory of its own, or each contestant one, and leaves none", async () => {
    const places: string[] = [];
    const noting = (place: string) => {
      places.push(place);
      expect(existsSync(join(place, "file"))).toBe(places.indexOf(place) < places.length - 1);
      writeFileSync(join(place, "file"), "");
    };
    await runRow(row([contestant("ours", "ours", noting)]), settings());
    expect(new Set(places).size).toBe(3);
    places.length = 0;
    await runRow(row([contestant("ours", "ours", noting)], { kept: true, name: "kept" }), settings());
    expect(new Set(places).size).toBe(1);
    expect(readdirSync(dir)).toEqual(["results"]);
  });

  it("has memory touched before every run, as much for one as for another, and keeps how much that was", async () => {
    const warmed: number[] = [];
    const warm = async (bytes: number) => {
      warmed.push(bytes);
      return 7;
    };
    const results = new ResultsFiles(join(dir, "results"));
    await runRow(row(two()), settings({ results, rounds: 1, warm }));
    expect(warmed).toHaveLength(2);
    expect(new Set(warmed).size).toBe(1);
    expect(results.runsOf("r").map(({ warmBytes }) => warmBytes)).toEqual([7, 7]);
  });

  it("gives each family its own amount, and says from how many to how many", async () => {
    const amounts: Record<string, number> = {};
    const noting = (id: string, kind: "ours" | "peer") => ({
      ...contestant(id, kind),
      run: (_: string, messages: number) => {
        amounts[id] = messages;
        return { messagesPerSecond: 1 };
      },
    });
    const sized = row([noting("ours", "ours"), noting("theirs", "peer")], { messages: 5000, amounts: { theirs: 20 } });
    const { amount } = await runRow(sized, settings({ rounds: 1 }));
    expect(amounts).toEqual({ ours: 5000, theirs: 20 });
    expect(amount).toBe("20 to 5,000 messages");
    expect((await runRow(sized, settings({ rounds: 1, messages: 9 }))).amount).toBe("9 messages");
    expect(amounts).toEqual({ ours: 9, theirs: 9 });
  });

  it("has fewer rounds of who takes long", async () => {
    const { figures } = await runRow(
      row([contestant("ours", "ours"), { ...contestant("theirs", "peer"), rounds: 1 }]),
      settings(),
    );
    expect(figures.ours).toHaveLength(3);
    expect(figures.theirs).toHaveLength(1);
  });

  it("leaves out whom the disk has no room for", async () => {
    const large = { ...contestant("theirs", "peer"), bytes: 1e18 };
    const { out } = await runRow(row([contestant("ours", "ours"), large]), settings());
    expect(out.theirs).toMatch(/^it takes 1000000002\.0 GB of the disk, of which [\d.]+ GB are free$/);
    expect(ran).not.toContain("theirs");
  });

  it("measures another amount anew", async () => {
    await runRow(row(two()), settings({ rounds: 1 }));
    const { figures, amount } = await runRow(row(two()), settings({ rounds: 1, messages: 7 }));
    expect(ran).toHaveLength(4);
    expect(amount).toBe("7 messages");
    expect(figures.ours).toEqual([{ messagesPerSecond: expect.any(Number) }]);
  });
});

it("memory that is touched is held until more is wanted or it is let go", async () => {
  const memory = new WarmMemory();
  try {
    const held = await memory.hold(5_000_000);
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(5_000_000);
    expect(await memory.hold(1_000_000)).toBe(held);
    expect(await memory.hold(6_000_000)).toBeGreaterThan(held);
  } finally {
    await memory.release();
  }
  expect(await memory.hold(0)).toBe(0);
});

it("kept figures that are no JSON are named, with what to do", () => {
  const results = new ResultsFiles(dir);
  writeFileSync(join(dir, "r.json"), "{");
  expect(() => results.runsOf("r")).toThrow(/r\.json is no JSON .*: remove it, or take it back from git/);
});
