/** The options of a broker as they come: from a file of RocketMQ's form and the command line, and from tools while it runs. */
import { readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { getProperties } from "properties-file";
import { PropertiesEditor } from "properties-file/editor";
import type { Log } from "../log.ts";
import { type DataVersion, firstVersion, nextVersion } from "../protocol/bodies/data-version.ts";
import type { BrokerConfig, ConfigurationView } from "./broker-config.ts";
import { ConfigurationError } from "./configuration-error.ts";
import { isOption, OPTION_NAMES, readOptions } from "./schema.ts";
import { UNUSED_OPTIONS } from "./unused-options.ts";

/** Read when the broker starts, and never again. */
const FIXED: ReadonlySet<keyof BrokerConfig> = new Set([
  "adminAccess",
  "bindAddress",
  "brokerAccess",
  "brokerClusterName",
  "brokerIP1",
  "brokerIP2",
  "brokerId",
  "brokerName",
  "brokerRole",
  "brokerTopicEnable",
  "cleanFileForciblyEnable",
  "clusterTopicEnable",
  "deleteWhen",
  "diskMaxUsedSpaceRatio",
  "diskSpaceCleanForciblyRatio",
  "enabledAppendPropCRC",
  "fileReservedTime",
  "flushDiskType",
  "flushIntervalCommitLog",
  "haListenPort",
  "listenPort",
  "logLevel",
  "mappedFileSizeCommitLog",
  "mappedFileSizeConsumeQueue",
  "maxHashSlotNum",
  "maxHeldPulls",
  "maxIndexNum",
  "maxMessageSize",
  "messageDelayLevel",
  "messageIndexEnable",
  "msgTraceTopicName",
  "nameServerEnable",
  "nameServerListenPort",
  "namesrvAddr",
  "reviveQueueNum",
  "serverChannelMaxIdleTimeSeconds",
  "storePathRootDir",
  "traceTopicEnable",
]);

/** What would be silently less safe, if it were passed over as other options that mean nothing here are: permissions, and copies. */
const PROTECTING: ReadonlySet<string> = new Set(["aclEnable", "authenticationEnabled", "authorizationEnabled"]);
const COPYING: ReadonlySet<string> = new Set([
  "allAckInSyncStateSet",
  "enableControllerMode",
  "enableDLegerCommitLog",
  "inSyncReplicas",
  "minInSyncReplicas",
  "totalReplicas",
]);

export interface ConfigurationSource {
  /** A file of `name=value` lines, as RocketMQ's broker.conf. */
  readonly file?: string | undefined;
  /** Options of the command line, which come before those of the file. */
  readonly given?: Readonly<Record<string, string>> | undefined;
}

export class Configuration implements ConfigurationView {
  readonly values: BrokerConfig;
  readonly #file: string | undefined;
  readonly #now: () => number;
  readonly #listeners: Set<(changed: readonly (keyof BrokerConfig)[]) => void> = new Set();
  #texts: Readonly<Record<string, string>>;
  #version: DataVersion;

  private constructor(file: string | undefined, texts: Readonly<Record<string, string>>, now: () => number) {
    this.values = readOptions(texts);
    this.#file = file;
    this.#texts = texts;
    this.#now = now;
    this.#version = firstVersion(now());
  }

  /** Throws ConfigurationError, which names everything that is wrong. Options that mean nothing here are logged. */
  static load({ file, given = {} }: ConfigurationSource, log: Log, now: () => number = Date.now): Configuration {
    const texts = { ...(file === undefined ? {} : readFile(file)), ...given };
    const configuration = new Configuration(file, texts, now);
    checkProtection(texts);
    checkLog(texts, configuration.values);
    warnOfOthers(texts, log);
    return configuration;
  }

  get version(): DataVersion {
    return this.#version;
  }

  text(): string {
    return [...OPTION_NAMES]
      .sort()
      .map((name) => `${name}=${this.values[name]}\n`)
      .join("");
  }

  update(properties: Readonly<Record<string, string>>): readonly (keyof BrokerConfig)[] {
    this.#checkChangeable(Object.keys(properties));
    const texts = { ...this.#texts, ...properties };
    const next = readOptions(texts);
    const changed = OPTION_NAMES.filter((name) => next[name] !== this.values[name]);
    if (this.#file !== undefined) writeFile(this.#file, properties);
    this.#texts = texts;
    Object.assign(this.values, next);
    this.#version = nextVersion(this.#version, this.#now());
    if (changed.length > 0) for (const listener of [...this.#listeners]) listener(changed);
    return changed;
  }

  /** Calls `listener` with the names of options after each change. Returns what ends it. */
  onChange(listener: (changed: readonly (keyof BrokerConfig)[]) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #checkChangeable(names: readonly string[]): void {
    const black = new Set(this.values.configBlackList.split(";").map((name) => name.trim()));
    for (const name of names) {
      if (black.has(name)) {
        throw new ConfigurationError("forbidden", `Can not update config in black list: ${name}`);
      }
      if (!isOption(name)) {
        const why = UNUSED_OPTIONS.has(name) ? "it means nothing to this broker" : "there is none of this name";
        throw new ConfigurationError("invalid", `option ${name} cannot be set; ${why}`);
      }
      if (FIXED.has(name)) {
        const right = "write it into the configuration file and start the broker again";
        throw new ConfigurationError("forbidden", `option ${name} is read when the broker starts; ${right}`);
      }
    }
  }
}

/** Options in the text of a file, or of a request that changes them. */
export function optionTexts(text: string): Record<string, string> {
  return getProperties(text);
}

function readFile(file: string): Record<string, string> {
  try {
    return optionTexts(readFileSync(file, "utf8"));
  } catch (cause) {
    const { message } = cause as Error;
    throw new ConfigurationError("invalid", `the configuration ${file} cannot be read: ${message}`, cause);
  }
}

/** Sets options in a file, and leaves everything else in it as it is. */
function writeFile(file: string, changes: Readonly<Record<string, string>>): void {
  try {
    // A link stays one, and who may read the file may read the next one.
    const target = realpathSync(file);
    const { mode } = statSync(target);
    const editor = new PropertiesEditor(readFileSync(target, "utf8"));
    for (const [name, value] of Object.entries(changes)) editor.upsert(name, value);
    const temporary = `${target}.tmp`;
    rmSync(temporary, { force: true });
    writeFileSync(temporary, editor.format(), { flush: true, mode });
    renameSync(temporary, target);
  } catch (cause) {
    const { message } = cause as Error;
    throw new ConfigurationError("invalid", `the configuration ${file} cannot be written: ${message}`, cause);
  }
}

function checkProtection(texts: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(texts)) {
    const value = text.trim();
    const isTrue = value.toLowerCase() === "true";
    if (PROTECTING.has(name) && isTrue) {
      const right = "take it out, and let only those reach the broker who may do everything";
      throw new ConfigurationError("invalid", `option ${name} is true, but this broker has no permissions; ${right}`);
    }
    if (COPYING.has(name) && (isTrue || Number(value) > 1)) {
      const right = "take it out if one copy will do";
      throw new ConfigurationError("invalid", `option ${name} is ${value}, but this broker has no replicas; ${right}`);
    }
  }
}

/** A store's log lies in its directory; with another place, a new store would be made beside the one that is meant. */
function checkLog(texts: Readonly<Record<string, string>>, { storePathRootDir }: BrokerConfig): void {
  const { storePathCommitLog } = texts;
  const place = join(storePathRootDir, "commitlog");
  if (storePathCommitLog === undefined || resolve(storePathCommitLog.trim()) === resolve(place)) return;
  throw new ConfigurationError(
    "invalid",
    `option storePathCommitLog is ${JSON.stringify(storePathCommitLog)}; the log of a store is in ${place}`,
  );
}

function warnOfOthers(texts: Readonly<Record<string, string>>, log: Log): void {
  for (const name of Object.keys(texts)) {
    if (isOption(name) || name === "storePathCommitLog") continue;
    if (UNUSED_OPTIONS.has(name)) log.warn({ option: name }, `option ${name} means nothing to this broker`);
    else log.warn({ option: name }, `option ${name} is not known; is it spelled right?`);
  }
}
