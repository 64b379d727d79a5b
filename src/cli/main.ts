#!/usr/bin/env node
/** `moraine <command> DIR`: looks into a message store, looks after it, or puts messages there. */
import { readFileSync } from "node:fs";
import { StoreError } from "../index.ts";
import { UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { dump } from "./dump.ts";
import { get } from "./get.ts";
import { inspect } from "./inspect.ts";
import { Output, OutputClosed } from "./output.ts";
import { put } from "./put.ts";
import { rebuild } from "./rebuild.ts";
import { salvage } from "./salvage.ts";
import { verify } from "./verify.ts";

const COMMANDS: Record<string, Command> = { inspect, dump, get, put, verify, rebuild, salvage };

/** Fine. */
const EXIT_OK = 0;
/** Wrong use, or the command could not be carried out. */
const EXIT_FAILURE = 1;
/** Done, and something was noticed: damage, or a store that was not closed. */
const EXIT_FINDINGS = 2;

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h";
}

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return `usage: moraine <command> DIR [options]

${lines.join("\n")}

Every command takes --json (one JSON object a line) and --help. All but put and rebuild only read: nothing in DIR
changes, and a store that another process is writing can be looked at. Exit code 0: fine, 1: usage or failure, 2: findings,
which are named on standard error.`;
}

/** The package's version; two folders above in the sources and in the build. */
function version(): string {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return manifest.version;
}

/** A failing system call, as of a full disk under standard output, says all in its message; anything else is a bug of ours. */
function unexpected(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "syscall" in error ? error.message : (error.stack ?? error.message);
}

async function main(args: string[]): Promise<number> {
  const output = new Output(process.stdout, process.stderr, args.includes("--json"));
  try {
    const [name, ...rest] = args;
    if (name === undefined) throw new UsageError("a command is missing");
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command !== undefined) {
      if (rest.some(isHelp)) output.line(command.usage);
      else await command.run(rest, output);
    } else if (isHelp(name)) {
      output.line(usage());
    } else if (name === "--version") {
      output.line(version());
    } else {
      throw new UsageError(`there is no command "${name}"; there are ${Object.keys(COMMANDS).join(", ")}`);
    }
    await output.flush();
  } catch (error) {
    if (error instanceof OutputClosed) return output.findings > 0 ? EXIT_FINDINGS : EXIT_OK;
    // What was found before the failure is worth having.
    await output.flush().catch(() => {});
    if (error instanceof StoreError) output.failure(error.message, error.code);
    else if (error instanceof UsageError) output.failure(`${error.message} (see moraine --help)`, undefined);
    else output.failure(unexpected(error), undefined);
    return EXIT_FAILURE;
  }
  return output.findings > 0 ? EXIT_FINDINGS : EXIT_OK;
}

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
