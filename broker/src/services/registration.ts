/** Tells name servers where this broker is and what topics it has, so that clients find it. */
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import { type DataVersion, sameDataVersion } from "../protocol/bodies/data-version.ts";
import { readKVTable } from "../protocol/bodies/kv-table.ts";
import { bodyChecksum, printRegisterBroker } from "../protocol/bodies/register-broker.ts";
import type { TopicConfig } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, FieldValues } from "../protocol/command.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import { permissionWithin } from "./broker-permission.ts";

/** What it needs of a client (`RemotingClient`). */
export interface Invoker {
  invoke(
    address: string,
    code: number,
    ext: FieldValues,
    body: Uint8Array | undefined,
    timeoutMs: number,
  ): Promise<Command>;
}

export interface RegistrationParts {
  readonly client: Invoker;
  /** Addresses of the name servers, `host:port`; asked for each time. */
  readonly nameServers: () => readonly string[];
  /** Address of this broker as clients reach it, `host:port`. */
  readonly address: string;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly log: Log;
}

/** Limits of the time between two registrations, as RocketMQ has them. */
const SHORTEST_PERIOD_MS = 10_000;
const LONGEST_PERIOD_MS = 60_000;
/** Who has made a topic waits no longer than this for name servers to know of it. */
const CHANGE_TIMEOUT_MS = 3000;
const UNREGISTER_TIMEOUT_MS = 3000;

export class Registration {
  readonly #parts: RegistrationParts;
  /** Why the last attempt at a name server has failed; undefined where it has not. */
  readonly #failures: Map<string, string> = new Map();
  /** The version of the last registration. */
  #told: DataVersion | undefined;
  #timer: NodeJS.Timeout | undefined;
  #unlisten: () => void = () => {};
  #isStopped = false;

  constructor(parts: RegistrationParts) {
    this.#parts = parts;
  }

  /** Registers, again and again from then on. Resolves when all name servers have answered or failed; never rejects. */
  async start(): Promise<void> {
    this.#unlisten = this.#parts.topics.onChange((topics) => this.changed(topics));
    await this.#register(undefined, this.#parts.config.registerBrokerTimeoutMills);
    this.#scheduleNext();
  }

  /** Tells of topics that have changed, or of all, where it is not they that have changed. Never rejects. */
  async changed(topics?: readonly string[]): Promise<void> {
    if (this.#isStopped) return;
    const changed = topics?.map((topic) => this.#parts.topics.get(topic)).filter((topic) => topic !== undefined);
    if (changed?.length === 0) return;
    // A name server takes what has another version than it knows, and changes that were written together have one.
    if (topics === undefined || this.#isTold()) this.#parts.topics.touch();
    await this.#register(changed, CHANGE_TIMEOUT_MS);
  }

  /** Takes the broker out. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#unlisten();
    const { client, nameServers, log } = this.#parts;
    const unregister = async (server: string): Promise<void> => {
      try {
        await client.invoke(server, RequestCode.UNREGISTER_BROKER, this.#identity(), undefined, UNREGISTER_TIMEOUT_MS);
      } catch (error) {
        // One that has not known of it for a while need not be told of again.
        if (!this.#failures.has(server)) log.warn({ err: error, server }, "the name server was not told of the end");
      }
    };
    await Promise.all(nameServers().map(unregister));
  }

  #scheduleNext(): void {
    if (this.#isStopped) return;
    const { registerNameServerPeriod } = this.#parts.config;
    const period = Math.min(Math.max(registerNameServerPeriod, SHORTEST_PERIOD_MS), LONGEST_PERIOD_MS);
    this.#timer = setTimeout(() => void this.#registerAgain(), period);
    this.#timer.unref();
  }

  async #registerAgain(): Promise<void> {
    await this.#register(undefined, this.#parts.config.registerBrokerTimeoutMills);
    this.#scheduleNext();
  }

  /** With all topics, or with some. */
  async #register(some: readonly TopicConfig[] | undefined, timeoutMs: number): Promise<void> {
    const servers = this.#parts.nameServers();
    for (const server of [...this.#failures.keys()]) if (!servers.includes(server)) this.#failures.delete(server);
    const request = this.#request(some ?? this.#parts.topics.all());
    await Promise.all(servers.map((server) => this.#registerAt(server, request, timeoutMs, some !== undefined)));
  }

  async #registerAt(server: string, request: RegisterRequest, timeoutMs: number, isPart: boolean): Promise<void> {
    const { client, log } = this.#parts;
    try {
      const answer = await client.invoke(server, RequestCode.REGISTER_BROKER, request.ext, request.body, timeoutMs);
      if (answer.code !== ResponseCode.SUCCESS) {
        // A name server that does not know the broker takes no part of its topics.
        if (isPart) return await this.#registerAt(server, this.#request(this.#parts.topics.all()), timeoutMs, false);
        throw new Error(`code ${answer.code}: ${answer.remark ?? "without a reason"}`);
      }
      if (this.#failures.delete(server)) log.info({ server }, "registered at the name server again");
      this.#takeOrders(answer.body);
    } catch (error) {
      const reason = (error as Error).message;
      if (this.#failures.get(server) === reason) return;
      this.#failures.set(server, reason);
      log.warn({ err: error, server }, "the broker could not be registered at the name server; it is tried again");
    }
  }

  /** Topics that a name server has an order of queues for are topics in order. */
  #takeOrders(body: Uint8Array): void {
    const { topics, log } = this.#parts;
    for (const topic of readKVTable(body).keys()) {
      const config = topics.get(topic);
      if (config === undefined || config.order) continue;
      topics.put({ ...config, order: true }).catch((error: unknown) => {
        log.error({ err: error, topic }, "the order of a topic could not be kept");
      });
    }
  }

  /** Whether a registration with the current version was made. */
  #isTold(): boolean {
    return this.#told !== undefined && sameDataVersion(this.#told, this.#parts.topics.version);
  }

  #request(topics: Iterable<TopicConfig>): RegisterRequest {
    const { config, topics: table } = this.#parts;
    this.#told = table.version;
    const topicConfigTable = new Map<string, TopicConfig>();
    for (const topic of topics) {
      topicConfigTable.set(topic.topicName, { ...topic, perm: permissionWithin(config, topic.perm) });
    }
    const body = printRegisterBroker({ dataVersion: table.version, topicConfigTable });
    const ext = {
      ...this.#identity(),
      haServerAddr: `${config.brokerIP2}:${config.haListenPort}`,
      enableActingMaster: false,
      compressed: false,
      bodyCrc32: bodyChecksum(body),
    };
    return { ext, body };
  }

  #identity(): FieldValues {
    const { config, address } = this.#parts;
    const { brokerName, brokerClusterName, brokerId } = config;
    return { brokerName, brokerAddr: address, clusterName: brokerClusterName, brokerId };
  }
}

interface RegisterRequest {
  readonly ext: FieldValues;
  readonly body: Uint8Array;
}
