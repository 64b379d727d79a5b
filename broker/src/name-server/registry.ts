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
/** More than any cluster has. Whoever may register may do so as often as he likes: what that takes is bounded. */
const MAX_QUEUE_DATAS = 1_000_000;
const MAX_BROKERS = 10_000;
/** Master and slaves of one name. */
const MAX_ADDRESSES = 64;
const MAX_FILTER_SERVERS = 64;
const MAX_NAME_LENGTH = 255;
/** A name of 255 characters may stand behind `%RETRY%`, or a namespace. */
const MAX_TOPIC_LENGTH = 512;

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
  /** Milliseconds of a clock that only goes forward. */
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
  /** Brokers that have come into a cluster, or gone out of one. */
  #moves = 0;
  /** By cluster and address. */
  readonly #filterServers: Map<string, readonly string[]> = new Map();

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
    checkNames(registration);
    this.#checkRoom(registration);
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
    if (before !== undefined && before !== address) {
      // Whoever was there has been succeeded: its end is nobody's any more.
      this.live.delete(cluster, before);
      this.#filterServers.delete(`${cluster}\n${before}`);
    }
    this.#join(cluster, brokerName);
    broker.addresses.set(brokerId, address);
    first ||= before === undefined;
    const isMaster = brokerId === MASTER_ID;
    const isPrimeSlave = !isMaster && enableActingMaster !== undefined && brokerId === leastOf(broker.addresses.keys());
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
    checkLength("a topic's name", topic, MAX_TOPIC_LENGTH);
    for (const queues of queueDatas) {
      const isKnown = this.topics.get(topic, queues.brokerName) !== undefined;
      if (!isKnown && this.topics.queueDatas >= MAX_QUEUE_DATAS) throw full("topics");
      if (this.#brokers.has(queues.brokerName)) this.topics.put(topic, queues);
    }
  }

  /** Takes a topic off all brokers, or off those of a cluster. */
  deleteTopic(topic: string, cluster: string | undefined): void {
    if (cluster === undefined) this.topics.delete(topic);
    else for (const brokerName of this.#clusters.get(cluster) ?? []) this.topics.deleteOf(topic, brokerName);
  }

  broker(brokerName: string): BrokerData | undefined {
    const broker = this.#brokers.get(brokerName);
    return broker === undefined ? undefined : dataOf(broker);
  }

  filterServers(cluster: string, address: string): readonly string[] | undefined {
    return this.#filterServers.get(`${cluster}\n${address}`);
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

  /** Another one whenever a list of topics may be. */
  get version(): number {
    return this.topics.version + this.#moves;
  }

  hasCluster(cluster: string): boolean {
    return this.#clusters.has(cluster);
  }

  topicsOfCluster(cluster: string): string[] {
    return this.topics.ofBrokers(this.#clusters.get(cluster) ?? new Set());
  }

  stop(): void {
    this.live.stop();
  }

  #checkRoom({ cluster, brokerName, brokerId, body }: BrokerRegistration): void {
    const broker = this.#brokers.get(brokerName);
    if (broker === undefined) {
      if (this.#brokers.size >= MAX_BROKERS) throw full("brokers");
    } else {
      const { addresses } = broker;
      if (addresses.size >= MAX_ADDRESSES && !addresses.has(brokerId)) throw full("addresses of a broker");
      // A broker that changes its cluster stands in both until it is gone: in two, not in any number of them.
      const joined = this.#clusters.get(cluster)?.has(brokerName) ?? false;
      if (!joined && this.#clustersOf(brokerName) >= 2) throw full("clusters of a broker");
    }
    const { topicConfigTable } = body;
    if (this.topics.queueDatas + topicConfigTable.size <= MAX_QUEUE_DATAS) return;
    let added = 0;
    for (const topic of topicConfigTable.keys()) if (this.topics.get(topic, brokerName) === undefined) added++;
    if (this.topics.queueDatas + added > MAX_QUEUE_DATAS) throw full("topics");
  }

  #clustersOf(brokerName: string): number {
    let count = 0;
    for (const names of this.#clusters.values()) if (names.has(brokerName)) count++;
    return count;
  }

  #join(cluster: string, brokerName: string): void {
    const names = this.#clusters.get(cluster);
    if (names?.has(brokerName)) return;
    this.#moves++;
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
    const { topicConfigTable: topics, staticTopics } = body;
    if (this.#options.deleteMissingTopics() && staticTopics.size === 0) {
      for (const topic of this.topics.ofBrokers(new Set([brokerName]))) {
        if (!topics.has(topic)) this.topics.deleteOf(topic, brokerName);
      }
    }
    for (const [topic, config] of topics) {
      // Without their mapping, which is not kept here, clients would take them for others.
      if (staticTopics.has(topic)) continue;
      if (!changed && this.topics.get(topic, brokerName) !== undefined) continue;
      this.topics.put(topic, queuesOf(brokerName, config, readOnly));
    }
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
    // A broker that changed its cluster may stand in two.
    for (const [cluster, names] of this.#clusters) {
      if (!names.delete(broker.brokerName)) continue;
      this.#moves++;
      if (names.size === 0) this.#clusters.delete(cluster);
    }
  }
}

function checkNames({ cluster, brokerName, address, haServerAddr, zoneName = "", body }: BrokerRegistration): void {
  for (const text of [cluster, brokerName, address, haServerAddr, zoneName]) {
    checkLength("a name or an address", text, MAX_NAME_LENGTH);
  }
  if (body.filterServerList.length > MAX_FILTER_SERVERS) throw full("filter servers of a broker");
  for (const server of body.filterServerList) checkLength("an address", server, MAX_NAME_LENGTH);
  for (const topic of body.topicConfigTable.keys()) checkLength("a topic's name", topic, MAX_TOPIC_LENGTH);
}

function checkLength(what: string, text: string, most: number): void {
  if (text.length <= most) return;
  const remark = `${what} has ${text.length} characters, and may have ${most}`;
  throw new RequestError(ResponseCode.SYSTEM_ERROR, remark);
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

export function leastOf(ids: Iterable<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (const id of ids) least = Math.min(least, id);
  return least;
}

function sorted(names: Iterable<string>): string[] {
  return [...names].sort();
}
