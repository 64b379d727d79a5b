#!/usr/bin/env node
/** The command `moraine-broker`: one process with a store, a broker and, unless it is switched off, a name server. */
import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import { StoreError } from "moraine";
import { type Logger, pino, stdSerializers } from "pino";
import { Broker } from "./broker.ts";
import { parseCommandLine } from "./command-line.ts";
import type { BrokerConfig } from "./config/broker-config.ts";
import { Configuration } from "./config/configuration.ts";
import { ConfigurationError } from "./config/configuration-error.ts";
import { logOutput, STANDARD_ERROR, STANDARD_OUTPUT, say } from "./log-output.ts";
import { isAnyAddress, printAddress } from "./protocol/hosts.ts";
import { TableError } from "./tables/table-value.ts";

/** What the process ends with: started and stopped well, failed, asked for in a wrong way. */
const ExitCode = { ok: 0, failed: 1, usage: 2 } as const;

async function main(): Promise<number> {
  const given = parseCommandLine(process.argv.slice(2), version());
  const log = pino({ name: "moraine-broker", serializers: { err: stdSerializers.err } }, logOutput(STANDARD_ERROR));
  const configuration = Configuration.load({ file: given.file, given: given.options }, log);
  const { values } = configuration;
  log.level = values.logLevel;
  warnOfAddress(values, log);

  // From now on, so that one that comes while the broker starts is heeded when it has.
  const asked = stopSignal();
  const broker = await Broker.start(configuration, log);
  say(STANDARD_OUTPUT, `${startLine(broker, values)}\n`);
  log.info({ store: values.storePathRootDir, port: values.listenPort }, "the broker has started");
  const signal = await asked;
  log.info({ signal }, "the broker stops");
  await broker.stop();
  log.info({}, "the broker has stopped");
  return ExitCode.ok;
}

function warnOfAddress({ bindAddress, brokerIP1 }: BrokerConfig, log: Logger): void {
  if (!isAnyAddress(bindAddress) || !brokerIP1.startsWith("127.")) return;
  log.warn({ bindAddress, brokerIP1 }, "clients of other machines are told 127.0.0.1; say --advertise ADDRESS");
}

function startLine({ nameServer }: Broker, config: BrokerConfig): string {
  const { brokerName, brokerClusterName, brokerIP1, listenPort, storePathRootDir, namesrvAddr } = config;
  const own = printAddress({ address: brokerIP1, port: listenPort });
  const servers = [nameServer, namesrvAddr].filter((address) => address !== undefined && address !== "").join(";");
  const reach = servers === "" ? "it is registered at no name server" : `clients reach it by name server ${servers}`;
  return `broker ${brokerName} of ${brokerClusterName} listens at ${own}, store ${storePathRootDir}; ${reach}`;
}

/** Resolves with the first signal that asks the process to stop. A second one stops it at once. */
function stopSignal(): Promise<string> {
  return new Promise((resolveSignal) => {
    const signals = ["SIGTERM", "SIGINT"] as const;
    const stop = (signal: string) => {
      // Whichever comes next, it finds nobody who listens.
      for (const one of signals) process.off(one, stop);
      resolveSignal(signal);
    };
    for (const signal of signals) process.on(signal, stop);
  });
}

function version(): string {
  const { version: own } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return String(own);
}

/** What went wrong, for whoever typed the command: a sentence where it is one of ours, all of it where it is not. */
function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  if (error instanceof ConfigurationError) {
    say(STANDARD_ERROR, `moraine-broker: ${error.message}\n`);
    return ExitCode.usage;
  }
  const isOurs =
    error instanceof StoreError || error instanceof TableError || (error instanceof Error && "syscall" in error);
  say(
    STANDARD_ERROR,
    `moraine-broker: ${isOurs ? (error as Error).message : ((error as Error)?.stack ?? String(error))}\n`,
  );
  return ExitCode.failed;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = exitCodeFor(error);
  },
);
