/** The parts of the figures beside Apache's broker that need neither broker. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { problemOf } from "../../../bench/figures/load.ts";
import { bytesOf, MemoryWatch } from "../../../bench/figures/memory-watch.ts";
import { parse, UsageError } from "../../../bench/figures/options.ts";
import { inTurn } from "../../../bench/figures/rotation.ts";

describe("options", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "moraine-figures-test-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("without words: every row and both brokers, three rounds", () => {
    const settings = parse([], dir);
    expect(settings).toMatchObject({ rounds: 3, warmupSeconds: 8, seconds: 15, smoke: false, results: undefined });
    expect(settings.rows).toHaveLength(8);
    expect(settings.brokers).toHaveLength(2);
  });

  it("a smoke run is short, and everything may be said", () => {
    expect(parse(["--smoke"], dir)).toMatchObject({ rounds: 1, warmupSeconds: 1, seconds: 2 });
    const words = ["--rounds", "2", "--seconds", "3", "--warmup", "4", "--broker", "rocketmq"];
    const settings = parse([...words, "--only", "sync-flush-sync-sends,async-flush-async-sends"], dir);
    expect(settings).toMatchObject({ rounds: 2, seconds: 3, warmupSeconds: 4 });
    expect(settings.rows.map(({ name }) => name)).toEqual(["async-flush-async-sends", "sync-flush-sync-sends"]);
    expect(settings.brokers.map(({ id }) => id)).toEqual(["rocketmq"]);
  });

  it("paths are meant from where the command was typed", () => {
    expect(parse(["--dir", ".", "--results", "kept"], dir)).toMatchObject({ dir, results: join(dir, "kept") });
  });

  it.each([
    [["--rounds", "0"], '--rounds is "0"; it has to be an integer from 1 to 100.'],
    [["--only", "async"], '--only names "async"; it has to be a list of async-flush-async-sends,'],
    [["--broker", "ours"], '--broker names "ours"'],
    [["--dir", "/nowhere/at/all"], "--dir is /nowhere/at/all, which is no directory"],
    [["--smoke", "--results", "x"], "--smoke keeps nothing"],
    [["--unknown"], "the options are --rounds,"],
  ])("%j is refused in a sentence", (words, sentence) => {
    expect(() => parse(words, dir)).toThrow(UsageError);
    expect(() => parse(words, dir)).toThrow(sentence);
  });
});

it("who begins changes from row to row and from round to round", () => {
  const first = (round: number, row: number) => inTurn(["a", "b"], round, row)[0];
  expect([first(0, 0), first(0, 1), first(1, 0), first(1, 1)]).toEqual(["a", "b", "b", "a"]);
  expect(inTurn(["a"], 1, 0)).toEqual(["a"]);
});

describe("what is checked", () => {
  const whole = { acknowledged: 10, failed: 0, failures: "{}", stored: 10, damaged: 0, lost: 0, repeated: 0 };

  it("everything acknowledged is there, and nothing else", () => {
    expect(problemOf(whole)).toBeUndefined();
    expect(problemOf({ ...whole, stored: 9 })).toContain("the queues have 9 messages, where 10 were acknowledged");
    expect(problemOf({ ...whole, stored: 11 })).toContain("the queues have 11 messages");
    expect(problemOf({ ...whole, lost: 2 })).toBe("2 of 10 acknowledged messages were not consumed");
    expect(problemOf({ ...whole, damaged: 1 })).toBe("1 messages came back as they were not sent");
  });

  it("a message whose send failed may be there or not", () => {
    expect(problemOf({ ...whole, failed: 1, stored: 11 })).toBeUndefined();
    expect(problemOf({ ...whole, failed: 1, stored: 12 })).toContain("the queues have 12 messages");
  });
});

describe("memory of a process", () => {
  it("is read by the names that the system gives it", () => {
    expect(bytesOf("VmRSS:\t    1200 kB\nRssAnon:\t     900 kB\n", "RssAnon")).toBe(900 * 1024);
    expect(() => bytesOf("VmRSS:\t 1 kB\n", "RssAnon")).toThrow("RssAnon");
  });

  it.runIf(process.platform === "linux")("is the most that it had", () => {
    const watch = new MemoryWatch(process.pid);
    const { privateBytes, residentBytes } = watch.stop();
    expect(privateBytes).toBeGreaterThan(2 ** 20);
    expect(residentBytes).toBeGreaterThan(privateBytes);
    expect(watch.dirtyBytes()).toBeGreaterThan(2 ** 20);
  });
});
