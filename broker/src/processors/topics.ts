/** Topics: made and changed, shown and deleted, and how their queues stand. */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { answerJson, SUCCESS } from "../protocol/answers.ts";
import { firstVersion } from "../protocol/bodies/data-version.ts";
import type { MessageQueue } from "../protocol/bodies/message-queue.ts";
import type { TopicOffset, TopicStatsTable } from "../protocol/bodies/statistics.ts";
import { readTopicConfigList, type TopicConfig, type TopicList } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { checkTopicName, isSystemTopic, SystemTopic } from "../protocol/names.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Statistics } from "../services/statistics.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers } from "../transport/connection.ts";
import { pageOf } from "./pages.ts";
import { timeOrNone } from "./queues.ts";
import { Slices } from "./slices.ts";
import { type Attributes, alterAttributes, parseAttributes } from "./topic-attributes.ts";

export interface TopicParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly offsets: OffsetTable;
  readonly statistics: Statistics;
}

/** More would make answers about a topic, which list its queues, larger than a frame. */
const MAX_QUEUES = 100_000;

export function topicHandlers(parts: TopicParts): Handlers {
  const { topics } = parts;
  return [
    [RequestCode.UPDATE_AND_CREATE_TOPIC, (request) => updateTopic(parts, request)],
    [RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, (request) => updateTopics(parts, request)],
    [RequestCode.GET_ALL_TOPIC_CONFIG, (request) => allTopics(parts, request)],
    [RequestCode.GET_TOPIC_CONFIG, (request) => showTopic(topics, request)],
    [RequestCode.DELETE_TOPIC_IN_BROKER, (request) => deleteTopic(parts, request)],
    [RequestCode.GET_TOPIC_STATS_INFO, (request) => topicStats(parts, request)],
    [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER, () => systemTopicList(topics)],
  ];
}

async function updateTopic(parts: TopicParts, request: Command): Promise<Response> {
  const fields = new Fields(request.ext);
  const topicName = fields.text("topic");
  checkName(parts, topicName);
  const topicFilterType = fields.text("topicFilterType");
  if (topicFilterType !== "SINGLE_TAG" && topicFilterType !== "MULTI_TAG") {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `No enum constant TopicFilterType.${topicFilterType}`);
  }
  const changes = parseAttributes(fields.optionalText("attributes"));
  const config: TopicConfig = {
    topicName,
    readQueueNums: fields.int("readQueueNums"),
    writeQueueNums: fields.int("writeQueueNums"),
    perm: fields.int("perm"),
    topicFilterType,
    topicSysFlag: fields.optionalInt("topicSysFlag") ?? 0,
    order: fields.boolean("order"),
    attributes: changes,
  };
  await parts.topics.put(altered(parts, config));
  return SUCCESS;
}

/**
 * All are checked before the first is made. RocketMQ makes none of them where one is there already as it is to be; here that
 * one alone stays as it is.
 */
async function updateTopics(parts: TopicParts, request: Command): Promise<Response> {
  const configs = readTopicConfigList(request.body).map((config) => {
    checkName(parts, config.topicName);
    return altered(parts, config);
  });
  await parts.topics.putAll(configs);
  return SUCCESS;
}

function checkName({ config, topics }: TopicParts, topic: string): void {
  checkTopicName(topic);
  if (!config.validateSystemTopicWhenUpdateTopic || !isSystem(topics, topic)) return;
  throw new RequestError(ResponseCode.INVALID_PARAMETER, `The topic[${topic}] is conflict with system topic.`);
}

function isSystem(topics: TopicTable, topic: string): boolean {
  return isSystemTopic(topic, topics.system);
}

/** The configuration as it will be, with the attributes that its topic has by then. */
function altered({ config: options, topics }: TopicParts, config: TopicConfig): TopicConfig {
  const { readQueueNums, writeQueueNums, attributes: changes } = config;
  for (const queues of [readQueueNums, writeQueueNums]) {
    if (queues >= 0 && queues <= MAX_QUEUES) continue;
    throw new RequestError(ResponseCode.INVALID_PARAMETER, `a topic has 0 to ${MAX_QUEUES} queues, not ${queues}`);
  }
  checkMessageType(options, changes);
  return { ...config, attributes: alterAttributes(topics.get(config.topicName)?.attributes, changes) };
}

function checkMessageType(options: BrokerConfig, changes: Attributes): void {
  if (options.enableMixedMessageType || changes["+message.type"] !== "MIXED") return;
  throw new RequestError(ResponseCode.INVALID_PARAMETER, "MIXED message type is not supported.");
}

function allTopics({ config, topics }: TopicParts, request: Command): Response {
  const all = [...topics.all()];
  const page = pageOf(all, ({ topicName }) => topicName, request, {
    isPaged: config.enableSplitMetadata,
    from: "topicSeq",
    max: "maxTopicNum",
    largest: config.splitMetadataSize,
    version: topics.version,
  });
  const body = {
    dataVersion: topics.version,
    topicConfigTable: new Map(page.map((topic) => [topic.topicName, topic])),
    // Of static topics, which there are none of.
    mappingDataVersion: firstVersion(0),
    topicQueueMappingDetailMap: {},
    topicQueueMappingInfoMap: {},
  };
  return answerJson(body, { totalTopicNum: all.length });
}

function showTopic(topics: TopicTable, request: Command): Response {
  const topic = new Fields(request.ext).text("topic");
  const config = topics.get(topic);
  if (config === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `No topic in this broker. topic: ${topic}`);
  }
  return answerJson(config);
}

/** Also what POP consumers could not consume, as it is found by the topic alone. */
async function deleteTopic(parts: TopicParts, request: Command): Promise<Response> {
  const { store, config, topics, offsets, statistics } = parts;
  const topic = new Fields(request.ext).text("topic");
  if (topic.trim() === "") throw new RequestError(ResponseCode.INVALID_PARAMETER, "The specified topic is blank.");
  if (config.validateSystemTopicWhenUpdateTopic && isSystem(topics, topic)) {
    throw new RequestError(ResponseCode.INVALID_PARAMETER, `The topic[${topic}] is conflict with system topic.`);
  }
  checkTopicName(topic);
  const retries = config.clearRetryTopicWhenDeleteTopic
    ? [...offsets.groupsOf(topic)].flatMap((group) => [`%RETRY%${group}+${topic}`, `%RETRY%${group}_${topic}`])
    : [];
  for (const name of [topic, ...retries.filter((retry) => topics.get(retry) !== undefined)]) {
    await topics.delete(name, async () => {
      offsets.deleteTopic(name);
      statistics.deleteTopic(name);
      await store.deleteTopic(name);
    });
  }
  return SUCCESS;
}

async function topicStats({ store, config, topics, statistics }: TopicParts, request: Command): Promise<Response> {
  const topic = new Fields(request.ext).text("topic");
  const found = topics.get(topic);
  if (found === undefined) throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`);
  const offsetTable = new Map<MessageQueue, TopicOffset>();
  const slices = new Slices();
  for (let queueId = 0; queueId < Math.max(found.readQueueNums, found.writeQueueNums); queueId++) {
    const { min: minOffset, max: maxOffset } = store.offsets(topic, queueId);
    const lastUpdateTimestamp = maxOffset > 0 ? timeOrNone(store, topic, queueId, maxOffset - 1) : 0;
    const queue = { brokerName: config.brokerName, queueId, topic };
    offsetTable.set(queue, { lastUpdateTimestamp, maxOffset, minOffset });
    const pause = slices.pause();
    if (pause !== undefined) await pause;
  }
  const topicPutTps = statistics.tps("TOPIC_PUT_NUMS", topic);
  return answerJson({ offsetTable, topicPutTps } satisfies TopicStatsTable);
}

/** RocketMQ counts the topic of timers only where there are any. */
function systemTopicList(topics: TopicTable): Response {
  const names = Object.values(SystemTopic).filter((name) => name !== SystemTopic.TIMER);
  return answerJson({ topicList: new Set([...names, ...topics.system]) } satisfies TopicList);
}
