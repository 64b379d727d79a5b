import type { DataVersion } from "../protocol/bodies/data-version.ts";
import { sameDataVersion } from "../protocol/bodies/data-version.ts";
import type { RegisterBrokerBody } from "../protocol/bodies/register-broker.ts";
import type { BrokerData, BrokerMemberGroup, ClusterInfo, QueueData } from "../protocol/bodies/route.ts";
import type { TopicConfig } from "../protocol/bodies/topic-config.ts";
import { ResponseCode } from "../protocol/codes.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Connection } from "../transport/connection.ts";
import { type LiveBroker, LiveBrokers } from "./live-brokers.ts";
import { TopicQueues, withoutWrite } from "./topic-queues.ts";

export const MASTER_ID = 0;
const DEFAULT_TIMEOUT_MS = 120_000;
/** More than any cluster has. Whoever can reach the port can register: what that takes is bounded. */
const MAX_TOPICS = 1_000_000;
const MAX_BROKERS = 10_000;

/** Who registers, by the header of the request. */
export interface BrokerIdentity {
  readonly cluster: string;
  readonly brokerName: string;
  readonly brokerId: number;
  readonly address: string;
}

export interface BrokerRegistration extends BrokerIdentity {
  readonly haServerAddr: string;
  readonly zoneName: string | undefined;
  readonly timeoutMs: number | undefined;
  /** Undefined: the broker is too old to say so. */
  readonly enableActingMaster: boolean | undefined;
  readonly body: RegisterBrokerBody;
  readonly connection: Connection;
}

/** What a slave is told. */
export interface RegistrationResult {
  readonly haServerAddr?: string;
  readonly masterAddr?: string;
}

export interface RegistryOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Whether topics that a full registration lacks are taken off the broker. */
  readonly deleteMissingTopics: () => boolean;
  /** A broker is gone without having said so. */
  readonly onLost?: (broker: LiveBroker, reason: string) => void;
}

interface BrokerEntry {
  readonly cluster: string;
  readonly brokerName: string;
  readonly addresses: Map<number, string>;
  zoneName: string | undefined;
  enableActingMaster: boolean;
}

/** All that brokers have told: which there are, where, and with which topics. In memory alone: they tell it again. */
export class Registry {
  readonly topics: TopicQueues = new TopicQueues();
  readonly live: LiveBrokers;
  readonly #options: RegistryOptions;
  readonly #brokers: Map<string, BrokerEntry> = new Map();
  readonly #clusters: Map<string, Set<string>> = new Map();
  /** By cluster and address. */
  readonly #filterServers: Map<string, readonly string[]> = new Map();
  /** By topic and broker name, of static topics. */
  readonly #queueMappings: Map<string, Map<string, unknown>> = new Map();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.live = new LiveBrokers(options.now, (broker, reason) => {
      this.#remove(broker);
      options.onLost?.(broker, reason);
    });
  }

  /** Throws a `RequestError` if the broker may not register so. */
  register(registration: BrokerRegistration): RegistrationResult {
    const { cluster, brokerName, brokerId, address, body, enableActingMaster } = registration;
    this.#checkRoom(brokerName, body);
    this.#join(cluster, brokerName);
    let first = !this.#brokers.has(brokerName);
    const broker = this.#entry(cluster, brokerName);
    broker.enableActingMaster = enableActingMaster ?? false;
    broker.zoneName = registration.zoneName;
    // A slave that becomes the master leaves its old id.
    for (const [id, known] of broker.addresses) {
      if (known === address && id !== brokerId) broker.addresses.delete(id);
    }
    const before = broker.addresses.get(brokerId);
    if (before !== undefined && before !== address && this.#isNewer(cluster, before, body.dataVersion)) {
      this.live.delete(cluster, address);
      return {};
    }
    if (before === undefined && body.topicConfigTable.size === 1) {
      // A single topic is what a broker sends that it has made while this name server did not know the broker.
      this.#dropEmpty(broker);
      throw new RequestError(ResponseCode.SYSTEM_ERROR, "register broker failed");
    }
    broker.addresses.set(brokerId, address);
    first ||= before === undefined;
    const isMaster = brokerId === MASTER_ID;
    const isPrimeSlave = !isMaster && enableActingMaster !== undefined && brokerId === leastId(broker);
    if (isMaster || isPrimeSlave) this.#takeTopics(registration, first, isPrimeSlave && broker.enableActingMaster);
    this.#keepAlive(registration);
    return isMaster ? {} : this.#masterOf(broker);
  }

  unregister({ cluster, brokerName, brokerId, address }: BrokerIdentity): void {
    this.live.delete(cluster, address);
    this.#remove({ cluster, brokerName, brokerId, address });
  }

  /** Whether this is another data version than the one that the broker registered with, or it is not registered. */
  isChanged(cluster: string, address: string, version: DataVersion): boolean {
    const live = this.live.get(cluster, address);
    return live === undefined || !sameDataVersion(live.dataVersion, version);
  }

  /** Queue data that a broker tells of one topic; those of unknown brokers are left out. */
  registerTopic(topic: string, queueDatas: readonly QueueData[]): void {
    if (!this.topics.has(topic) && this.topics.size >= MAX_TOPICS) throw full("topics");
    for (const queues of queueDatas) {
      if (this.#brokers.has(queues.brokerName)) this.topics.put(topic, queues);
    }
  }

  /** Takes a topic off all brokers, or off those of a cluster. */
  deleteTopic(topic: string, cluster: string | undefined): void {
    if (cluster === undefined) this.topics.delete(topic);
    else for (const brokerName of this.#clusters.get(cluster) ?? []) this.topics.deleteOf(topic, brokerName);
    if (!this.topics.has(topic)) this.#queueMappings.delete(topic);
  }

  broker(brokerName: string): BrokerData | undefined {
    const broker = this.#brokers.get(brokerName);
    return broker === undefined ? undefined : dataOf(broker);
  }

  filterServers(cluster: string, address: string): readonly string[] | undefined {
    return this.#filterServers.get(`${cluster}\n${address}`);
  }

  queueMappings(topic: string): ReadonlyMap<string, unknown> | undefined {
    return this.#queueMappings.get(topic);
  }

  memberGroup(cluster: string, brokerName: string): BrokerMemberGroup {
    const brokerAddrs = this.broker(brokerName)?.brokerAddrs ?? new Map<number, string>();
    return { cluster, brokerName, brokerAddrs };
  }

  clusterInfo(): ClusterInfo {
    const brokers = sorted(this.#brokers.keys()).flatMap((name) => this.broker(name) ?? []);
    const clusters = sorted(this.#clusters.keys());
    return {
      brokerAddrTable: new Map(brokers.map((broker) => [broker.brokerName, broker])),
      clusterAddrTable: new Map(clusters.map((cluster) => [cluster, sorted(this.#clusters.get(cluster) ?? [])])),
    };
  }

  topicsOfCluster(cluster: string): string[] {
    return this.topics.ofBrokers(this.#clusters.get(cluster) ?? new Set());
  }

  stop(): void {
    this.live.stop();
  }

  #checkRoom(brokerName: string, { topicConfigTable }: RegisterBrokerBody): void {
    if (!this.#brokers.has(brokerName) && this.#brokers.size >= MAX_BROKERS) throw full("brokers");
    if (this.topics.size + topicConfigTable.size <= MAX_TOPICS) return;
    let added = 0;
    for (const topic of topicConfigTable.keys()) if (!this.topics.has(topic)) added++;
    if (this.topics.size + added > MAX_TOPICS) throw full("topics");
  }

  #join(cluster: string, brokerName: string): void {
    const names = this.#clusters.get(cluster);
    if (names === undefined) this.#clusters.set(cluster, new Set([brokerName]));
    else names.add(brokerName);
  }

  #entry(cluster: string, brokerName: string): BrokerEntry {
    let broker = this.#brokers.get(brokerName);
    if (broker === undefined) {
      broker = { cluster, brokerName, addresses: new Map(), zoneName: undefined, enableActingMaster: false };
      this.#brokers.set(brokerName, broker);
    }
    return broker;
  }

  /** Whether the process at this address has a later state than this version tells. */
  #isNewer(cluster: string, address: string, version: DataVersion): boolean {
    const live = this.live.get(cluster, address);
    return live !== undefined && live.dataVersion.stateVersion > version.stateVersion;
  }

  #takeTopics({ cluster, brokerName, address, body }: BrokerRegistration, first: boolean, readOnly: boolean): void {
    const changed = first || this.isChanged(cluster, address, body.dataVersion);
    const { topicConfigTable: topics, topicQueueMappingInfoMap: mappings } = body;
    if (this.#options.deleteMissingTopics() && mappings.size === 0) {
      for (const topic of this.topics.ofBrokers(new Set([brokerName]))) {
        if (!topics.has(topic)) this.topics.deleteOf(topic, brokerName);
      }
    }
    for (const [topic, config] of topics) {
      if (!changed && this.topics.get(topic, brokerName) !== undefined) continue;
      this.topics.put(topic, queuesOf(brokerName, config, readOnly));
    }
    if (changed) for (const [topic, info] of mappings) this.#takeMapping(topic, brokerName, info);
  }

  #takeMapping(topic: string, brokerName: string, info: unknown): void {
    const brokers = this.#queueMappings.get(topic) ?? new Map<string, unknown>();
    brokers.set(brokerName, info);
    this.#queueMappings.set(topic, brokers);
  }

  #keepAlive(registration: BrokerRegistration): void {
    const { cluster, brokerName, brokerId, address, haServerAddr, timeoutMs, body, connection } = registration;
    this.live.put({
      cluster,
      brokerName,
      brokerId,
      address,
      haServerAddr,
      dataVersion: body.dataVersion,
      timeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS,
      connection,
      lastUpdateAt: this.#options.now(),
    });
    const key = `${cluster}\n${address}`;
    if (body.filterServerList.length === 0) this.#filterServers.delete(key);
    else this.#filterServers.set(key, body.filterServerList);
  }

  #masterOf(broker: BrokerEntry): RegistrationResult {
    const masterAddr = broker.addresses.get(MASTER_ID);
    const master = masterAddr === undefined ? undefined : this.live.get(broker.cluster, masterAddr);
    return masterAddr === undefined || master === undefined ? {} : { haServerAddr: master.haServerAddr, masterAddr };
  }

  /** Takes an address out of all tables; a broker without any goes with its topics. */
  #remove({ cluster, brokerName, address }: BrokerIdentity): void {
    this.#filterServers.delete(`${cluster}\n${address}`);
    const broker = this.#brokers.get(brokerName);
    if (broker === undefined) return;
    let removed = false;
    for (const [id, known] of broker.addresses) {
      if (known === address) removed = broker.addresses.delete(id) || removed;
    }
    if (broker.addresses.size === 0) this.#dropEmpty(broker);
    else if (removed && broker.enableActingMaster && !broker.addresses.has(MASTER_ID)) {
      this.topics.changePermission(brokerName, withoutWrite);
    }
  }

  #dropEmpty(broker: BrokerEntry): void {
    if (broker.addresses.size > 0) return;
    this.#brokers.delete(broker.brokerName);
    this.topics.deleteBroker(broker.brokerName);
    for (const [topic, brokers] of this.#queueMappings) {
      if (brokers.delete(broker.brokerName) && brokers.size === 0) this.#queueMappings.delete(topic);
    }
    // A broker that changed its cluster may stand in two.
    for (const [cluster, names] of this.#clusters) {
      if (names.delete(broker.brokerName) && names.size === 0) this.#clusters.delete(cluster);
    }
  }
}

function full(what: string): RequestError {
  return new RequestError(ResponseCode.SYSTEM_ERROR, `this name server has as many ${what} as it takes`);
}

function queuesOf(brokerName: string, config: TopicConfig, readOnly: boolean): QueueData {
  const { readQueueNums, writeQueueNums, perm, topicSysFlag } = config;
  return { brokerName, readQueueNums, writeQueueNums, perm: readOnly ? withoutWrite(perm) : perm, topicSysFlag };
}

function dataOf({ cluster, brokerName, addresses, zoneName, enableActingMaster }: BrokerEntry): BrokerData {
  return { cluster, brokerName, brokerAddrs: new Map(addresses), zoneName, enableActingMaster };
}

export function leastId({ addresses }: { readonly addresses: ReadonlyMap<number, string> }): number {
  return Math.min(...addresses.keys());
}

function sorted(names: Iterable<string>): string[] {
  return [...names].sort();
}
