/** Routes (105), what REGISTER_TOPIC_IN_NAMESRV (217) brings, cluster lists (106) and broker groups (901). */
import {
  type Members,
  readBody,
  readBoolean,
  readEntries,
  readInt,
  readList,
  readMembers,
  readOptionalText,
  readText,
} from "./reading.ts";

export interface QueueData {
  readonly brokerName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  readonly perm: number;
  readonly topicSysFlag: number;
}

export interface BrokerData {
  readonly cluster: string;
  readonly brokerName: string;
  /** By broker id; 0 is the master. */
  readonly brokerAddrs: ReadonlyMap<number, string>;
  readonly zoneName: string | undefined;
  readonly enableActingMaster: boolean;
}

export interface TopicRouteData {
  readonly queueDatas: readonly QueueData[];
  readonly brokerDatas: readonly BrokerData[];
  /** By broker address. */
  readonly filterServerTable: ReadonlyMap<string, readonly string[]>;
  /** `brokerA:4;brokerB:4` for a strictly ordered topic. */
  readonly orderTopicConf?: string | undefined;
}

export interface ClusterInfo {
  readonly brokerAddrTable: ReadonlyMap<string, BrokerData>;
  readonly clusterAddrTable: ReadonlyMap<string, Iterable<string>>;
}

export interface BrokerMemberGroup {
  readonly cluster: string;
  readonly brokerName: string;
  readonly brokerAddrs: ReadonlyMap<number, string>;
}

export function readRoute(bytes: Uint8Array): TopicRouteData {
  const body = readBody(bytes);
  return {
    queueDatas: readList(body, "queueDatas", readQueueData),
    brokerDatas: readList(body, "brokerDatas", readBrokerData),
    filterServerTable: new Map(
      readEntries(body, "filterServerTable").map(([address, servers]) => [
        address,
        Array.isArray(servers) ? servers.map(String) : [],
      ]),
    ),
    orderTopicConf: readOptionalText(body, "orderTopicConf"),
  };
}

export function readQueueData(value: unknown): QueueData {
  const queues = readMembers(value, "queue data");
  return {
    brokerName: readText(queues, "brokerName"),
    readQueueNums: readInt(queues, "readQueueNums"),
    writeQueueNums: readInt(queues, "writeQueueNums"),
    perm: readInt(queues, "perm"),
    topicSysFlag: readInt(queues, "topicSysFlag"),
  };
}

export function readBrokerData(value: unknown): BrokerData {
  const broker = readMembers(value, "broker data");
  return {
    cluster: readOptionalText(broker, "cluster") ?? "",
    brokerName: readText(broker, "brokerName"),
    brokerAddrs: readBrokerAddresses(broker),
    zoneName: readOptionalText(broker, "zoneName"),
    enableActingMaster: readBoolean(broker, "enableActingMaster"),
  };
}

function readBrokerAddresses(members: Members): Map<number, string> {
  return new Map(readEntries(members, "brokerAddrs").map(([id, address]) => [Number(id), String(address)]));
}
