/** The groups of consumers that a broker knows, in RocketMQ's `config/subscriptionGroup.json`. */
import type { JsonValue, Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import type { DataVersion } from "../protocol/bodies/data-version.ts";
import { readSubscriptionGroupConfig, type SubscriptionGroupConfig } from "../protocol/bodies/subscription-group.ts";
import { isSystemGroup, SYSTEM_GROUPS } from "../protocol/names.ts";
import { ConfigTable } from "./config-table.ts";
import { CreationLimit } from "./creation-limit.ts";
import { groupConfig, writeGroupConfig } from "./group-config.ts";
import { integerAt, objectAt } from "./table-value.ts";

export interface GroupTableOptions {
  readonly config: BrokerConfig;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
  /** How many groups there may be. Default 100,000. */
  readonly maximum?: number | undefined;
  readonly log?: Log | undefined;
}

/** Bits of what a group may not do with a topic, by RocketMQ's numbers of permissions. */
export const Forbidden = { read: 4 } as const;

/** With the prefix of its topics it is still a topic. */
const GROUP = /^[%|\w-]{1,248}$/;
const FORBIDDEN_TABLE = "forbiddenTable";

export class GroupTable {
  readonly #config: BrokerConfig;
  readonly #table: ConfigTable<SubscriptionGroupConfig>;
  readonly #limit: CreationLimit;
  /** Bits of `Forbidden` by group and topic. */
  readonly #forbidden: Map<string, Map<string, number>>;
  /** Resolves when RocketMQ's own groups are on the disk. */
  readonly ready: Promise<void>;

  /** Reads the groups, and makes those of RocketMQ's own that are missing. Throws TableError, StoreError. */
  constructor(store: Store, { config, now = Date.now, maximum, log }: GroupTableOptions) {
    this.#config = config;
    this.#limit = new CreationLimit({ config, kind: "groups", log });
    this.#table = new ConfigTable(store, {
      table: "subscriptionGroup",
      part: "subscriptionGroupTable",
      read: (groupName, entry) => readSubscriptionGroupConfig({ ...entry, groupName }),
      write: writeGroupConfig,
      others: () => ({ [FORBIDDEN_TABLE]: this.forbiddenTable() }),
      now,
      maximum,
    });
    this.#forbidden = readForbidden(this.#table.other(FORBIDDEN_TABLE));
    const missing = SYSTEM_GROUPS.filter((group) => this.#table.get(group) === undefined);
    this.ready = Promise.all(missing.map((group) => this.#table.create(group, groupConfig(group)))).then(() => {});
    // A failure is told to whoever waits for it.
    this.ready.catch(() => {});
  }

  get(group: string): SubscriptionGroupConfig | undefined {
    return this.#table.get(group);
  }

  /** The group, made with defaults where there is none and the configuration allows it; undefined otherwise. */
  find(group: string): SubscriptionGroupConfig | undefined {
    const found = this.#table.get(group);
    if (found !== undefined) return found;
    const { autoCreateSubscriptionGroup, enableCreateSysGroup } = this.#config;
    const isAllowed = autoCreateSubscriptionGroup || (enableCreateSysGroup && isSystemGroup(group));
    if (!isAllowed || this.#table.isFull || !GROUP.test(group)) return undefined;
    if (this.#table.isCreating(group) || !this.#limit.take(this.#table.size)) return undefined;
    // It would be made again in the same way: nobody waits for the disk.
    this.#table.putBehind(group, groupConfig(group));
    return this.#table.get(group) ?? groupConfig(group);
  }

  all(): IterableIterator<SubscriptionGroupConfig> {
    return this.#table.all();
  }

  get version(): DataVersion {
    return this.#table.version;
  }

  /** Resolves with whether it has changed anything, once that is on the disk. */
  put(config: SubscriptionGroupConfig): Promise<boolean> {
    return this.#table.put(config.groupName, config);
  }

  /** Many at once, in one write. Resolves with those that have changed. */
  async putAll(configs: readonly SubscriptionGroupConfig[]): Promise<string[]> {
    const results = await Promise.all(configs.map((config) => this.put(config)));
    return configs.filter((_, i) => results[i]).map(({ groupName }) => groupName);
  }

  /** Removes a group, and what it was forbidden. Resolves with whether there was one, once that is on the disk. */
  delete(group: string): Promise<boolean> {
    this.#forbidden.delete(group);
    return this.#table.delete(group);
  }

  /** Bits of `Forbidden`. */
  forbidden(group: string, topic: string): number {
    return this.#forbidden.get(group)?.get(topic) ?? 0;
  }

  /** Resolves once it is on the disk. */
  async setForbidden(group: string, topic: string, bits: number): Promise<void> {
    if (this.forbidden(group, topic) === bits) return;
    const topics = this.#forbidden.get(group) ?? new Map<string, number>();
    if (bits === 0) topics.delete(topic);
    else topics.set(topic, bits);
    if (topics.size > 0) this.#forbidden.set(group, topics);
    else this.#forbidden.delete(group);
    this.#table.changed();
    await this.#table.persist();
  }

  /** Resolves when no change waits for the disk any more: before the store is closed. Rejects as `Table.flush`. */
  flush(): Promise<void> {
    return this.#table.flush();
  }

  /** What groups are forbidden, as it is written. */
  forbiddenTable(): { readonly [group: string]: { readonly [topic: string]: number } } {
    return Object.fromEntries([...this.#forbidden].map(([group, topics]) => [group, Object.fromEntries(topics)]));
  }
}

function readForbidden(table: JsonValue | undefined): Map<string, Map<string, number>> {
  const place = `config/subscriptionGroup.json → ${FORBIDDEN_TABLE}`;
  const groups = Object.entries(objectAt(place, table)).map(([group, value]): [string, Map<string, number>] => {
    const topics = Object.entries(objectAt(`${place} → ${group}`, value));
    return [group, new Map(topics.map(([topic, bits]) => [topic, integerAt(`${place} → ${group} → ${topic}`, bits)]))];
  });
  return new Map(groups);
}
