/** Offsets of groups and of queues: 14, 15, 29 to 32. */
import { type Store, StoreError } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { ReadGate } from "../services/read-gate.ts";
import type { GroupTable } from "../tables/group-table.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Connection, Handlers, RequestContext } from "../transport/connection.ts";
import { checkQueueId, earliestTimeOf, isQueueOf, knownQueue, offsetAtTime } from "./queues.ts";

export interface OffsetParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly offsets: OffsetTable;
  readonly reads: ReadGate;
}

export function offsetHandlers(parts: OffsetParts): Handlers {
  return [
    [RequestCode.QUERY_CONSUMER_OFFSET, (request, context) => queryConsumerOffset(parts, request, context)],
    [RequestCode.UPDATE_CONSUMER_OFFSET, (request) => updateConsumerOffset(parts, request)],
    [RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, (request) => searchByTime(parts.store, request)],
    [RequestCode.GET_MAX_OFFSET, (request) => queueOffset(parts.store, request, "max")],
    [RequestCode.GET_MIN_OFFSET, (request) => queueOffset(parts.store, request, "min")],
    [RequestCode.GET_EARLIEST_MSG_STORETIME, (request) => earliestTime(parts.store, request)],
  ];
}

async function queryConsumerOffset(
  parts: OffsetParts,
  request: Command,
  { connection }: RequestContext,
): Promise<Response> {
  const { config, offsets } = parts;
  const fields = new Fields(request.ext);
  const group = fields.text("consumerGroup");
  const topic = fields.text("topic");
  const queueId = fields.int("queueId");
  const pending = config.useServerSideResetOffset ? offsets.pendingReset(group, topic, queueId) : undefined;
  const offset = pending ?? (queueId >= 0 ? offsets.committed(group, topic, queueId) : undefined);
  if (offset !== undefined) return { code: ResponseCode.SUCCESS, ext: { offset } };
  if (fields.has("setZeroIfNotFound") && !fields.boolean("setZeroIfNotFound")) {
    return notFound("Not found, do not set to zero, maybe this group boot first");
  }
  // A queue that is small enough to be in memory from its first message on is read from there, whatever the client's rule.
  const isInMemory = await isFirstMessageInMemory(parts, topic, queueId, connection);
  if (isInMemory) return { code: ResponseCode.SUCCESS, ext: { offset: 0 } };
  return notFound("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
}

async function isFirstMessageInMemory(
  { store, reads }: OffsetParts,
  topic: string,
  queueId: number,
  connection: Connection,
): Promise<boolean> {
  if (!knownQueue(topic, queueId)) return false;
  const { min, max } = store.offsets(topic, queueId);
  if (min > 0 || max === 0) return false;
  try {
    const first = await reads.read(
      connection,
      () => store.fetch(topic, queueId, 0, { max: 1 }),
      ({ bytes }) => bytes.length,
    );
    return first?.status === "FOUND" && !first.cold;
  } catch (error) {
    // Whoever reads it is told: a group begins where its clients say.
    if (error instanceof StoreError && error.code === "STORE_CORRUPT") return false;
    throw error;
  }
}

function notFound(remark: string): Response {
  return { code: ResponseCode.QUERY_NOT_FOUND, remark };
}

function updateConsumerOffset({ config, topics, groups, offsets }: OffsetParts, request: Command): Response {
  const fields = new Fields(request.ext);
  const group = fields.text("consumerGroup");
  const topic = fields.text("topic");
  if (groups.get(group) === undefined) {
    throw new RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} not exist!`);
  }
  if (topics.get(topic) === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`);
  }
  const queueId = checkQueueId(fields.optionalInt("queueId") ?? invalid(`QueueId is null, topic is ${topic}`));
  if (!isQueueOf(topics.get(topic), queueId) && offsets.committed(group, topic, queueId) === undefined) {
    invalid(`queueId is ${queueId}; topic ${topic} has no such queue`);
  }
  const offset = fields.optionalLong("commitOffset") ?? invalid(`Offset is null, topic is ${topic}`);
  if (!Number.isSafeInteger(offset) || offset < 0) {
    invalid(`commitOffset is ${offset}; it must be a queue offset`);
  }
  if (config.useServerSideResetOffset && offsets.pendingReset(group, topic, queueId) !== undefined) {
    return { code: ResponseCode.SUCCESS, remark: "Offset has been previously reset" };
  }
  offsets.commit(group, topic, queueId, offset);
  return { code: ResponseCode.SUCCESS };
}

function invalid(sentence: string): never {
  throw new RequestError(ResponseCode.INVALID_PARAMETER, sentence);
}

function searchByTime(store: Store, request: Command): Response {
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const queueId = fields.int("queueId");
  const timestamp = fields.long("timestamp");
  const boundary = fields.boundary("boundaryType");
  return { code: ResponseCode.SUCCESS, ext: { offset: offsetAtTime(store, topic, queueId, timestamp, boundary) } };
}

function queueOffset(store: Store, request: Command, end: "min" | "max"): Response {
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const queueId = fields.int("queueId");
  const offset = knownQueue(topic, queueId) ? store.offsets(topic, queueId)[end] : 0;
  // RocketMQ answers the one with a remark without text, the other without a remark.
  return { code: ResponseCode.SUCCESS, remark: end === "min" ? "" : undefined, ext: { offset } };
}

function earliestTime(store: Store, request: Command): Response {
  const fields = new Fields(request.ext);
  const timestamp = earliestTimeOf(store, fields.text("topic"), fields.int("queueId"));
  return { code: ResponseCode.SUCCESS, ext: { timestamp } };
}
