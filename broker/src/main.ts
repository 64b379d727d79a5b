#!/usr/bin/env node
/** The command `moraine-broker`: one process with a store, a broker and, unless it is switched off, a name server. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { StoreError } from "moraine";
import { destination, type Logger, pino, stdSerializers } from "pino";
import { Broker } from "./broker.ts";
import type { BrokerConfig } from "./config/broker-config.ts";
import { Configuration } from "./config/configuration.ts";
import { ConfigurationError } from "./config/configuration-error.ts";

/** What the process ends with: started and stopped well, failed, asked for in a wrong way. */
const ExitCode = { ok: 0, failed: 1, usage: 2 } as const;
const STANDARD_ERROR = 2;
const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

interface Given {
  readonly store?: string;
  readonly config?: string;
  readonly host?: string;
  readonly advertise?: string;
  readonly port?: string;
  readonly nameServerPort?: string;
  readonly nameServer: boolean;
  readonly nameServers?: string;
  readonly option: Readonly<Record<string, string>>;
}

function command(): Command {
  return new Command("moraine-broker")
    .description("A broker and a name server for clients of Apache RocketMQ, over a store of moraine.")
    .version(version())
    .option("--store <dir>", "directory of the store; made where there is none (storePathRootDir)")
    .option("--config <file>", "configuration in RocketMQ's form, a line name=value for each option")
    .option("--host <address>", "address to listen at (bindAddress; default 127.0.0.1)")
    .option("--advertise <address>", "address that clients are told (brokerIP1; default: that of --host)")
    .option("--port <port>", "port of the broker; the one two below is listened to, too (listenPort; default 10911)")
    .option("--name-server-port <port>", "port of the process's own name server (nameServerListenPort; default 9876)")
    .option("--no-name-server", "no name server of its own (nameServerEnable=false)")
    .option("--name-servers <list>", 'other name servers to register at, as "host:port;host:port" (namesrvAddr)')
    .option("-o, --option <name=value>", "any option of the configuration; may be repeated", addOption, {})
    .exitOverride();
}

function addOption(text: string, given: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidArgumentError("it must be name=value.");
  return { ...given, [text.slice(0, at).trim()]: text.slice(at + 1).trim() };
}

/** The command line as options of the configuration. */
function optionsOf(given: Given): Record<string, string> {
  const { host } = given;
  const isOne = host !== undefined && isIP(host) !== 0 && !ANY_ADDRESS.has(host);
  const options: Record<string, string | undefined> = {
    storePathRootDir: given.store === undefined ? undefined : resolve(given.store),
    bindAddress: host,
    brokerIP1: given.advertise ?? (isOne ? host : undefined),
    listenPort: given.port,
    nameServerListenPort: given.nameServerPort,
    nameServerEnable: given.nameServer ? undefined : "false",
    namesrvAddr: given.nameServers,
    ...given.option,
  };
  const named = Object.entries(options).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(named);
}

async function main(): Promise<number> {
  const given = command().parse().opts<Given>();
  const log = pino(
    { name: "moraine-broker", serializers: { err: stdSerializers.err } },
    destination({ dest: STANDARD_ERROR, sync: true }),
  );
  const configuration = Configuration.load({ file: given.config, given: optionsOf(given) }, log);
  const { values } = configuration;
  log.level = values.logLevel;
  warnOfAddress(values, log);

  const broker = await Broker.start(configuration, log);
  process.stdout.write(`${startLine(broker, values)}\n`);
  log.info({ store: values.storePathRootDir, port: values.listenPort }, "the broker has started");
  const signal = await stopSignal();
  log.info({ signal }, "the broker stops");
  await broker.stop();
  log.info({}, "the broker has stopped");
  return ExitCode.ok;
}

function warnOfAddress({ bindAddress, brokerIP1 }: BrokerConfig, log: Logger): void {
  if (!ANY_ADDRESS.has(bindAddress) || !brokerIP1.startsWith("127.")) return;
  log.warn({ bindAddress, brokerIP1 }, "clients of other machines are told 127.0.0.1; say --advertise ADDRESS");
}

function startLine({ nameServer }: Broker, config: BrokerConfig): string {
  const { brokerName, brokerClusterName, brokerIP1, listenPort, storePathRootDir, namesrvAddr } = config;
  const servers = [nameServer, namesrvAddr].filter((address) => address !== undefined && address !== "").join(";");
  const reach = servers === "" ? "it is registered at no name server" : `clients reach it by name server ${servers}`;
  return `broker ${brokerName} of ${brokerClusterName} listens at ${brokerIP1}:${listenPort}, store ${storePathRootDir}; ${reach}`;
}

/** Resolves with the first signal that asks the process to stop. A second one stops it at once. */
function stopSignal(): Promise<string> {
  return new Promise((resolveSignal) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolveSignal(signal));
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
    process.stderr.write(`moraine-broker: ${error.message}\n`);
    return ExitCode.usage;
  }
  const isOurs = error instanceof StoreError || (error instanceof Error && "syscall" in error);
  process.stderr.write(
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
