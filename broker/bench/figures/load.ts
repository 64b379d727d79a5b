/** The load (`java/`): compiled on the client's jars, and run against a broker. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { BrokerRow } from "../../../bench/report/broker.mjs";
import { built, run } from "../../test/clients/cache.ts";
import { libraries, rocketmqOptions } from "../../test/clients/java.ts";

const SOURCES = join(import.meta.dirname, "java");
const POM = join(import.meta.dirname, "../../test/apache/pom.xml");
/** Beside what it measures: its start, the wait for what is consumed, and the check. */
const MOST_BESIDE_MS = 180_000;

export interface Load {
  readonly nameServer: string;
  readonly brokerPid: number;
  readonly row: BrokerRow;
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** Takes what it writes. */
  readonly folder: string;
  /** Called when the measurement is over, before the check. */
  onMeasured(): void;
}

/** What the check has counted. */
export interface Check {
  readonly acknowledged: number;
  readonly failed: number;
  /** Why, and how many times each. */
  readonly failures: string;
  readonly stored: number;
  readonly damaged: number;
  /** Those that were consumed never, and more than once; with a consumer. */
  readonly lost?: number;
  readonly repeated?: number;
}

export interface Loaded {
  /** By the names of bench/run/metrics.mjs, and some of their own. */
  readonly figures: Readonly<Record<string, number>>;
  readonly check: Check;
}

export async function loadClassPath(): Promise<string> {
  const jars = await libraries("5.4.0");
  const files = readdirSync(SOURCES).map((name) => join(SOURCES, name));
  const classes = await built("figures-load-5.4.0", [...files, POM], async (folder) => {
    await run("javac", ["-nowarn", "-cp", `${jars}/*`, "-d", folder, ...files]);
  });
  return `${classes}:${jars}/*`;
}

/** As `java -version` says it. */
export async function javaVersion(): Promise<string> {
  const said = await run("java", ["-version"]);
  return `Java ${/version "([^"]+)"/.exec(said)?.[1] ?? "of an unknown version"}`;
}

export async function runLoad(load: Load): Promise<Loaded> {
  mkdirSync(load.folder, { recursive: true });
  const { row } = load;
  const words = [
    row.mode,
    row.threads,
    row.outstanding,
    row.consumer,
    load.warmupSeconds,
    load.seconds,
    load.brokerPid,
  ];
  const classPath = await loadClassPath();
  const options = ["-Xmx512m", ...rocketmqOptions(load.folder), "-cp", classPath];
  const log = join(load.folder, "output.txt");
  const errors = openSync(log, "a");
  const child = spawn("java", [...options, "Load", load.nameServer, ...words.map(String)], {
    stdio: ["ignore", "pipe", errors],
  });
  closeSync(errors);
  const kill = (): void => void child.kill("SIGKILL");
  // Before its folder is removed.
  process.prependOnceListener("exit", kill);
  const timer = setTimeout(kill, (load.warmupSeconds + load.seconds) * 1000 + MOST_BESIDE_MS);
  try {
    return await loaded(child, load, log);
  } finally {
    clearTimeout(timer);
    process.off("exit", kill);
  }
}

async function loaded(child: ChildProcess, load: Load, log: string): Promise<Loaded> {
  let figures: Record<string, number> | undefined;
  let check: Check | undefined;
  const ended = once(child, "close");
  for await (const line of createInterface({ input: child.stdout as Readable })) {
    const { kind, ...said } = JSON.parse(line) as { kind: string };
    if (kind === "measured") {
      figures = said as Record<string, number>;
      load.onMeasured();
    } else if (kind === "checked") check = said as unknown as Check;
  }
  const [code, signal] = await ended;
  if (code === 0 && figures !== undefined && check !== undefined) return { figures, check };
  throw new Error(`the load ended with ${code ?? signal}:\n${readFileSync(log, "utf8").slice(-2000)}`);
}

/** What of the contents is not as it should be, in a sentence; undefined where everything is. */
export function problemOf({ acknowledged, failed, stored, damaged, lost = 0 }: Check): string | undefined {
  if (damaged > 0) return `${damaged} messages came back as they were not sent`;
  if (lost > 0) return `${lost} of ${acknowledged} acknowledged messages were not consumed`;
  // One that failed for the client may be there.
  if (stored < acknowledged || stored > acknowledged + failed) {
    return `the queues have ${stored} messages, where ${acknowledged} were acknowledged and ${failed} failed`;
  }
  return undefined;
}
