/** What clients say of themselves: heartbeats, farewells, and who else is in a group. */
import type { BrokerConfig } from "../config/broker-config.ts";
import { type ConsumerData, readHeartbeat, readSubscription } from "../protocol/bodies/heartbeat.ts";
import { readBody } from "../protocol/bodies/reading.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { retryTopic } from "../protocol/names.ts";
import { RequestError } from "../protocol/request-error.ts";
import { isTagType } from "../protocol/subscription.ts";
import type { ClientIdentity } from "../services/clients.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { ProducerRegistry } from "../services/producers.ts";
import type { GroupTable } from "../tables/group-table.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers, RequestContext } from "../transport/connection.ts";
import { answerJson, SUCCESS } from "./answers.ts";

export interface ClientParts {
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly producers: ProducerRegistry;
  readonly consumers: ConsumerRegistry;
}

/** Bit of `topicSysFlag`: units subscribe to it. */
const UNIT_SUBSCRIBED = 2;

export function clientHandlers(parts: ClientParts): Handlers {
  return [
    [RequestCode.HEART_BEAT, (request, context) => heartbeat(parts, request, context)],
    [RequestCode.UNREGISTER_CLIENT, (request, context) => unregister(parts, request, context)],
    [RequestCode.CHECK_CLIENT_CONFIG, (request) => checkConfig(request)],
    [RequestCode.GET_CONSUMER_LIST_BY_GROUP, (request) => consumerList(parts.consumers, request)],
  ];
}

async function heartbeat(parts: ClientParts, request: Command, { connection }: RequestContext): Promise<Response> {
  const heart = readHeartbeat(request.body);
  const { heartbeatFingerprint: fingerprint, withoutSub } = heart;
  const { language, version } = request;
  const client = { connection, clientId: heart.clientID, language, version };
  // The first kind has no fingerprint: its client is to send everything again.
  let isSubChange = fingerprint === 0;
  for (const consumer of heart.consumerDataSet) {
    const isPulling = consumer.consumeType === "CONSUME_ACTIVELY";
    if (isPulling && parts.config.rejectPullConsumerEnable) continue;
    await registerConsumer(parts, client, consumer, withoutSub && fingerprint !== 0);
    // Also of the first kind: it may have changed the group's subscriptions for those who leave theirs out.
    if (parts.consumers.isFingerprintNew(consumer.groupName, fingerprint, withoutSub)) isSubChange = true;
  }
  for (const { groupName } of heart.producerDataSet) parts.producers.register(groupName, client);
  return { code: ResponseCode.SUCCESS, ext: { IS_SUPPORT_HEART_BEAT_V2: true, IS_SUB_CHANGE: isSubChange } };
}

/** A group that there is not, and that may not be made, is passed over. */
async function registerConsumer(
  { config, topics, groups, consumers }: ClientParts,
  client: ClientIdentity,
  consumer: ConsumerData,
  withoutSub: boolean,
): Promise<void> {
  const { groupName: group, subscriptionDataSet: subscriptions } = consumer;
  const found = groups.find(group);
  if (found === undefined) return;
  const subscribed = withoutSub ? consumers.find(group)?.subscriptions.values() : subscriptions;
  const isOrdered = [...(subscribed ?? [])].some(({ topic }) => topics.get(topic)?.order === true);
  const sysFlag = consumer.unitMode ? UNIT_SUBSCRIBED : 0;
  // Before the group consumes: what it cannot consume goes there.
  await topics.createForRetry(retryTopic(group), found.retryQueueNums, isOrdered, sysFlag);
  const isNotified = config.notifyConsumerIdsChangedEnable && found.notifyConsumerIdsChangedEnable;
  consumers.register(group, client, consumer, withoutSub ? undefined : subscriptions, isNotified);
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
