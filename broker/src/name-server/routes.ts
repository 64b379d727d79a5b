/** The route of a topic, as clients are told it. */
import type { BrokerData, QueueData, TopicRouteData } from "../protocol/bodies/route.ts";
import { Permission } from "../protocol/bodies/topic-config.ts";
import { leastOf, MASTER_ID, type Registry } from "./registry.ts";

const MEMBER_TOPIC_PREFIX = "rmq_sys_SYNC_BROKER_MEMBER_";

export interface RouteOptions {
  /** Queues of a strictly ordered topic, where such topics are on. */
  readonly orderTopicConf: string | undefined;
  /** Whether a slave stands in for a lost master. */
  readonly supportActingMaster: boolean;
  /** Only brokers of this zone, and those without a master. */
  readonly zoneName: string | undefined;
}

/** Brokers and queues in the order of their names; `undefined` if no broker has the topic. */
export function routeOf(registry: Registry, topic: string, options: RouteOptions): TopicRouteData | undefined {
  const queues = registry.topics.of(topic);
  const brokers = queues.flatMap(({ brokerName }) => registry.broker(brokerName) ?? []);
  if (brokers.length === 0) return undefined;
  const acting = options.supportActingMaster && !topic.startsWith(MEMBER_TOPIC_PREFIX);
  const brokerDatas = acting ? brokers.map((broker) => withActingMaster(broker, queues)) : brokers;
  const route: TopicRouteData = {
    queueDatas: queues,
    brokerDatas,
    filterServerTable: filterServersOf(registry, brokers),
    orderTopicConf: options.orderTopicConf,
  };
  return options.zoneName === undefined ? route : inZone(route, options.zoneName);
}

function filterServersOf(registry: Registry, brokers: readonly BrokerData[]): Map<string, readonly string[]> {
  const table = new Map<string, readonly string[]>();
  for (const { cluster, brokerAddrs } of brokers) {
    for (const address of brokerAddrs.values()) {
      const servers = registry.filterServers(cluster, address);
      if (servers !== undefined) table.set(address, servers);
    }
  }
  return table;
}

/** Without a master, the slave with the least id is shown in its place, once the topic cannot be written any more. */
function withActingMaster(broker: BrokerData, queues: readonly QueueData[]): BrokerData {
  const { brokerAddrs, brokerName, enableActingMaster } = broker;
  if (!enableActingMaster || brokerAddrs.size === 0 || brokerAddrs.has(MASTER_ID)) return broker;
  const own = queues.find((data) => data.brokerName === brokerName);
  if (own === undefined || (own.perm & Permission.WRITE) !== 0) return broker;
  const least = leastOf(brokerAddrs.keys());
  return {
    ...broker,
    brokerAddrs: new Map([...brokerAddrs].map(([id, address]) => [id === least ? MASTER_ID : id, address])),
  };
}

function inZone(route: TopicRouteData, zoneName: string): TopicRouteData {
  const wanted = zoneName.toLowerCase();
  const kept = route.brokerDatas.filter(
    (broker) => !broker.brokerAddrs.has(MASTER_ID) || broker.zoneName?.toLowerCase() === wanted,
  );
  const names = new Set(kept.map(({ brokerName }) => brokerName));
  const addresses = new Set(kept.flatMap(({ brokerAddrs }) => [...brokerAddrs.values()]));
  return {
    ...route,
    brokerDatas: kept,
    queueDatas: route.queueDatas.filter(({ brokerName }) => names.has(brokerName)),
    filterServerTable: new Map([...route.filterServerTable].filter(([address]) => addresses.has(address))),
  };
}
