/** Who produces and consumes: clients of groups, and which group consumes which topic. */
import type { BrokerConfig } from "../config/broker-config.ts";
import { answerJson } from "../protocol/answers.ts";
import type {
  ClientConnection,
  ConsumerConnection,
  ProducerConnection,
  ProducerInfo,
} from "../protocol/bodies/statistics.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { printAddress } from "../protocol/hosts.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Client } from "../services/clients.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { ProducerRegistry } from "../services/producers.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import type { Handlers } from "../transport/connection.ts";
import { brokerAddress } from "./queues.ts";

export interface ConsumerParts {
  readonly config: BrokerConfig;
  readonly offsets: OffsetTable;
  readonly producers: ProducerRegistry;
  readonly consumers: ConsumerRegistry;
}

export function consumerHandlers(parts: ConsumerParts): Handlers {
  const { producers, consumers } = parts;
  return [
    [RequestCode.GET_CONSUMER_CONNECTION_LIST, (request) => consumerConnections(consumers, request)],
    [RequestCode.GET_PRODUCER_CONNECTION_LIST, (request) => producerConnections(producers, request)],
    [RequestCode.GET_ALL_PRODUCER_INFO, () => allProducers(producers)],
    [RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, (request) => groupsOfTopic(parts, request)],
    [RequestCode.QUERY_TOPICS_BY_CONSUMER, (request) => topicsOfGroup(parts, request)],
    [RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, (request) => subscription(consumers, request)],
  ];
}

function consumerConnections(consumers: ConsumerRegistry, request: Command): Response {
  const group = new Fields(request.ext).text("consumerGroup");
  const found = consumers.find(group);
  if (found === undefined) {
    throw new RequestError(ResponseCode.CONSUMER_NOT_ONLINE, `the consumer group[${group}] not online`);
  }
  return answerJson({
    connectionSet: found.clients.map(connectionOf),
    consumeFromWhere: found.consumeFromWhere,
    consumeType: found.consumeType,
    messageModel: found.messageModel,
    subscriptionTable: found.subscriptions,
  } satisfies ConsumerConnection);
}

function producerConnections(producers: ProducerRegistry, request: Command): Response {
  const group = new Fields(request.ext).text("producerGroup");
  const clients = producers.clients(group);
  if (clients.length === 0) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `the producer group[${group}] not exist`);
  }
  return answerJson({ connectionSet: clients.map(connectionOf) } satisfies ProducerConnection);
}

function connectionOf({ clientId, connection, language, version }: Client): ClientConnection {
  return { clientAddr: printAddress(connection.remote), clientId, language, version };
}

function allProducers(producers: ProducerRegistry): Response {
  const groups = [...producers.groups()].map((group) => [group, producers.clients(group).map(producerOf)] as const);
  return answerJson({ data: new Map(groups) });
}

/** As Java prints a socket's address, with nothing for the name of the host. */
function producerOf({ clientId, connection, language, version, lastUpdateAt }: Client): ProducerInfo {
  const remoteIP = `/${printAddress(connection.remote)}`;
  return { clientId, language, lastUpdateTimestamp: lastUpdateAt, remoteIP, version };
}

function groupsOfTopic({ offsets, consumers }: ConsumerParts, request: Command): Response {
  const topic = new Fields(request.ext).text("topic");
  return answerJson({ groupList: new Set([...consumers.groupsOf(topic), ...offsets.groupsOf(topic)]) });
}

function topicsOfGroup({ config, offsets }: ConsumerParts, request: Command): Response {
  const topicList = offsets.topicsOf(new Fields(request.ext).text("group"));
  return answerJson({ brokerAddr: brokerAddress(config), topicList });
}

function subscription(consumers: ConsumerRegistry, request: Command): Response {
  const fields = new Fields(request.ext);
  const group = fields.text("group");
  const topic = fields.text("topic");
  return answerJson({ group, subscriptionData: consumers.find(group)?.subscriptions.get(topic), topic });
}
