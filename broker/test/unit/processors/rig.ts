/** A broker's parts over a real store in a directory of its own, and requests to its handlers without a socket. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Store } from "moraine";
import type { BrokerConfig } from "../../../src/config/broker-config.ts";
import { Configuration } from "../../../src/config/configuration.ts";
import type { Log } from "../../../src/log.ts";
import { maxBodyBytes } from "../../../src/protocol/body-limits.ts";
import type { Command, FieldValues, Response } from "../../../src/protocol/command.ts";
import { parseBody } from "../../../src/protocol/json.ts";
import { buildSubscription } from "../../../src/protocol/subscription.ts";
import { ConsumerRegistry } from "../../../src/services/consumers.ts";
import { ProducerRegistry } from "../../../src/services/producers.ts";
import { QueueLocks } from "../../../src/services/queue-locks.ts";
import { ReadGate } from "../../../src/services/read-gate.ts";
import { Statistics } from "../../../src/services/statistics.ts";
import { StoreHealth } from "../../../src/services/store-health.ts";
import { DelayOffsets } from "../../../src/tables/delay-offsets.ts";
import { GroupTable } from "../../../src/tables/group-table.ts";
import { OffsetTable } from "../../../src/tables/offset-table.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { TopicTable } from "../../../src/tables/topic-table.ts";
import type { Connection, Handlers, Hook } from "../../../src/transport/connection.ts";
import { Dispatcher } from "../../../src/transport/dispatcher.ts";

export interface Notice {
  readonly code: number;
  readonly ext: FieldValues;
  readonly body: string;
}

/** The end of a client's connection that the broker has. */
export class FakeConnection implements Connection {
  static #ids = 0;
  readonly id: number = ++FakeConnection.#ids;
  readonly remote: { address: string; port: number };
  readonly isSameMachine: boolean;
  isOpen = true;
  readonly notices: Notice[] = [];
  /** Answers the broker's requests. */
  answer: (code: number, ext: FieldValues, body: Uint8Array | undefined) => Promise<Command> | Command = () => {
    throw new Error("nobody answers here");
  };
  readonly #listeners: Set<() => void> = new Set();

  constructor(address: string = "127.0.0.1", port: number = 50_000 + FakeConnection.#ids) {
    this.remote = { address, port };
    this.isSameMachine = address.startsWith("127.");
  }

  /** What has to happen before large answers are read. */
  waiting: Promise<void> | undefined;

  writable(): Promise<void> | undefined {
    return this.waiting;
  }

  notify(code: number, ext: FieldValues = {}, body: Uint8Array = new Uint8Array(0)): void {
    this.notices.push({ code, ext, body: Buffer.from(body).toString("utf8") });
  }

  async invoke(code: number, ext: FieldValues, body: Uint8Array | undefined): Promise<Command> {
    return await this.answer(code, ext, body);
  }

  onClose(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.isOpen = false;
    for (const listener of [...this.#listeners]) listener();
  }
}

export interface Asked {
  readonly ext?: Readonly<Record<string, unknown>>;
  /** Printed as JSON, unless it is bytes. */
  readonly body?: unknown;
  readonly connection?: Connection;
  readonly language?: string;
}

export type Answer = Response & { readonly json: unknown; readonly text: string };

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export class Rig {
  readonly store: Store;
  readonly configuration: Configuration;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly offsets: OffsetTable;
  readonly producers: ProducerRegistry;
  readonly consumers: ConsumerRegistry;
  readonly locks: QueueLocks;
  readonly statistics: Statistics;
  readonly health: StoreHealth;
  readonly reads: ReadGate = new ReadGate();
  readonly delayOffsets: DelayOffsets;
  /** Lines of the log: level and sentence. */
  readonly lines: string[] = [];
  readonly log: Log = {
    ...silent,
    info: (_, sentence) => void this.lines.push(`info: ${sentence}`),
    warn: (_, sentence) => void this.lines.push(`warn: ${sentence}`),
    error: (_, sentence) => void this.lines.push(`error: ${sentence}`),
  };
  /** What handlers threw that no answer was meant for. */
  readonly failures: unknown[] = [];
  readonly connection: FakeConnection = new FakeConnection();
  readonly #directory: string;
  #dispatcher: Dispatcher | undefined;

  private constructor(directory: string, store: Store, given: Readonly<Record<string, string>>) {
    this.#directory = directory;
    this.store = store;
    this.health = new StoreHealth({ store, log: this.log });
    this.configuration = Configuration.load(
      { given: { brokerName: "broker-a", storePathRootDir: directory, ...given } },
      silent,
    );
    const { config } = this;
    this.groups = new GroupTable(store, { config });
    this.topics = new TopicTable(store, { config, groups: this.groups });
    this.offsets = new OffsetTable(store);
    const expiryMs = () => config.channelExpiredTimeout;
    this.producers = new ProducerRegistry({ expiryMs });
    this.consumers = new ConsumerRegistry({ expiryMs, subscriptionExpiryMs: () => config.subscriptionExpiredTimeout });
    this.locks = new QueueLocks();
    this.statistics = new Statistics({ clusterName: config.brokerClusterName, systemTopics: this.topics.system });
    this.delayOffsets = new DelayOffsets(store);
  }

  static async open(given: Readonly<Record<string, string>> = {}): Promise<Rig> {
    const directory = await mkdtemp(join(tmpdir(), "moraine-processors-"));
    const sizes = { segmentBytes: 1_048_576, queueFileEntries: 1000, indexSlots: 1000, indexEntries: 4000 };
    const store = await Store.open(directory, sizes);
    const rig = new Rig(directory, store, given);
    await Promise.all([rig.topics.ready, rig.groups.ready]);
    return rig;
  }

  get config(): BrokerConfig {
    return this.configuration.values;
  }

  /** Which handlers are asked, and hooks before them. */
  serve(handlers: Handlers, before: readonly Hook[] = []): void {
    const error = (facts: object) => void this.failures.push((facts as { err: unknown }).err);
    this.#dispatcher = new Dispatcher({ handlers, before, maxBodyBytes, log: { ...silent, error } });
  }

  async ask(
    code: number,
    { ext = {}, body, connection = this.connection, language = "JAVA" }: Asked = {},
  ): Promise<Answer> {
    const bytes = body instanceof Uint8Array ? body : Buffer.from(body === undefined ? "" : JSON.stringify(body));
    const request: Command = {
      code,
      language,
      version: 479,
      opaque: 1,
      flag: 0,
      remark: undefined,
      ext: Object.assign(Object.create(null), ext),
      body: bytes,
      serialization: "json",
    };
    const context = { connection, receivedAt: Date.now(), signal: new AbortController().signal };
    const response = await this.#dispatcher?.dispatch(request, context);
    if (response === undefined) throw new Error("no answer");
    const pieces = response.body === undefined ? [] : [response.body].flat();
    const all = Buffer.concat(pieces as Uint8Array[]);
    const text = all.toString("utf8");
    return { ...response, text, json: all.length > 0 && all[0] === 0x7b ? parseBody(all) : undefined };
  }

  /** A consumer that is online, with its subscriptions to all tags of topics. */
  consume(group: string, clientId: string, topics: readonly string[], version = 479): FakeConnection {
    const connection = new FakeConnection();
    const kind = {
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    } as const;
    const client = { connection, clientId, language: "JAVA", version };
    const subscriptions = topics.map((topic) => buildSubscription(topic, "*", undefined, 1));
    this.consumers.register(group, client, kind, subscriptions, true);
    return connection;
  }

  /** A topic with so many queues. */
  async topic(name: string, queues = 4): Promise<void> {
    await this.topics.put(topicConfig(name, queues));
  }

  /** Puts so many messages to a queue. */
  put(topic: string, queueId: number, count = 1): void {
    for (let i = 0; i < count; i++) this.store.put({ topic, queueId, tags: "A", body: Buffer.from(`message ${i}`) });
  }

  async close(): Promise<void> {
    this.producers.stop();
    this.consumers.stop();
    await this.store.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
