/** Messages that consumers send back, to be tried again: 36. */
import type { Store, StoredMessage } from "moraine";
import { StoreError } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscription-group.ts";
import { Permission, type TopicConfig } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { printAddress } from "../protocol/hosts.ts";
import { PropertyName, printProperties } from "../protocol/message-properties.ts";
import { retryTopic, SystemTopic } from "../protocol/names.ts";
import { RequestError } from "../protocol/request-error.ts";
import { isWritable } from "../services/broker-permission.ts";
import { delaysOf, waitingPlace } from "../services/delay-levels.ts";
import type { ReadGate } from "../services/read-gate.ts";
import { sendBack } from "../services/retries.ts";
import type { Statistics } from "../services/statistics.ts";
import type { StoreHealth } from "../services/store-health.ts";
import type { GroupTable } from "../tables/group-table.ts";
import { TopicFlag } from "../tables/topic-config.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers, RequestContext } from "../transport/connection.ts";
import { delayLevelOf } from "./messages/delays.ts";
import { FlushWaits } from "./messages/flush-waits.ts";
import { MessageType, SysFlag, typeOf } from "./messages/message-kinds.ts";
import { markProperties } from "./messages/property-marks.ts";
import { missingGroup, storeRefusal, transactionRefusal } from "./messages/refusals.ts";
import { randomQueue } from "./messages/send-topics.ts";

export interface SendBackParts {
  readonly store: Store;
  /** Told of messages that the store does not take. */
  readonly health: Pick<StoreHealth, "refused">;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly reads: ReadGate;
  readonly statistics: Statistics;
  readonly log: Log;
}

interface Parts extends SendBackParts {
  readonly flushes: FlushWaits;
  /** How many levels of delay there are. */
  readonly levels: number;
}

export function sendBackHandlers(given: SendBackParts): Handlers {
  const { store, config } = given;
  const levels = delaysOf(config.messageDelayLevel).length;
  const parts: Parts = { ...given, flushes: new FlushWaits(store, config), levels };
  return [[RequestCode.CONSUMER_SEND_MSG_BACK, (request, context) => takeBack(parts, request, context)]];
}

const HALF_TOPICS: ReadonlySet<string> = new Set([SystemTopic.TRANSACTION_HALF, SystemTopic.TRANSACTION_OP]);

/** The consumer goes on behind the message then, and its offset may be on the disk before the copy is. */
async function takeBack(parts: Parts, request: Command, context: RequestContext): Promise<Response | undefined> {
  // The message itself takes no memory while the disk is waited for.
  const { response, endOffset } = await putBack(parts, request, context);
  if (endOffset === undefined || parts.config.flushDiskType !== "SYNC_FLUSH") return response;
  if (!(await parts.flushes.until(endOffset))) throw notPut("FLUSH_DISK_TIMEOUT");
  return response;
}

interface TakenBack {
  /** Undefined where nobody waits for it any more. */
  readonly response: Response | undefined;
  /** Where the log ends that has the copy; undefined where none was put. */
  readonly endOffset?: number | undefined;
}

async function putBack(parts: Parts, request: Command, { connection }: RequestContext): Promise<TakenBack> {
  const { config, groups, topics, reads, statistics } = parts;
  const fields = new Fields(request.ext);
  const offset = fields.long("offset");
  const name = fields.text("group");
  const group = groups.find(name);
  if (group === undefined) throw missingGroup(name);
  if (!isWritable(config)) {
    throw new RequestError(ResponseCode.NO_PERMISSION, `the broker[${config.brokerIP1}] sending message is forbidden`);
  }
  if (group.retryQueueNums <= 0) return { response: { code: ResponseCode.SUCCESS } };
  const retries = await topicFor(parts, retryTopic(name), group.retryQueueNums, fields.boolean("unitMode"));
  if ((retries.perm & Permission.WRITE) === 0) {
    const remark = `the topic[${retries.topicName}] sending message is forbidden`;
    throw new RequestError(ResponseCode.NO_PERMISSION, remark);
  }
  const read = async () => ({ message: await messageAt(parts.store, offset) });
  const found = await reads.read(connection, read, () => 0);
  if (found === undefined) return { response: undefined };
  const { message } = found;
  if (message === undefined) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${offset}`);
  }
  if (HALF_TOPICS.has(message.topic) || typeOf(message.sysFlag) === MessageType.prepared) {
    throw transactionRefusal(config.brokerIP1);
  }
  const delayLevel = fields.int("delayLevel");
  const { isDead, endOffset } = await put(parts, message, group, retries, {
    delayLevel,
    maxReconsumeTimes: fields.optionalInt("maxReconsumeTimes"),
    clientVersion: request.version,
  });
  // What a producer wrote there need be no topic, and is counted only as one that there is.
  const named = message.properties.get(PropertyName.RETRY_TOPIC) ?? message.topic;
  const topic = topics.get(named) === undefined ? message.topic : named;
  statistics.sentBack(name, topic);
  if (isDead) {
    statistics.deadLetter(name, topic);
    const facts = { group: name, topic, id: message.offsetMsgId, client: printAddress(connection.remote) };
    parts.log.warn(facts, "a message goes to the dead letters");
  }
  return { response: { code: ResponseCode.SUCCESS }, endOffset };
}

async function topicFor(
  { topics }: SendBackParts,
  topic: string,
  queues: number,
  isUnit: boolean,
): Promise<TopicConfig> {
  const found = topics.get(topic);
  return found ?? (await topics.createForRetry(topic, queues, false, isUnit ? TopicFlag.unitSubscribed : 0));
}

/** The message of a record; undefined where there is none, or none that is whole. */
async function messageAt(store: Store, offset: number): Promise<StoredMessage | undefined> {
  if (!Number.isSafeInteger(offset) || offset < 0) return undefined;
  try {
    return await store.fetchAt(offset);
  } catch (error) {
    if (error instanceof StoreError && error.code === "STORE_CORRUPT") return undefined;
    throw error;
  }
}

/** Puts a copy of the message where it waits for its next try, or with the dead letters. Resolves with which, and where the log ends then. */
async function put(
  parts: Parts,
  message: StoredMessage,
  group: SubscriptionGroupConfig,
  retries: TopicConfig,
  asked: { delayLevel: number; maxReconsumeTimes: number | undefined; clientVersion: number },
): Promise<{ isDead: boolean; endOffset: number }> {
  const { store, config, levels, statistics } = parts;
  const back = sendBack(message, { group, ...asked });
  const topic = back.isDeadLetter ? await topicFor(parts, back.topic, back.queues, false) : retries;
  // A group may have more queues for retries than its topic was made with: nobody reads from those.
  const queueId = randomQueue(Math.min(back.queues, topic.readQueueNums));
  const text = printProperties(back.properties);
  const marks = markProperties(text);
  const level = delayLevelOf(marks.delay, levels);
  if (level === 0 && marks.isTimer && !marks.isTimerOut) throw notPut("WHEEL_TIMER_NOT_ENABLE");
  if ((message.sysFlag & SysFlag.innerBatch) !== 0 || marks.hasInnerNumber) throw notPut("MESSAGE_ILLEGAL");
  // The store would make them.
  if (marks.hasLightQueues) throw notPut("MESSAGE_ILLEGAL");
  const place = waitingPlace({ topic: topic.topicName, queueId, properties: text }, level);
  try {
    const { size, endOffset } = store.put({
      topic: place.topic,
      queueId: place.queueId,
      body: message.body,
      properties: Buffer.from(place.properties),
      flag: message.flag,
      sysFlag: message.sysFlag,
      bornTimestamp: message.bornTimestamp,
      bornHost: message.bornHost,
      storeHost: { address: config.brokerIP1, port: config.listenPort },
      reconsumeTimes: back.reconsumeTimes,
    });
    statistics.put(place.topic, 1, size, place.queueId);
    return { isDead: back.isDeadLetter, endOffset };
  } catch (error) {
    parts.health.refused(error);
    const refusal = storeRefusal(error, config.maxMessageSize);
    throw refusal instanceof RequestError ? notPut(STATUS[refusal.code] ?? "UNKNOWN_ERROR", refusal) : error;
  }
}

/** What RocketMQ calls it where a message is not stored. */
const STATUS: Readonly<Record<number, string>> = {
  [ResponseCode.SYSTEM_BUSY]: "OS_PAGE_CACHE_BUSY",
  [ResponseCode.MESSAGE_ILLEGAL]: "MESSAGE_ILLEGAL",
  [ResponseCode.SERVICE_NOT_AVAILABLE]: "SERVICE_NOT_AVAILABLE",
};

function notPut(status: string, cause?: Error): RequestError {
  return new RequestError(ResponseCode.SYSTEM_ERROR, status, { cause });
}
