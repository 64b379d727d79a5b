/** Groups set to other offsets, by an administrator. */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { answerJson } from "../protocol/answers.ts";
import type { MessageQueue } from "../protocol/bodies/message-queue.ts";
import type { ResetOffsetBody } from "../protocol/bodies/statistics.ts";
import type { TopicConfig } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { printFastjson } from "../protocol/json.ts";
import { RequestError } from "../protocol/request-error.ts";
import { Version, versionName } from "../protocol/versions.ts";
import type { Client } from "../services/clients.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { GroupTable } from "../tables/group-table.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers } from "../transport/connection.ts";
import { offsetAtTime } from "./queues.ts";

export interface ResetParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly offsets: OffsetTable;
  readonly consumers: ConsumerRegistry;
}

/** What is to be reset, and to where. */
interface Reset {
  readonly group: string;
  readonly topic: string;
  /** Negative: all queues. */
  readonly queueId: number;
  /** Undefined: where the queue stood at `timestamp`. */
  readonly offset: number | undefined;
  /** Milliseconds since the epoch; negative: now. */
  readonly timestamp: number;
  /** Without it, a client goes back only. */
  readonly isForce: boolean;
}

/** Field values by which older tools say that there is no offset, or no queue. */
const NONE = -1;

export function resetHandlers(parts: ResetParts): Handlers {
  return [[RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, (request) => resetOffset(parts, request)]];
}

function resetOffset(parts: ResetParts, request: Command): Response {
  const fields = new Fields(request.ext);
  const offset = fields.optionalLong("offset");
  const reset: Reset = {
    group: fields.text("group"),
    topic: fields.text("topic"),
    queueId: fields.optionalInt("queueId") ?? NONE,
    offset: offset === NONE ? undefined : offset,
    timestamp: fields.long("timestamp"),
    isForce: fields.boolean("isForce"),
  };
  return parts.config.useServerSideResetOffset ? resetHere(parts, reset) : resetAtClients(parts, reset, request);
}

/** The next pull of each queue is told where to go on: it does not matter who is online. */
function resetHere(parts: ResetParts, reset: Reset): Response {
  const { group, topic, queueId } = reset;
  const config = parts.topics.get(topic);
  if (config === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} does not exist`);
  }
  if (parts.groups.get(group) === undefined) {
    throw new RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} does not exist`);
  }
  const targets =
    queueId >= 0 ? [[queueId, targetOf(parts, reset)] as const] : targetsByTime(parts, reset, config.readQueueNums);
  if (targets.length === 0) throw new RequestError(ResponseCode.SYSTEM_ERROR, "No queues to reset.");
  for (const [id, offset] of targets) parts.offsets.reset(group, topic, id, offset);
  return answerJson({ offsetTable: offsetTable(parts.config, topic, targets) } satisfies ResetOffsetBody);
}

function targetOf({ store }: ResetParts, { topic, queueId, offset, timestamp }: Reset): number {
  if (offset === undefined) return placeAt(store, topic, queueId, timestamp);
  const { min, max } = store.offsets(topic, queueId);
  if (offset >= min && offset <= max + 1) return offset;
  const sentence = `Target offset ${offset} not in consume queue range [${min}-${max}]`;
  throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
}

function targetsByTime({ store }: ResetParts, { topic, timestamp }: Reset, queues: number): [number, number][] {
  return Array.from({ length: queues }, (_, queueId) => [queueId, placeAt(store, topic, queueId, timestamp)]);
}

function placeAt(store: Store, topic: string, queueId: number, timestamp: number): number {
  return timestamp < 0 ? store.offsets(topic, queueId).max : offsetAtTime(store, topic, queueId, timestamp);
}

function offsetTable(
  { brokerName }: BrokerConfig,
  topic: string,
  targets: readonly (readonly [number, number])[],
): Map<MessageQueue, number> {
  return new Map(targets.map(([queueId, offset]) => [{ brokerName, queueId, topic }, offset]));
}

/** As RocketMQ did before it kept resets itself: the clients are told, and commit where they go on. */
function resetAtClients(parts: ResetParts, reset: Reset, { language }: Command): Response {
  const { config, topics, consumers } = parts;
  const { group, topic, timestamp, isForce } = reset;
  const found = topics.get(topic);
  if (found === undefined) {
    const sentence = `[reset-offset] reset offset failed, no topic in this broker. topic=${topic}`;
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, sentence);
  }
  const targets = targetsFor(parts, reset, found);
  const clients = consumers.find(group)?.clients ?? [];
  if (clients.length === 0) {
    const facts = `Group: ${group} Topic: ${topic} Timestamp: ${timestamp}`;
    const sentence = `Consumer not online, so can not reset offset, ${facts}`;
    throw new RequestError(ResponseCode.CONSUMER_NOT_ONLINE, sentence);
  }
  const table = offsetTable(config, topic, targets);
  const list = targets.map(([queueId, offset]) => ({ brokerName: config.brokerName, offset, queueId, topic }));
  const body = printFastjson({ offsetTable: language === "CPP" ? list : table });
  for (const { connection } of clients.filter(checkVersion)) {
    connection.notify(RequestCode.RESET_CONSUMER_CLIENT_OFFSET, { topic, group, timestamp, isForce }, body);
  }
  return answerJson({ offsetTable: table } satisfies ResetOffsetBody);
}

function targetsFor({ store, offsets }: ResetParts, reset: Reset, { writeQueueNums }: TopicConfig): [number, number][] {
  const { group, topic, timestamp, isForce } = reset;
  return Array.from({ length: writeQueueNums }, (_, queueId) => {
    const committed = offsets.committed(group, topic, queueId);
    if (committed === undefined) {
      throw new RequestError(ResponseCode.SYSTEM_ERROR, `The consumer group <${group}> not exist`);
    }
    const target = placeAt(store, topic, queueId, timestamp);
    return [queueId, isForce ? target : Math.min(target, committed)];
  });
}

function checkVersion({ version }: Client): boolean {
  if (version >= Version.V3_0_7_SNAPSHOT) return true;
  const sentence = `the client does not support this feature. version=${versionName(version)}`;
  throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
}
