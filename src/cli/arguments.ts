/** What stands behind the command's name, read by `node:util` and checked. */
import { type ParseArgsConfig, parseArgs } from "node:util";

/** Wrong use of the command line: printed with a hint at `--help`, exit code 1. */
export class UsageError extends Error {}

type Options = NonNullable<ParseArgsConfig["options"]>;
type Values = Record<string, string | boolean | string[] | undefined>;

/** A word of the command line, as `parseArgs` tells of it. */
interface Token {
  kind: string;
  name?: string;
}

/** Options of every command; `--help` was seen before. */
const COMMON: Options = { json: { type: "boolean" } };

/** The one directory and the options of a command. */
export interface Arguments {
  dir: string;
  json: boolean;
  values: Values;
}

/** Reads `DIR` and the options. */
export function readArguments(args: string[], options: Options): Arguments {
  const { values, words } = readWords(args, options);
  const [dir, ...rest] = words;
  if (dir === undefined || dir === "") throw new UsageError("the directory of the store is missing");
  if (rest.length > 0) throw new UsageError(`one directory is expected, "${rest[0]}" is one word too many`);
  return { dir, json: values.json === true, values };
}

/** Reads `DIR` and `OUT`. */
export function readTwoDirectories(args: string[]): { dir: string; out: string } {
  const [dir, out, ...rest] = readWords(args, {}).words;
  if (dir === undefined || dir === "") throw new UsageError("the directory of the store is missing");
  if (out === undefined || out === "") throw new UsageError("the directory for the new store is missing");
  if (rest.length > 0) throw new UsageError(`two directories are expected, "${rest[0]}" is one word too many`);
  return { dir, out };
}

function readWords(args: string[], options: Options): { values: Values; words: string[] } {
  const known = { ...COMMON, ...options };
  let parsed: { values: object; positionals: string[]; tokens: Token[] };
  try {
    parsed = parseArgs({ args, options: known, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  refuseRepeated(parsed.tokens, known);
  return { values: parsed.values as Values, words: parsed.positionals };
}

function refuseRepeated(tokens: readonly Token[], options: Options): void {
  const seen = new Set<string>();
  for (const { kind, name } of tokens) {
    if (kind !== "option" || name === undefined || options[name]?.multiple === true) continue;
    if (seen.has(name)) throw new UsageError(`--${name} is given twice: give it once`);
    seen.add(name);
  }
}

/** The option as text, undefined when it was not given. */
export function textOption(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** An option that may be given several times, as texts. */
export function textsOption(values: Values, name: string): string[] {
  const value = values[name];
  return Array.isArray(value) ? value : [];
}

/** The option as a whole number from 0 to `max`, undefined when it was not given. */
export function numberOption(values: Values, name: string, max: number): number | undefined {
  const text = textOption(values, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value > max) {
    throw new UsageError(`--${name} ${text}: a whole number from 0 to ${max} is expected`);
  }
  return value;
}

/** The option as one of `choices`, the first of them when it was not given. */
export function choiceOption<T extends string>(values: Values, name: string, choices: readonly [T, ...T[]]): T {
  const text = textOption(values, name);
  if (text === undefined) return choices[0];
  const choice = choices.find((one) => one === text);
  if (choice === undefined) throw new UsageError(`--${name} ${text}: one of ${choices.join(", ")} is expected`);
  return choice;
}
