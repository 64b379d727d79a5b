/** What clients say of themselves: heartbeats, farewells, and who else is in a group. */
import { setTimeout as sleep } from "node:timers/promises";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import { answerJson, SUCCESS } from "../protocol/answers.ts";
import {
  type ConsumerData,
  type HeartbeatData,
  readHeartbeat,
  readSubscription,
} from "../protocol/bodies/heartbeat.ts";
import { readBody } from "../protocol/bodies/reading.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { retryTopic } from "../protocol/names.ts";
import { RequestError } from "../protocol/request-error.ts";
import { isTagType, type SubscriptionData } from "../protocol/subscription.ts";
import type { ClientIdentity } from "../services/clients.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { ProducerRegistry } from "../services/producers.ts";
import type { GroupTable } from "../tables/group-table.ts";
import { TopicFlag } from "../tables/topic-config.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers, RequestContext } from "../transport/connection.ts";
import { ownText } from "./own-text.ts";

export interface ClientParts {
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly producers: ProducerRegistry;
  readonly consumers: ConsumerRegistry;
  readonly log: Log;
}

/** Longest names, in characters; ids are made of address, process and group. */
const MAX_CLIENT_ID = 512;
const MAX_NAME = 255;
/** Topics that one group may subscribe to. */
const MAX_SUBSCRIPTIONS = 4096;
/** How long a heartbeat waits for topics of retries that are made: clients give it up after three seconds. */
const TOPICS_MS = 1000;

export function clientHandlers(parts: ClientParts): Handlers {
  return [
    [RequestCode.HEART_BEAT, (request, context) => heartbeat(parts, request, context)],
    [RequestCode.UNREGISTER_CLIENT, (request, context) => unregister(parts, request, context)],
    [RequestCode.CHECK_CLIENT_CONFIG, (request) => checkConfig(request)],
    [RequestCode.GET_CONSUMER_LIST_BY_GROUP, (request) => consumerList(parts.consumers, request)],
  ];
}

/** Clients are registered at once, in the order of their requests: what they say later never comes before. */
async function heartbeat(parts: ClientParts, request: Command, { connection }: RequestContext): Promise<Response> {
  const heart = readHeartbeat(request.body);
  checkLengths(heart);
  const { heartbeatFingerprint: fingerprint, withoutSub } = heart;
  const { language, version } = request;
  const client = { connection, clientId: ownText(heart.clientID), language, version };
  // The first kind has no fingerprint: its client is to send everything again.
  let isSubChange = fingerprint === 0;
  const topics: Promise<unknown>[] = [];
  for (const consumer of heart.consumerDataSet) {
    const isPulling = consumer.consumeType === "CONSUME_ACTIVELY";
    if (isPulling && parts.config.rejectPullConsumerEnable) continue;
    const made = registerConsumer(parts, client, consumer, withoutSub && fingerprint !== 0);
    if (made !== undefined) topics.push(made);
    // Also of the first kind: it may have changed the group's subscriptions for those who leave theirs out.
    if (parts.consumers.isFingerprintNew(consumer.groupName, fingerprint, withoutSub)) isSubChange = true;
  }
  for (const { groupName } of heart.producerDataSet) parts.producers.register(ownText(groupName), client);
  if (topics.length > 0) await made(topics, parts.log);
  return { code: ResponseCode.SUCCESS, ext: { IS_SUPPORT_HEART_BEAT_V2: true, IS_SUB_CHANGE: isSubChange } };
}

function checkLengths({ clientID, producerDataSet, consumerDataSet }: HeartbeatData): void {
  if (clientID.length > MAX_CLIENT_ID) tooLong("clientID", MAX_CLIENT_ID);
  if (producerDataSet.some(({ groupName }) => groupName.length > MAX_NAME)) tooLong("a producer group", MAX_NAME);
  for (const { groupName, subscriptionDataSet } of consumerDataSet) {
    if (groupName.length > MAX_NAME) tooLong("a consumer group", MAX_NAME);
    if (subscriptionDataSet.some(({ topic }) => topic.length > MAX_NAME)) tooLong("a topic", MAX_NAME);
    if (subscriptionDataSet.length <= MAX_SUBSCRIPTIONS) continue;
    const sentence = `group ${groupName} subscribes to more than ${MAX_SUBSCRIPTIONS} topics`;
    throw new RequestError(ResponseCode.INVALID_PARAMETER, sentence);
  }
}

function tooLong(what: string, most: number): never {
  throw new RequestError(ResponseCode.INVALID_PARAMETER, `${what} has more than ${most} characters`);
}

/** Waits a while. Topics that were not made are made when a message is sent back. */
async function made(topics: readonly Promise<unknown>[], log: Log): Promise<void> {
  const inTime = new AbortController();
  const all = Promise.allSettled(topics).then((results) => {
    const failed = results.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
    if (failed !== undefined) log.warn({ err: failed.reason }, "a topic for retries could not be made");
  });
  const late = sleep(TOPICS_MS, undefined, { signal: inTime.signal, ref: false }).catch(() => {});
  await Promise.race([all, late]);
  inTime.abort();
}

/**
 * A group that there is not, and that may not be made, is passed over. Returns what makes the topic to which goes what the
 * group cannot consume, where there is none.
 */
function registerConsumer(
  { config, topics, groups, consumers }: ClientParts,
  client: ClientIdentity,
  consumer: ConsumerData,
  withoutSub: boolean,
): Promise<unknown> | undefined {
  const group = ownText(consumer.groupName);
  const found = groups.find(group);
  if (found === undefined) return undefined;
  const isNotified = config.notifyConsumerIdsChangedEnable && found.notifyConsumerIdsChangedEnable;
  const { consumeType, messageModel, consumeFromWhere } = consumer;
  const subscriptions = withoutSub ? undefined : consumer.subscriptionDataSet.map(ownSubscription);
  consumers.register(group, client, { consumeType, messageModel, consumeFromWhere }, subscriptions, isNotified);
  const subscribed = subscriptions ?? [...(consumers.find(group)?.subscriptions.values() ?? [])];
  const isOrdered = subscribed.some(({ topic }) => topics.get(topic)?.order === true);
  const topic = retryTopic(group);
  const known = topics.get(topic);
  if (known !== undefined && (known.order || !isOrdered)) return undefined;
  return topics.createForRetry(
    topic,
    found.retryQueueNums,
    isOrdered,
    consumer.unitMode ? TopicFlag.unitSubscribed : 0,
  );
}

function ownSubscription(data: SubscriptionData): SubscriptionData {
  const tagsSet = new Set([...data.tagsSet].map(ownText));
  return { ...data, topic: ownText(data.topic), subString: ownText(data.subString), tagsSet };
}

function unregister({ producers, consumers }: ClientParts, request: Command, { connection }: RequestContext): Response {
  const fields = new Fields(request.ext);
  const producerGroup = fields.optionalText("producerGroup");
  const consumerGroup = fields.optionalText("consumerGroup");
  if (producerGroup !== undefined) producers.unregister(producerGroup, connection);
  if (consumerGroup !== undefined) consumers.unregister(consumerGroup, connection);
  return SUCCESS;
}

/** Whether a consumer can subscribe as it means to; asked before it starts. */
function checkConfig(request: Command): Response {
  const { subscriptionData } = readBody(request.body);
  if (subscriptionData === undefined || subscriptionData === null) return SUCCESS;
  const { expressionType } = readSubscription(subscriptionData);
  if (isTagType(expressionType)) return SUCCESS;
  throw new RequestError(
    ResponseCode.SYSTEM_ERROR,
    `The broker does not support consumer to filter message by ${expressionType}`,
  );
}

function consumerList(consumers: ConsumerRegistry, request: Command): Response {
  const group = new Fields(request.ext).text("consumerGroup");
  const clients = consumers.find(group)?.clients ?? [];
  if (clients.length === 0) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${group}`);
  }
  // A client that has connected again may be there twice, until its old connection is known to be gone.
  return answerJson({ consumerIdList: new Set(clients.map(({ clientId }) => clientId)) });
}
