/** Requests that the broker passes on to a client, and answers with what it says. */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { answerJson } from "../protocol/answers.ts";
import { readBody } from "../protocol/bodies/reading.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, ExtFields, FieldValues, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { parseOffsetMessageId } from "../protocol/message-ids.ts";
import { RequestError } from "../protocol/request-error.ts";
import { Version, versionName } from "../protocol/versions.ts";
import type { Client } from "../services/clients.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { GroupTable } from "../tables/group-table.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers } from "../transport/connection.ts";
import { TransportError } from "../transport/transport-error.ts";

export interface RelayParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly consumers: ConsumerRegistry;
}

const RELAY_TIMEOUT_MS = 10_000;
const STATUS_TIMEOUT_MS = 5000;

export function relayHandlers(parts: RelayParts): Handlers {
  const { consumers } = parts;
  return [
    [RequestCode.GET_CONSUMER_RUNNING_INFO, (request) => relay(consumers, request, request.ext, request.body)],
    [RequestCode.CONSUME_MESSAGE_DIRECTLY, (request) => consumeDirectly(parts, request)],
    [RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, (request) => consumerStatus(consumers, request)],
  ];
}

async function relay(
  consumers: ConsumerRegistry,
  { code, ext: asked }: Command,
  ext: ExtFields,
  body: Uint8Array,
): Promise<Response> {
  const fields = new Fields(asked);
  const group = fields.text("consumerGroup");
  const clientId = fields.optionalText("clientId") ?? "";
  const client = consumers.client(group, clientId);
  if (client === undefined) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `The Consumer <${group}> <${clientId}> not online`);
  }
  if (client.version < Version.V3_1_8_SNAPSHOT) {
    const right = "too low to finish, please upgrade it to V3_1_8_SNAPSHOT";
    const sentence = `The Consumer <${clientId}> Version <${versionName(client.version)}> ${right}`;
    throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
  }
  try {
    // What the socket gave is read over by what comes next, and the client's answer takes a while.
    const answer = await client.connection.invoke(code, valuesOf(ext), Uint8Array.from(body), RELAY_TIMEOUT_MS);
    const { code: answered, remark } = answer;
    return { code: answered, remark, ext: valuesOf(answer.ext), body: Uint8Array.from(answer.body) };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    const isLate = error.code === "REQUEST_TIMEOUT";
    const sentence = isLate
      ? `consumer <${group}> <${clientId}> Timeout: ${error.message}`
      : `invoke consumer <${group}> <${clientId}> Exception: ${error.message}`;
    const errorCode = isLate ? ResponseCode.CONSUME_MSG_TIMEOUT : ResponseCode.SYSTEM_ERROR;
    throw new RequestError(errorCode, sentence, { cause: error });
  }
}

/** The client gets the message itself, with what the broker knows of its topic and group. */
async function consumeDirectly(parts: RelayParts, request: Command): Promise<Response> {
  const { store, config, topics, groups, consumers } = parts;
  const fields = new Fields(request.ext);
  const id = fields.optionalText("msgId") ?? "";
  const place = parseOffsetMessageId(id);
  const message = place === undefined ? undefined : await store.fetchAt(place.physicalOffset);
  if (message === undefined) {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `can not find message by the id ${id}, which must be an offset id`,
    );
  }
  const topic = topics.get(fields.optionalText("topic") ?? "");
  const group = groups.find(fields.text("consumerGroup"));
  const known = {
    brokerName: config.brokerName,
    topicSysFlag: topic?.topicSysFlag,
    groupSysFlag: group?.groupSysFlag,
  };
  return await relay(consumers, request, { ...request.ext, ...known }, message.raw);
}

/** Offsets that clients have in memory, of one of them or of all of the group. */
async function consumerStatus(consumers: ConsumerRegistry, request: Command): Promise<Response> {
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const group = fields.text("group");
  const clientId = fields.optionalText("clientAddr") ?? "";
  const clients = consumers.find(group)?.clients ?? [];
  if (clients.length === 0) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `No Any Consumer online in the consumer group: [${group}]`);
  }
  const asked = clients.filter((client) => clientId.trim() === "" || client.clientId === clientId);
  const tables = await Promise.all(asked.map((client) => statusOf(client, topic, group)));
  const consumerTable = new Map<string, unknown>();
  asked.forEach((client, i) => {
    if (tables[i] !== undefined) consumerTable.set(client.clientId, tables[i]);
  });
  return answerJson({ consumerTable, messageQueueTable: {} });
}

/** Undefined where the client does not answer, or not with a table: the others are told all the same. */
async function statusOf({ connection, version }: Client, topic: string, group: string): Promise<unknown> {
  if (version < Version.V3_0_7_SNAPSHOT) {
    const sentence = `the client does not support this feature. version=${versionName(version)}`;
    throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
  }
  try {
    const code = RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT;
    const answer = await connection.invoke(code, { topic, group }, undefined, STATUS_TIMEOUT_MS);
    if (answer.code !== ResponseCode.SUCCESS || answer.body.length === 0) return undefined;
    return readBody(answer.body).messageQueueTable;
  } catch (error) {
    if (error instanceof TransportError || error instanceof RequestError) return undefined;
    throw error;
  }
}

/** Fields as they can be sent: what is neither text, number nor boolean is none of the protocol's. */
function valuesOf(ext: ExtFields): FieldValues {
  const entries = Object.entries(ext).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));
  return Object.fromEntries(entries) as FieldValues;
}
