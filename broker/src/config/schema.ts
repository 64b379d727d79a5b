/** How options are written, and what each may be: text in, values out, with sentences that say what would be right. */
import { isIP } from "node:net";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { BrokerConfig } from "./broker-config.ts";
import { ConfigurationError } from "./configuration-error.ts";

/** A frame takes 16 MiB, the header and the properties of a message among them. */
const MAX_TRANSFER_BYTES = 16_711_680;
const MAX_INT32 = 2_147_483_647;
/** As many topics, and as many groups, as their tables take. */
const MOST_AUTO_CREATED = 100_000;
/** Longest name that is also one of a topic. */
const MAX_NAME_CHARACTERS = 127;
const NAME = /^[%|\w-]{1,127}$/;
const ADDRESS = /^(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/;
const DELAY_LEVEL = /^[1-9]\d{0,9}[smhd]$/;

type Read<T> = (text: string) => T | undefined;

/** An option: `read` answers undefined for what is none of `must`. */
function option<T>(byDefault: string, must: string, read: Read<T>) {
  return z
    .string()
    .transform((text, context): T => {
      const value = read(text.trim());
      if (value !== undefined) return value;
      context.addIssue({ code: "custom", message: `it must be ${must}` });
      return z.NEVER;
    })
    .prefault(byDefault);
}

const integer = (byDefault: number, minimum: number, maximum: number = MAX_INT32) =>
  option(String(byDefault), `an integer from ${minimum} to ${maximum}`, (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    return value >= minimum && value <= maximum ? value : undefined;
  });

const boolean = (byDefault: boolean) =>
  option(String(byDefault), "true or false", (text) => {
    const small = text.toLowerCase();
    return small === "true" || (small === "false" ? false : undefined);
  });

const choice = <const T extends string>(byDefault: T, ...others: readonly T[]) =>
  option(byDefault, [byDefault, ...others].join(" or "), (text) => [byDefault, ...others].find((one) => one === text));

const text = (byDefault: string) => option(byDefault, "a text", (given) => given);

const name = (byDefault: string) =>
  option(byDefault, `1 to ${MAX_NAME_CHARACTERS} letters, digits, "%", "|", "-" and "_"`, (given) =>
    NAME.test(given) ? given : undefined,
  );

const host = (byDefault: string) =>
  option(byDefault, "an IPv4 or IPv6 address", (given) => (isIP(given) === 0 ? undefined : given));

const port = (byDefault: number, minimum = 1) => integer(byDefault, minimum, 65_535);

const addresses = () =>
  option("", 'a list of name servers as "host:port;host:port"', (given) =>
    addressList(given) === undefined ? undefined : given,
  );

const delayLevels = (byDefault: string) =>
  option(byDefault, 'delays as "1s 5s 10m 2h 1d", divided by spaces', (given) => {
    const levels = given.split(/ +/);
    return levels.every((level) => DELAY_LEVEL.test(level)) ? levels.join(" ") : undefined;
  });

const hours = (byDefault: string) =>
  option(byDefault, 'hours of the day from 0 to 23, divided by ";"', (given) =>
    given.split(";").every((hour) => /^\d{1,2}$/.test(hour) && Number(hour) < 24) ? given : undefined,
  );

/** The host's name with what no topic may have taken out: a topic of the broker is called so. */
const nameOfHost = (): string =>
  hostname()
    .replace(/[^%|\w-]/g, "-")
    .slice(0, MAX_NAME_CHARACTERS) || "DEFAULT_BROKER";

const shape = {
  adminAccess: choice<"loopback" | "any">("loopback", "any"),
  autoCreateBurst: integer(1000, 1, MOST_AUTO_CREATED),
  autoCreatePerSecond: integer(100, 0, MOST_AUTO_CREATED),
  autoCreateSubscriptionGroup: boolean(true),
  autoCreateTopicEnable: boolean(true),
  bindAddress: host("127.0.0.1"),
  brokerAccess: choice<"loopback" | "any">("loopback", "any"),
  brokerClusterName: name("DefaultCluster"),
  brokerIP1: host("127.0.0.1"),
  brokerIP2: host("127.0.0.1"),
  brokerId: option("0", "0: there are no replicas", (given) => (given === "0" ? 0 : undefined)),
  brokerName: name(nameOfHost()),
  brokerPermission: option("6", "2 (write), 4 (read) or 6 (both)", (given) =>
    [2, 4, 6].find((one) => String(one) === given),
  ),
  brokerRole: option("ASYNC_MASTER", "ASYNC_MASTER: there are no replicas to wait for, nor to be one", (given) =>
    given === "ASYNC_MASTER" ? given : undefined,
  ),
  brokerTopicEnable: boolean(true),
  channelExpiredTimeout: integer(120_000, 1),
  cleanFileForciblyEnable: boolean(true),
  clearRetryTopicWhenDeleteTopic: boolean(true),
  clusterTopicEnable: boolean(true),
  configBlackList: text("configBlackList;brokerConfigPath"),
  defaultQueryMaxNum: integer(32, 1, 65_536),
  defaultTopicQueueNums: integer(8, 1),
  deleteWhen: hours("04"),
  diskMaxUsedSpaceRatio: integer(75, 1, 100),
  diskSpaceCleanForciblyRatio: integer(85, 1, 100),
  enableCreateSysGroup: boolean(true),
  enableMixedMessageType: boolean(false),
  enableSplitMetadata: boolean(true),
  enabledAppendPropCRC: boolean(false),
  fileReservedTime: integer(72, 0, 1_000_000),
  flushDiskType: choice<"ASYNC_FLUSH" | "SYNC_FLUSH">("ASYNC_FLUSH", "SYNC_FLUSH"),
  flushIntervalCommitLog: integer(500, 1, 3_600_000),
  haListenPort: port(10_912),
  listenPort: port(10_911, 3),
  litePullMessageEnable: boolean(true),
  logLevel: choice<"debug" | "info" | "warn" | "error">("info", "debug", "warn", "error"),
  longPollingEnable: boolean(true),
  mappedFileSizeCommitLog: integer(1_073_741_824, 1024),
  mappedFileSizeConsumeQueue: integer(6_000_000, 20),
  maxAutoCreated: integer(20_000, 0, MOST_AUTO_CREATED),
  maxHashSlotNum: integer(5_000_000, 1, 100_000_000),
  maxHeldPulls: integer(100_000, 0),
  maxIndexNum: integer(20_000_000, 2, 100_000_000),
  maxMessageSize: integer(4_194_304, 1, MAX_TRANSFER_BYTES),
  maxTransferBytesOnMessageInMemory: integer(262_144, 1, MAX_TRANSFER_BYTES),
  maxTransferCountOnMessageInMemory: integer(32, 1, 65_536),
  messageDelayLevel: delayLevels("1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"),
  messageIndexEnable: boolean(true),
  msgTraceTopicName: name("RMQ_SYS_TRACE_TOPIC"),
  nameServerEnable: boolean(true),
  nameServerListenPort: port(9876, 0),
  namesrvAddr: addresses(),
  notifyConsumerIdsChangedEnable: boolean(true),
  regionId: text("DefaultRegion"),
  registerBrokerTimeoutMills: integer(24_000, 1),
  registerNameServerPeriod: integer(30_000, 1),
  rejectPullConsumerEnable: boolean(false),
  reviveQueueNum: integer(8, 1),
  serverChannelMaxIdleTimeSeconds: integer(120, 1),
  shortPollingTimeMills: integer(1000, 1),
  splitMetadataSize: integer(2000, 1),
  startAcceptSendRequestTimeStamp: integer(0, 0, Number.MAX_SAFE_INTEGER),
  storePathRootDir: text(join(homedir(), "store")),
  subscriptionExpiredTimeout: integer(600_000, 1),
  syncFlushTimeout: integer(5000, 1),
  traceOn: boolean(true),
  traceTopicEnable: boolean(false),
  useServerSideResetOffset: boolean(true),
  validateSystemTopicWhenUpdateTopic: boolean(true),
};

const schema = z.object(shape);

/** Names of all options that mean something here, in order. */
export const OPTION_NAMES: readonly (keyof BrokerConfig)[] = Object.keys(shape) as (keyof BrokerConfig)[];

const NAMES: ReadonlySet<string> = new Set(OPTION_NAMES);

export function isOption(key: string): key is keyof BrokerConfig {
  return NAMES.has(key);
}

/** Values of options from their texts; those that are not there have their defaults. Throws ConfigurationError, for all at once. */
export function readOptions(texts: Readonly<Record<string, string>>): BrokerConfig {
  // The second address is the first one, where nobody says otherwise.
  const { brokerIP1 } = texts;
  const given = brokerIP1 === undefined ? texts : { brokerIP2: brokerIP1, ...texts };
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const sentences = result.error.issues.map(({ path, message }) => {
    const key = String(path[0]);
    return `option ${key} is ${shown(given[key])}; ${message}`;
  });
  throw new ConfigurationError("invalid", sentences.join("\n"));
}

/** The addresses in a list of name servers; undefined where it is none. */
export function addressList(list: string): string[] | undefined {
  const found = list.split(/[;,]/).map((address) => address.trim());
  const named = found.filter((address) => address !== "");
  const areRight = named.every((address) => {
    const [, port] = ADDRESS.exec(address) ?? [];
    return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
  });
  return areRight ? named : undefined;
}

const SHOWN_CHARACTERS = 64;

function shown(value: string | undefined): string {
  if (value === undefined) return "missing";
  return JSON.stringify(value.length <= SHOWN_CHARACTERS ? value : `${value.slice(0, SHOWN_CHARACTERS)}…`);
}
