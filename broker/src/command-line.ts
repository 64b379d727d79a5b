/** The command line of `moraine-broker`: what was asked for, as options of the configuration. */
import { isIP } from "node:net";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { COMMAND_OUTPUT } from "./log-output.ts";
import { isAnyAddress } from "./protocol/hosts.ts";

/** What was asked for. */
export interface CommandLine {
  /** The file of the configuration. */
  readonly file: string | undefined;
  /** Options by RocketMQ's names, which come before those of the file. */
  readonly options: Readonly<Record<string, string>>;
}

/** `args` are those behind the name of the command. Throws `CommanderError`, also where only help was asked for. */
export function parseCommandLine(args: readonly string[], version: string): CommandLine {
  const given = command(version).parse(args, { from: "user" }).opts<Given>();
  return { file: given.config, options: optionsOf(given) };
}

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

function command(version: string): Command {
  return new Command("moraine-broker")
    .description("A broker and a name server for clients of Apache RocketMQ, over a store of moraine.")
    .version(version)
    .option("--store <dir>", "directory of the store; made where there is none (storePathRootDir)")
    .option("--config <file>", "configuration in RocketMQ's form, a line name=value for each option")
    .option("--host <address>", "address to listen at (bindAddress; default 127.0.0.1)")
    .option("--advertise <address>", "address that clients are told (brokerIP1; default: that of --host)")
    .option("--port <port>", "port of the broker; the one two below is listened to, too (listenPort; default 10911)")
    .option("--name-server-port <port>", "port of the process's own name server (nameServerListenPort; default 9876)")
    .option("--no-name-server", "no name server of its own (nameServerEnable=false)")
    .option("--name-servers <list>", 'other name servers to register at, as "host:port;host:port" (namesrvAddr)')
    .option("-o, --option <name=value>", "any option of the configuration; may be repeated", addOption, {})
    .configureOutput(COMMAND_OUTPUT)
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
  const isOne = host !== undefined && isIP(host) !== 0 && !isAnyAddress(host);
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
