/** What clients and tools ask: routes, lists of clusters and topics. */
import { answerJson } from "../protocol/answers.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { printBody } from "../protocol/json.ts";
import { RequestError } from "../protocol/request-error.ts";
import { Version } from "../protocol/versions.ts";
import type { Handler, Handlers } from "../transport/connection.ts";
import { type KVConfig, ORDER_TOPIC_NAMESPACE } from "./kv-config.ts";
import { PrintedLists } from "./printed-lists.ts";
import type { Registry } from "./registry.ts";
import { routeOf } from "./routes.ts";
import type { Settings } from "./settings.ts";

/** Bits of a topic's system flag. */
const UNIT = 1;
/** Where RocketMQ sends those who find nothing. */
const HELP = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
const UNIT_SUB = 2;

export interface QueryParts {
  readonly registry: Registry;
  readonly kv: KVConfig;
  readonly settings: Settings;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  readonly startedAt: number;
}

export function queryHandlers(parts: QueryParts): Handlers {
  const { registry, settings } = parts;
  const { topics } = registry;
  const lists = new PrintedLists(() => registry.version);
  /** Lists that the configuration can switch off. */
  const listed =
    (option: "enableTopicList" | "enableAllTopicList", list: (fields: Fields) => Response): Handler =>
    ({ ext }) => {
      if (!settings.current[option]) throw new RequestError(ResponseCode.SYSTEM_ERROR, "disable");
      return list(new Fields(ext));
    };
  const all = () => lists.answer("all", () => topicList(topics.names()));
  const flagged = (key: string, matches: (flag: number) => boolean) =>
    listed("enableTopicList", () => lists.answer(key, () => topicList(topics.withFlag(matches))));
  const ofCluster = (cluster: string): Response => {
    if (!registry.hasCluster(cluster)) return topicList([]);
    return lists.answer(`of cluster ${cluster}`, () => topicList(registry.topicsOfCluster(cluster)));
  };
  return [
    [RequestCode.GET_ROUTEINFO_BY_TOPIC, (request) => route(parts, request)],
    [RequestCode.GET_BROKER_CLUSTER_INFO, () => answerJson(registry.clusterInfo())],
    [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, listed("enableAllTopicList", all)],
    [RequestCode.GET_TOPICS_BY_CLUSTER, listed("enableTopicList", (fields) => ofCluster(fields.text("cluster")))],
    [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS, () => systemTopics(registry)],
    [RequestCode.GET_UNIT_TOPIC_LIST, flagged("unit", (flag) => (flag & UNIT) !== 0)],
    [RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST, flagged("sub", (flag) => (flag & UNIT_SUB) !== 0)],
    [
      RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
      flagged("sub, not unit", (flag) => (flag & (UNIT | UNIT_SUB)) === UNIT_SUB),
    ],
  ];
}

function route({ registry, kv, settings, now, startedAt }: QueryParts, { ext, version }: Command): Response {
  const fields = new Fields(ext);
  const topic = fields.text("topic");
  const { needWaitForService, waitSecondsForService, orderMessageEnable, supportActingMaster } = settings.current;
  if (needWaitForService && now() < startedAt + waitSecondsForService * 1000) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, "name server not ready");
  }
  const zoneName = fields.boolean("__ZONE_MODE") ? fields.optionalText("__ZONE_NAME")?.trim() || undefined : undefined;
  const orderTopicConf = orderMessageEnable ? kv.get(ORDER_TOPIC_NAMESPACE, topic) : undefined;
  const found = routeOf(registry, topic, { orderTopicConf, supportActingMaster, zoneName });
  if (found === undefined) {
    const remark = `No topic route info in name server for the topic: ${topic}${HELP}`;
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, remark);
  }
  // Older native clients read the bare keys of fastjson, and nothing else.
  const isStandard = zoneName === undefined && (version >= Version.V4_9_4 || fields.boolean("acceptStandardJsonOnly"));
  return isStandard ? { code: ResponseCode.SUCCESS, body: printBody(found) } : answerJson(found);
}

/** A `TopicList`. */
function topicList(topics: Iterable<string>, brokerAddr?: string): Response {
  return answerJson({ topicList: [...topics], brokerAddr });
}

/** Names of clusters and brokers are topics, too. */
function systemTopics(registry: Registry): Response {
  const { clusterAddrTable, brokerAddrTable } = registry.clusterInfo();
  const names = new Set<string>();
  for (const [cluster, brokers] of clusterAddrTable) {
    names.add(cluster);
    for (const broker of brokers) names.add(broker);
  }
  const [anyBroker] = brokerAddrTable.values();
  return topicList(names, anyBroker?.brokerAddrs.values().next().value);
}
