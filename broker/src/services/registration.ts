/** Tells name servers where this broker is and what topics it has, so that clients find it. */
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import { type DataVersion, sameDataVersion } from "../protocol/bodies/data-version.ts";
import { readKVTable } from "../protocol/bodies/kv-table.ts";
import { bodyChecksum, printRegisterBroker } from "../protocol/bodies/register-broker.ts";
import type { TopicConfig } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { FieldValues } from "../protocol/command.ts";
import { printBody } from "../protocol/json.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Answer } from "../transport/client.ts";
import { permissionWithin } from "./broker-permission.ts";

/** What it needs of a client (`RemotingClient`). */
export interface Invoker {
  invoke(
    address: string,
    code: number,
    ext: FieldValues,
    body: Uint8Array | undefined,
    timeoutMs: number,
  ): Promise<Answer>;
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
/** After a failure it is tried again so soon, then after twice that time, and so on. */
const FIRST_RETRY_MS = 1000;
/** Who has made a topic waits no longer than this for name servers to know of it. */
const CHANGE_TIMEOUT_MS = 3000;
const UNREGISTER_TIMEOUT_MS = 3000;
/**
 * Of so many renewals one is made in full, the others only ask whether there is anything new to tell: the order of topics is told to
 * those who register alone.
 */
const FULL_RENEWALS = 10;
/** Of one registration, about: a frame takes 16 MiB. */
const PART_BYTES = 4_194_304;

/** A name server that could not be told. */
interface Failure {
  readonly reason: string;
  /** Until it is tried again. */
  readonly waitMs: number;
  readonly timer: NodeJS.Timeout;
}

export class Registration {
  readonly #parts: RegistrationParts;
  /** By address. */
  readonly #failures: Map<string, Failure> = new Map();
  /**
   * By address, the connection of the last registration in full. A name server takes the broker for gone when the connection that
   * it registered over ends, which may be long after the broker has another one: over that it registers in full, and asks only then.
   */
  readonly #connections: Map<string, number> = new Map();
  /** The version of the last registration. */
  #told: DataVersion | undefined;
  #timer: NodeJS.Timeout | undefined;
  #renewals = 0;
  #unlisten: () => void = () => {};
  #isStopped = false;

  constructor(parts: RegistrationParts) {
    this.#parts = parts;
  }

  /** Registers, again and again from then on. Resolves when all name servers have answered or failed; never rejects. */
  async start(): Promise<void> {
    this.#unlisten = this.#parts.topics.onChange((topics) => this.changed(topics));
    await this.#registerAtAll(false, this.#parts.config.registerBrokerTimeoutMills);
    this.#scheduleNext();
  }

  /** Why the last attempt at a name server has failed; undefined where it has not. */
  failure(server: string): string | undefined {
    return this.#failures.get(server)?.reason;
  }

  /**
   * Tells of topics that have changed, or of all, where it is not they that have changed. Never rejects. A name server that
   * failed before is not waited for: it is told all once it can be.
   */
  async changed(topics?: readonly string[]): Promise<void> {
    if (this.#isStopped) return;
    const changed = topics?.map((topic) => this.#parts.topics.get(topic)).filter((topic) => topic !== undefined);
    if (changed?.length === 0) return;
    // A name server takes what has another version than it knows, and changes that were written together have one.
    if (topics === undefined || this.#isTold()) this.#parts.topics.touch();
    if (changed === undefined) {
      await this.#registerAtAll(false, CHANGE_TIMEOUT_MS);
      return;
    }
    const request = this.#request(changed);
    await Promise.all(this.#healthy().map((server) => this.#tell(server, request)));
  }

  /** Takes the broker out. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#unlisten();
    for (const { timer } of this.#failures.values()) clearTimeout(timer);
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

  get #periodMs(): number {
    const { registerNameServerPeriod } = this.#parts.config;
    return Math.min(Math.max(registerNameServerPeriod, SHORTEST_PERIOD_MS), LONGEST_PERIOD_MS);
  }

  #scheduleNext(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#registerAgain(), this.#periodMs);
    this.#timer.unref();
  }

  async #registerAgain(): Promise<void> {
    this.#renewals++;
    const mayAsk = this.#renewals % FULL_RENEWALS !== 0;
    await this.#registerAtAll(mayAsk, this.#parts.config.registerBrokerTimeoutMills);
    this.#scheduleNext();
  }

  /** Those of which none is tried again by itself. */
  #healthy(): string[] {
    const servers = this.#parts.nameServers();
    for (const [server, { timer }] of this.#failures) {
      if (servers.includes(server)) continue;
      clearTimeout(timer);
      this.#failures.delete(server);
    }
    return servers.filter((server) => !this.#failures.has(server));
  }

  async #registerAtAll(mayAsk: boolean, timeoutMs: number): Promise<void> {
    await Promise.all(this.#healthy().map((server) => this.#registerAt(server, mayAsk, timeoutMs)));
  }

  /** With some topics, of a broker that the name server knows. */
  async #tell(server: string, request: RegisterRequest): Promise<void> {
    const { client } = this.#parts;
    try {
      const { ext, body } = request;
      const answer = await client.invoke(server, RequestCode.REGISTER_BROKER, ext, body, CHANGE_TIMEOUT_MS);
      const isTaken = answer.code === ResponseCode.SUCCESS && answer.connection === this.#connections.get(server);
      if (isTaken) this.#takeOrders(answer.body);
      // One that does not know the broker takes no part of its topics, or takes it for the whole.
      else await this.#registerAt(server, false, CHANGE_TIMEOUT_MS);
    } catch (error) {
      this.#failed(server, error as Error);
    }
  }

  /** With all topics, unless the name server knows them, where that may be asked. */
  async #registerAt(server: string, mayAsk: boolean, timeoutMs: number): Promise<void> {
    const { log } = this.#parts;
    try {
      // Megabytes each time, where a question does.
      if (!mayAsk || !(await this.#isKnown(server, timeoutMs))) await this.#tellAll(server, timeoutMs);
      if (this.#isStopped) return;
      const failure = this.#failures.get(server);
      if (failure === undefined) return;
      clearTimeout(failure.timer);
      this.#failures.delete(server);
      log.info({ server }, "registered at the name server again");
    } catch (error) {
      this.#failed(server, error as Error);
    }
  }

  /** In as many requests as the topics need. */
  async #tellAll(server: string, timeoutMs: number): Promise<void> {
    const { client, topics } = this.#parts;
    const all = inParts(topics.all());
    let connection: number | undefined;
    for (const [index, part] of all.entries()) {
      if (this.#isStopped) return;
      // Each has a version of its own, as the name server takes nothing of one that it knows; the last has the true one.
      const { ext, body } = this.#request(part, all.length - 1 - index);
      const answer = await client.invoke(server, RequestCode.REGISTER_BROKER, ext, body, timeoutMs);
      if (answer.code !== ResponseCode.SUCCESS) {
        throw new Error(`code ${answer.code}: ${answer.remark ?? "without a reason"}`);
      }
      // With the one before, the parts before may be gone.
      connection ??= answer.connection;
      if (answer.connection !== connection) throw new Error("the connection was lost between two parts");
      this.#takeOrders(answer.body);
    }
    if (connection !== undefined) this.#connections.set(server, connection);
  }

  /** Whether the name server knows all that there is to tell, by the connection that is asked over; asking is a sign of life. */
  async #isKnown(server: string, timeoutMs: number): Promise<boolean> {
    const { client, topics } = this.#parts;
    const body = printBody(topics.version);
    const answer = await client.invoke(server, RequestCode.QUERY_DATA_VERSION, this.#identity(), body, timeoutMs);
    if (answer.connection !== this.#connections.get(server)) return false;
    return answer.code === ResponseCode.SUCCESS && answer.ext.changed === "false";
  }

  /** A name server that could not be told takes the broker for gone, perhaps: it is told all as soon as it can be. */
  #failed(server: string, error: Error): void {
    const before = this.#failures.get(server);
    clearTimeout(before?.timer);
    const { config, log } = this.#parts;
    const waitMs = before === undefined ? FIRST_RETRY_MS : Math.min(2 * before.waitMs, this.#periodMs);
    const retry = () => void this.#registerAt(server, false, config.registerBrokerTimeoutMills);
    const timer = setTimeout(retry, waitMs).unref();
    if (this.#isStopped || !this.#parts.nameServers().includes(server)) clearTimeout(timer);
    this.#failures.set(server, { reason: error.message, waitMs, timer });
    if (before?.reason === error.message || this.#isStopped) return;
    log.warn({ err: error, server }, "the broker could not be registered at the name server; it is tried again");
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

  /** `following`: how many more there are of the same registration. */
  #request(topics: Iterable<TopicConfig>, following = 0): RegisterRequest {
    const { config, topics: table } = this.#parts;
    const { version } = table;
    this.#told = version;
    const dataVersion = following === 0 ? version : { ...version, counter: -following };
    const topicConfigTable = new Map<string, TopicConfig>();
    for (const topic of topics) {
      topicConfigTable.set(topic.topicName, { ...topic, perm: permissionWithin(config, topic.perm) });
    }
    const body = printRegisterBroker({ dataVersion, topicConfigTable });
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

function inParts(topics: Iterable<TopicConfig>): TopicConfig[][] {
  let part: TopicConfig[] = [];
  const parts = [part];
  let bytes = 0;
  for (const topic of topics) {
    const own = printedBytes(topic);
    if (bytes + own > PART_BYTES && part.length > 1) {
      part = [];
      parts.push(part);
      bytes = 0;
    }
    part.push(topic);
    bytes += own;
  }
  return parts;
}

/** At most, about: keys and numbers, the name twice, and texts of which each character may be escaped. */
function printedBytes({ topicName, attributes }: TopicConfig): number {
  let bytes = 220 + 2 * topicName.length;
  for (const name in attributes) bytes += 6 * (name.length + (attributes[name]?.length ?? 0)) + 6;
  return bytes;
}
