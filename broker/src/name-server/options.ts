/** Options of a name server, by RocketMQ's names. */
import { z } from "zod";

export interface NameServerOptions {
  /** 0 is any free port. */
  readonly listenPort: number;
  readonly bindAddress: string;
  /** Who may change settings and topics: processes of this machine, or everybody who reaches the port. */
  readonly adminAccess: "loopback" | "any";
  /** Who may register as a broker: processes of this machine, or everybody who reaches the port. */
  readonly brokerAccess: "loopback" | "any";
  /** File for the settings that tools put; without it they are forgotten at the end. */
  readonly kvConfigPath?: string | undefined;
  /** Whether routes tell the queues of strictly ordered topics. */
  readonly orderMessageEnable: boolean;
  readonly returnOrderTopicConfigToBroker: boolean;
  readonly supportActingMaster: boolean;
  readonly deleteTopicWithBrokerRegistration: boolean;
  readonly enableAllTopicList: boolean;
  readonly enableTopicList: boolean;
  /** Whether routes are refused at first, until brokers have registered. */
  readonly needWaitForService: boolean;
  readonly waitSecondsForService: number;
  readonly serverChannelMaxIdleTimeSeconds: number;
  /** Names divided by semicolons. */
  readonly configBlackList: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

const flag = (byDefault: boolean) =>
  z.union([z.boolean(), z.stringbool({ truthy: ["true"], falsy: ["false"] })]).default(byDefault);
const whole = (byDefault: number, least: number, most: number) =>
  z.coerce.number().int().min(least).max(most).default(byDefault);

const schema = z.object({
  listenPort: whole(9876, 0, 65_535),
  bindAddress: z.string().min(1).default("127.0.0.1"),
  adminAccess: z.enum(["loopback", "any"]).default("loopback"),
  brokerAccess: z.enum(["loopback", "any"]).default("any"),
  kvConfigPath: z.string().optional(),
  orderMessageEnable: flag(false),
  returnOrderTopicConfigToBroker: flag(true),
  supportActingMaster: flag(false),
  deleteTopicWithBrokerRegistration: flag(false),
  enableAllTopicList: flag(true),
  enableTopicList: flag(true),
  needWaitForService: flag(false),
  waitSecondsForService: whole(45, 0, 3600),
  serverChannelMaxIdleTimeSeconds: whole(120, 1, 86_400),
  configBlackList: z.string().default("configBlackList;configStorePath;kvConfigPath"),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

/** Read once, at the start. */
const FIXED: ReadonlySet<string> = new Set([
  "listenPort",
  "bindAddress",
  "adminAccess",
  "brokerAccess",
  "kvConfigPath",
  "serverChannelMaxIdleTimeSeconds",
  "logLevel",
]);

/** Options that this name server has; others of RocketMQ's mean nothing to it. */
export function isOption(name: string): boolean {
  return Object.hasOwn(schema.shape, name);
}

/** Throws a `RangeError` with a sentence for each option that is wrong. Names that are no options are left out. */
export function readNameServerOptions(given: Readonly<Record<string, unknown>>): NameServerOptions {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw new RangeError(result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
}

/** Names that may not be changed by a request. */
export function forbiddenChanges(options: NameServerOptions, names: readonly string[]): string[] {
  const listed = new Set(options.configBlackList.split(";").map((name) => name.trim()));
  return names.filter((name) => FIXED.has(name) || listed.has(name) || name === "configBlackList");
}

/** `name=value` lines, sorted. */
export function printOptions(options: NameServerOptions): string {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}\n`)
    .sort()
    .join("");
}
