/** The topics of a broker, in RocketMQ's `config/topics.json`. */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import type { DataVersion } from "../protocol/bodies/data-version.ts";
import { Permission, readTopicConfig, type TopicConfig } from "../protocol/bodies/topic-config.ts";
import { groupOfTopic, SystemTopic } from "../protocol/names.ts";
import { ConfigTable } from "./config-table.ts";
import { CreationLimit } from "./creation-limit.ts";
import type { GroupTable } from "./group-table.ts";
import { systemTopics } from "./system-topics.ts";
import { READ_WRITE, topicConfig, writeTopicConfig } from "./topic-config.ts";

/** Told of topics that were made, changed or deleted, once that is on the disk; who changed them waits for it. */
export type TopicListener = (topics: readonly string[]) => void | Promise<void>;

export interface TopicTableOptions {
  readonly config: BrokerConfig;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
  /** How many topics there may be. Default 100,000. */
  readonly maximum?: number | undefined;
  /** Topics for retries and dead letters of these are made however many there are. */
  readonly groups?: Pick<GroupTable, "get"> | undefined;
  readonly log?: Log | undefined;
}

export class TopicTable {
  readonly #config: BrokerConfig;
  readonly #table: ConfigTable<TopicConfig>;
  readonly #limit: CreationLimit;
  readonly #groups: Pick<GroupTable, "get"> | undefined;
  readonly #system: ReadonlySet<string>;
  readonly #listeners: Set<TopicListener> = new Set();
  /** Resolves when the topics of the broker's own are on the disk. */
  readonly ready: Promise<void>;

  /** Reads the topics, and makes those of the broker's own that are missing. Throws TableError, StoreError. */
  constructor(store: Store, { config, now = Date.now, maximum, groups, log }: TopicTableOptions) {
    this.#config = config;
    this.#limit = new CreationLimit({ config, kind: "topics", log });
    this.#groups = groups;
    this.#table = new ConfigTable(store, {
      table: "topics",
      part: "topicConfigTable",
      read: (name, entry) => ({ ...readTopicConfig(entry, name), topicName: name }),
      write: writeTopicConfig,
      now,
      maximum,
    });
    const own = systemTopics(config);
    this.#system = new Set(own.map(({ topicName }) => topicName));
    this.ready = this.#makeOwn(own);
    // A failure is told to whoever waits for it.
    this.ready.catch(() => {});
  }

  get(topic: string): TopicConfig | undefined {
    return this.#table.get(topic);
  }

  all(): IterableIterator<TopicConfig> {
    return this.#table.all();
  }

  get version(): DataVersion {
    return this.#table.version;
  }

  /** The version goes on, as what is told of the topics has changed in another way than by them. */
  touch(): void {
    this.#table.changed();
  }

  /** Topics that the broker has made for itself. */
  get system(): ReadonlySet<string> {
    return this.#system;
  }

  /** Resolves with whether it has changed anything, once that is on the disk and those who listen know. */
  async put(config: TopicConfig): Promise<boolean> {
    const hasChanged = await this.#table.put(config.topicName, config);
    if (hasChanged) await this.#tell([config.topicName]);
    return hasChanged;
  }

  /** Many at once, in one write. Resolves with those that have changed. */
  async putAll(configs: readonly TopicConfig[]): Promise<string[]> {
    const results = await Promise.all(configs.map((config) => this.#table.put(config.topicName, config)));
    const changed = configs.filter((_, i) => results[i]).map(({ topicName }) => topicName);
    if (changed.length > 0) await this.#tell(changed);
    return changed;
  }

  /**
   * The topic, made if there is none. Resolves once it is on the disk; of many who make it at once, all get the same.
   * Rejects with RequestError where there are too many already.
   */
  async create(config: TopicConfig): Promise<TopicConfig> {
    const { topicName } = config;
    const found = this.#table.get(topicName);
    if (found !== undefined) return found;
    const created = await this.#table.create(topicName, config);
    if (created !== config) return created;
    await this.#tell([topicName]);
    // It may have been deleted while they were told.
    return this.get(topicName) ?? (await this.create(config));
  }

  /**
   * The topic to which somebody sends: as the default topic that they name allows, with at most so many queues. Undefined
   * where it allows none.
   */
  async createForSend(
    topic: string,
    defaultTopic: string,
    queues: number,
    topicSysFlag: number,
  ): Promise<TopicConfig | undefined> {
    if (defaultTopic === SystemTopic.DEFAULT && !this.#config.autoCreateTopicEnable) return this.get(topic);
    const model = this.get(defaultTopic);
    if (model === undefined || (model.perm & Permission.INHERIT) === 0) return this.get(topic);
    return await this.#createForClient(
      topicConfig(topic, Math.max(Math.min(queues, model.writeQueueNums), 0), {
        perm: model.perm & ~Permission.INHERIT,
        topicFilterType: model.topicFilterType,
        topicSysFlag,
      }),
    );
  }

  /**
   * The topic to which the broker itself puts, for retries and dead letters; where it is there, it may become one of messages in
   * order, and stays so: clients of a group that do not agree would have it written with each heartbeat.
   */
  async createForRetry(topic: string, queues: number, order = false, topicSysFlag = 0): Promise<TopicConfig> {
    const found = this.get(topic);
    if (found === undefined) return await this.#createForClient(topicConfig(topic, queues, { order, topicSysFlag }));
    if (!order || found.order) return found;
    const changed = { ...found, order };
    await this.put(changed);
    return changed;
  }

  /** Rejects with RequestError where too many are made. */
  async #createForClient(config: TopicConfig): Promise<TopicConfig> {
    const { topicName } = config;
    // Of many who have waited, the first makes it, and counts.
    for (let held = this.#table.held(topicName); held !== undefined; held = this.#table.held(topicName)) await held;
    const isThere = this.get(topicName) !== undefined || this.#table.isCreating(topicName);
    if (!isThere && !this.#isOfGroup(topicName)) this.#limit.check(this.#table.size);
    return await this.create(config);
  }

  /** Whether there is its group: without the topic, its messages would be tried again and again. Groups are limited themselves. */
  #isOfGroup(topic: string): boolean {
    const group = groupOfTopic(topic);
    return group !== topic && this.#groups?.get(group) !== undefined;
  }

  /**
   * Deletes a topic, if there is one, and what else is of it, by `removeRest`. Whoever makes it again meanwhile, as a client sends to
   * it, waits: what comes into it then would go with the rest. Resolves with whether there was one, when both are done.
   */
  async delete(topic: string, removeRest: () => Promise<unknown> = async () => {}): Promise<boolean> {
    let isGone = false;
    try {
      await this.#table.hold(topic, async () => {
        isGone = await this.#table.delete(topic);
        await removeRest();
      });
    } finally {
      if (isGone) await this.#tell([topic]);
    }
    return isGone;
  }

  /** Carries out `act` if there is no topic of this name; nobody makes one meanwhile. Resolves with whether it did. */
  async whileMissing(topic: string, act: () => Promise<unknown>): Promise<boolean> {
    return await this.#table.hold(topic, async () => {
      if (this.#table.get(topic) !== undefined) return false;
      await act();
      return true;
    });
  }

  /** Resolves when no change waits for the disk any more: before the store is closed. Rejects as `Table.flush`. */
  flush(): Promise<void> {
    return this.#table.flush();
  }

  /** Returns what ends it. */
  onChange(listener: TopicListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #makeOwn(topics: readonly TopicConfig[]): Promise<void> {
    const missing = topics.filter(({ topicName }) => this.#table.get(topicName) === undefined);
    const made = missing.map((topic) => this.#table.create(topic.topicName, topic));
    const model = this.#table.get(SystemTopic.DEFAULT);
    // Clients that learn of it by its route would go on sending to topics that are not made any more.
    const isOff = model !== undefined && !this.#config.autoCreateTopicEnable && model.perm !== READ_WRITE;
    if (isOff) this.#table.putBehind(SystemTopic.DEFAULT, { ...model, perm: READ_WRITE });
    await Promise.all(made);
    if (isOff) await this.#table.persist();
  }

  async #tell(topics: readonly string[]): Promise<void> {
    await Promise.all([...this.#listeners].map((listener) => listener(topics)));
  }
}
