/** Apache RocketMQ itself as a judge: the Java program in oracle/, run as a process. */
import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { afterAll, test } from "vitest";
import { type Expected, expectedFrom } from "./expected.ts";
import { temporaryFolder } from "./folders.ts";
import { ORACLE, ServedOracle } from "./served-oracle.ts";

/** A JVM on a busy machine; the first run of a RocketMQ line also downloads and compiles. */
export const ORACLE_TIMEOUT_MS = 300_000;

/** RocketMQ's lines, as `--rocketmq` names them. */
export type Line = "4" | "5";
export const LINES: readonly Line[] = ["4", "5"];

const missing = ["java", "mvn"].filter((tool) => spawnSync(tool, ["--version"], { stdio: "ignore" }).status !== 0);

/**
 * A test that needs Java and Maven. Without them it is counted as skipped and said so; in CI it fails,
 * because nobody would notice there that RocketMQ was never asked.
 */
export function oracleTest(name: string, body: () => Promise<void>, timeoutMs: number = ORACLE_TIMEOUT_MS): void {
  if (missing.length === 0) {
    test(name, body, timeoutMs);
  } else if (process.env.CI === "true") {
    test(name, () => {
      throw new Error(`needs Java 17 and Maven 3.8; not found on PATH: ${missing.join(", ")}`);
    });
  } else {
    console.warn(`not run, ${missing.join(" and ")} not found on PATH: ${name}`);
    test.skip(name, body);
  }
}

/** One process a release for all tests of a file. */
const served = new ServedOracle();
const running = new Set<Running>();

afterAll(async () => {
  for (const { child } of running) child.kill("SIGKILL");
  await served.end();
});

export interface OracleRun {
  code: number | null;
  lines: { kind: string }[];
  err: string;
}

/** A running oracle: its lines as they come, and its standard input. */
interface Running {
  child: ChildProcessByStdio<Writable, Readable, Readable>;
  ended: Promise<OracleRun>;
  /** The first line of a kind; rejects if the oracle ends without one. */
  line(kind: string): Promise<{ kind: string }>;
}

function start(args: readonly string[]): Running {
  const child = spawn(ORACLE, args, { stdio: ["pipe", "pipe", "pipe"] });
  const lines: { kind: string }[] = [];
  const waiting = new Map<string, (line: { kind: string }) => void>();
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as { kind: string };
    lines.push(line);
    waiting.get(line.kind)?.(line);
  });
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const ended = new Promise<OracleRun>((resolve, reject) => {
    child.once("error", reject).once("close", (code) => resolve({ code, lines, err }));
  });
  const line = (kind: string): Promise<{ kind: string }> => {
    const seen = lines.find((one) => one.kind === kind);
    if (seen !== undefined) return Promise.resolve(seen);
    const coming = new Promise<{ kind: string }>((resolve) => waiting.set(kind, resolve));
    const never = ended.then((run) => {
      throw new Error(`the oracle ended with ${run.code} before a line of kind ${kind}: ${run.err}`);
    });
    return Promise.race([coming, never]);
  };
  const one: Running = { child, ended, line };
  running.add(one);
  const forget = (): boolean => running.delete(one);
  void ended.then(forget, forget);
  return one;
}

/** Runs an oracle of its own to its end, whatever that is. */
export async function runOracle(line: Line, ...args: string[]): Promise<OracleRun> {
  const { child, ended } = start([...args, "--rocketmq", line]);
  child.stdin.end();
  return ended;
}

/**
 * Everything that RocketMQ finds in a copy of a store: messages, queues, every key, times. `scenario` has what the files
 * do not say of RocketMQ's settings.
 */
export async function readWithOracle(line: Line, dir: string, scenario?: Scenario): Promise<Expected> {
  const told = scenario === undefined ? [] : ["--scenario", scenarioFile(scenario)];
  return expectedFrom(await served.ask(line, "read", dir, ...told, "--keys", "auto", "--times", "auto"));
}

/** A line of `--puts`. */
export interface PutLine {
  kind: "put";
  message: number;
  status: string;
  offset: number;
  bytes: number;
  queueOffset: number;
}

/** What the oracle is told to write; fields as in oracle/README.md. */
export interface Scenario {
  seed: number;
  steps: object[];
  [field: string]: unknown;
}

function scenarioFile(scenario: Scenario): string {
  const file = join(temporaryFolder(), "scenario.json");
  writeFileSync(file, JSON.stringify(scenario));
  return file;
}

/** Lets RocketMQ append to a store and close it; returns what it put. */
export async function appendWithOracle(line: Line, dir: string, scenario: Scenario): Promise<PutLine[]> {
  const lines = await served.ask(line, "append", dir, scenarioFile(scenario), "--puts");
  return lines.filter(({ kind }) => kind === "put") as PutLine[];
}

/** A store that RocketMQ has open, until `release` lets it go on and close. */
export interface HeldByOracle {
  release(): Promise<OracleRun>;
}

/** Lets RocketMQ make a store; comes back when the scenario's step `hold` is reached. */
export async function holdWithOracle(line: Line, dir: string, scenario: Scenario): Promise<HeldByOracle> {
  const running = start(["write", dir, scenarioFile(scenario), "--rocketmq", line]);
  await running.line("holding");
  return {
    release() {
      running.child.stdin.end();
      return running.ended;
    },
  };
}

/** The body of message `n` of a scenario with this seed and `size: [low, high]` (oracle/README.md, "Body of message n"). */
export function scenarioBody(seed: number, n: number, low: number, high: number): Uint8Array {
  let state = (Math.imul(seed, 0x9e3779b1) + Math.imul(n, 0x85ebca77) + 0x165667b1) >>> 0 || 1;
  const next = (): number => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state;
  };
  for (let i = 0; i < 4; i++) next();
  const size = low + (next() % (high - low + 1));
  return Uint8Array.from({ length: size }, () => next() >>> 24);
}
