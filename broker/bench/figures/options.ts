/** What the words behind `npm --prefix broker run figures --` ask for. Whatever is wrong is said in one sentence. */
import { statSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { BROKER_ROWS, BROKERS, type BrokerContestant, type BrokerRow } from "../../../bench/report/broker.mjs";

export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Settings {
  readonly rounds: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly rows: readonly BrokerRow[];
  readonly brokers: readonly BrokerContestant[];
  /** Where stores are made. */
  readonly dir: string;
  /** Undefined: where figures are kept by default. */
  readonly results: string | undefined;
  readonly smoke: boolean;
  readonly help: boolean;
}

const OPTIONS = {
  rounds: { type: "string" },
  seconds: { type: "string" },
  warmup: { type: "string" },
  only: { type: "string" },
  broker: { type: "string" },
  dir: { type: "string" },
  results: { type: "string" },
  smoke: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

export const HELP: string = `npm --prefix broker run figures -- [OPTIONS]

Without options: every row, three rounds, some twenty-five minutes, on a machine that does nothing else. Needs Java 17 and Maven.

  --rounds N          rounds, default 3
  --seconds N         measured of each run, default 15
  --warmup N          seconds before that in the same processes, default 8
  --only ROW[,ROW]    these rows of ${BROKER_ROWS.map(({ name }) => name).join(",\n                      ")}
  --broker NAME       one of ${BROKERS.map(({ id }) => id).join(", ")} alone
  --dir DIR           where stores are made, default the system's temporary directory
  --results DIR       where figures are kept, default broker/bench/results
  --smoke             every row once and shortly; nothing is kept
`;

/** `called`: the folder that paths are meant from. */
export function parse(words: readonly string[], called: string): Settings {
  const values = known(words);
  if (values.smoke && values.results !== undefined) throw new UsageError("--smoke keeps nothing: leave out --results.");
  const dir = resolve(called, values.dir ?? tmpdir());
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--dir is ${dir}, which is no directory; it has to be one that exists.`);
  return {
    rounds: integer(values.rounds, "rounds", 100) ?? (values.smoke ? 1 : 3),
    warmupSeconds: integer(values.warmup, "warmup", 600) ?? (values.smoke ? 1 : 8),
    seconds: integer(values.seconds, "seconds", 600) ?? (values.smoke ? 2 : 15),
    rows: named(
      values.only,
      "only",
      BROKER_ROWS.map(({ name }) => name),
    ).map((name) => BROKER_ROWS.find((row) => row.name === name) as BrokerRow),
    brokers: named(
      values.broker,
      "broker",
      BROKERS.map(({ id }) => id),
    ).map((id) => BROKERS.find((broker) => broker.id === id) as BrokerContestant),
    dir,
    results: values.results === undefined ? undefined : resolve(called, values.results),
    smoke: values.smoke,
    help: values.help,
  };
}

function known(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const [first] = (error as Error).message.split(/\. |\n/);
    const names = Object.keys(OPTIONS).map((name) => `--${name}`);
    throw new UsageError(`${first}; the options are ${names.join(", ")}.`);
  }
}

function integer(text: string | undefined, name: string, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new UsageError(`--${name} is ${JSON.stringify(text)}; it has to be an integer from 1 to ${most}.`);
}

/** All of them without a list. */
function named(list: string | undefined, option: string, all: readonly string[]): readonly string[] {
  if (list === undefined) return all;
  const wanted = list.split(",").map((name) => name.trim());
  const unknown = wanted.find((name) => !all.includes(name));
  if (unknown === undefined) return all.filter((name) => wanted.includes(name));
  throw new UsageError(`--${option} names ${JSON.stringify(unknown)}; it has to be a list of ${all.join(", ")}.`);
}
