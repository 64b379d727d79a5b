#!/usr/bin/env node
/** The command `moraine-name-server`: a name server alone. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { pino } from "pino";
import { getProperties } from "properties-file";
import { COMMAND_OUTPUT, logOutput, STANDARD_ERROR, STANDARD_OUTPUT, say } from "./log-output.ts";
import { NameServer } from "./name-server/name-server.ts";
import { isOption, readNameServerOptions } from "./name-server/options.ts";
import { printAddress } from "./protocol/hosts.ts";

/** What the process ends with where it could not start. */
const ExitCode = { failed: 1, usage: 2 } as const;

interface Given {
  readonly config?: string;
  readonly listen?: string;
  readonly port?: string;
  readonly kvConfig?: string;
  readonly logLevel?: string;
}

/** The file's options, with those of the command line in front. */
function optionsOf({ config, listen, port, kvConfig, logLevel }: Given): Record<string, string> {
  const options: Record<string, string> = config === undefined ? {} : { ...readFile(config) };
  const given = { bindAddress: listen, listenPort: port, kvConfigPath: kvConfig, logLevel };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) options[name] = value;
  return options;
}

function readFile(file: string): Record<string, string> {
  try {
    return getProperties(readFileSync(file));
  } catch (cause) {
    throw new RangeError(`the configuration ${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

async function run(given: Given): Promise<void> {
  const options = optionsOf(given);
  const log = pino({ name: "name-server", level: readNameServerOptions(options).logLevel }, logOutput(STANDARD_OUTPUT));
  const unused = Object.keys(options).filter((name) => !isOption(name));
  if (unused.length > 0) log.warn({ options: unused }, "options that mean nothing to this name server");
  const server = await NameServer.listen({ options, log });
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    // Whoever asks twice does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, "name server stops");
    server.close().then(
      () => log.info({}, "name server stopped"),
      (error: unknown) => log.error({ err: error }, "name server did not stop cleanly"),
    );
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  // Whoever reads this may end it at once.
  const address = printAddress(server);
  log.info({ address, namesrvAddr: address }, `name server listens at ${address}`);
}

const program = new Command("moraine-name-server")
  .description("Name server for brokers and clients of RocketMQ")
  .option("-c, --config <file>", "options as name=value lines, by RocketMQ's names")
  .option("--listen <address>", "address to listen at (bindAddress; 127.0.0.1)")
  .option("-p, --port <port>", "port to listen at (listenPort; 9876)")
  .option("--kv-config <file>", "file for settings that tools put (kvConfigPath)")
  .option("--log-level <level>", "debug, info, warn or error")
  .configureOutput(COMMAND_OUTPUT)
  .exitOverride()
  .action(run);

/** What went wrong, for whoever typed the command; of the command line it was said already. */
function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ExitCode.usage;
  say(STANDARD_ERROR, `moraine-name-server: ${error instanceof Error ? error.message : String(error)}\n`);
  return error instanceof RangeError ? ExitCode.usage : ExitCode.failed;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
}
