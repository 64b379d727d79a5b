/**
 * Messages from producers: 10, 310 and 320. What is checked first is what a client is told first, so the order is RocketMQ's
 * (`SendMessageProcessor`, `HookUtils`).
 */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import type { TopicConfig } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { type HostPort, printAddress } from "../protocol/hosts.ts";
import { OffsetMessageIds } from "../protocol/message-ids.ts";
import { deadLetterTopic, groupOfTopic, isRetryTopic } from "../protocol/names.ts";
import { RequestError } from "../protocol/request-error.ts";
import { delaysOf, waitingPlace } from "../services/delay-levels.ts";
import type { QueueLocks } from "../services/queue-locks.ts";
import { isDeadLetter } from "../services/retries.ts";
import type { Statistics } from "../services/statistics.ts";
import type { StoreHealth } from "../services/store-health.ts";
import type { GroupTable } from "../tables/group-table.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers, RequestContext } from "../transport/connection.ts";
import { delayLevelOf } from "./messages/delays.ts";
import { FlushWaits } from "./messages/flush-waits.ts";
import { isBatchTopic, MessageType, SysFlag, typeOf } from "./messages/message-kinds.ts";
import { markProperties, type PropertyMarks } from "./messages/property-marks.ts";
import { PropertyBytes, withoutInnerNumber, withoutOwn, withProperty } from "./messages/property-text.ts";
import {
  compactionRefusal,
  illegalMessage,
  lightQueueRefusal,
  missingGroup,
  storeRefusal,
  timerRefusal,
  transactionRefusal,
} from "./messages/refusals.ts";
import { readSendRequest, type SendRequest } from "./messages/send-request.ts";
import { randomQueue, topicForSend } from "./messages/send-topics.ts";
import { refusedAnswer, type Sent, type Stored, sentAnswer, storedMany, storedOne } from "./messages/sent.ts";
import { UniqueKeys } from "./messages/unique-keys.ts";
import { markWireBatch } from "./messages/wire-batch.ts";

export interface SendParts {
  readonly store: Store;
  /** Told of messages that the store does not take. */
  readonly health: Pick<StoreHealth, "refused">;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  /** Whether a group consumes in order: it holds locks of queues. */
  readonly locks: Pick<QueueLocks, "isLockAllExpired">;
  readonly statistics: Statistics;
  readonly log: Log;
}

export function sendHandlers(parts: SendParts): Handlers {
  const sends = new Sends(parts);
  const handler = (request: Command, context: RequestContext): Response | Promise<Response> =>
    sends.answer(request, context);
  return [
    [RequestCode.SEND_MESSAGE, handler],
    [RequestCode.SEND_MESSAGE_V2, handler],
    [RequestCode.SEND_BATCH_MESSAGE, handler],
  ];
}

/** Longest topic of a batch. */
const MAX_BATCH_TOPIC = 127;

/** A request, with what was found out about it on the way. */
interface Sending {
  readonly send: SendRequest;
  readonly body: Uint8Array;
  readonly bornHost: HostPort;
  readonly marks: PropertyMarks;
}

class Sends {
  readonly #parts: SendParts;
  readonly #storeHost: HostPort;
  readonly #ids: OffsetMessageIds;
  readonly #keys: UniqueKeys;
  readonly #properties: PropertyBytes;
  readonly #flushes: FlushWaits;
  /** How many delay levels there are. */
  readonly #levels: number;

  constructor(parts: SendParts) {
    const { config, store } = parts;
    this.#parts = parts;
    this.#storeHost = { address: config.brokerIP1, port: config.listenPort };
    this.#ids = new OffsetMessageIds(this.#storeHost);
    this.#keys = new UniqueKeys(this.#storeHost);
    this.#properties = new PropertyBytes(config);
    this.#flushes = new FlushWaits(store, config);
    this.#levels = delaysOf(config.messageDelayLevel).length;
  }

  answer(request: Command, context: RequestContext): Response | Promise<Response> {
    try {
      const answer = this.#send(request, context);
      return answer instanceof Promise ? answer.catch((error: unknown) => this.#refused(error)) : answer;
    } catch (error) {
      return this.#refused(error);
    }
  }

  #refused(error: unknown): Response {
    const { config, health } = this.#parts;
    health.refused(error);
    const refusal = storeRefusal(error, config.maxMessageSize);
    if (refusal instanceof RequestError) return refusedAnswer(refusal, config);
    throw refusal;
  }

  #send(request: Command, context: RequestContext): Response | Promise<Response> {
    const { config } = this.#parts;
    const send = readSendRequest(request);
    const { startAcceptSendRequestTimeStamp: start } = config;
    if (start > 0 && context.receivedAt < start) {
      const time = new Date(start).toISOString();
      throw new RequestError(ResponseCode.SYSTEM_ERROR, `broker unable to service, until ${time}`);
    }
    const topic = topicForSend(send, context.connection.remote, this.#parts);
    return topic instanceof Promise
      ? topic.then((made) => this.#sendTo(made, send, request, context))
      : this.#sendTo(topic, send, request, context);
  }

  #sendTo(
    topic: TopicConfig,
    send: SendRequest,
    { body, version }: Command,
    { connection }: RequestContext,
  ): Response | Promise<Response> {
    const sending = { send, body, bornHost: connection.remote, marks: markProperties(send.properties) };
    const queueId = send.queueId < 0 ? randomQueue(topic.writeQueueNums) : send.queueId;
    if (send.batch) return this.#sendBatch(sending, topic, queueId);
    const isDead = isRetryTopic(send.topic) && this.#isDead(send, version);
    return isDead ? this.#sendDead(sending) : this.#sendOne(sending, topic, queueId, send.properties);
  }

  /** Whether a message that a consumer sends again has had its last try. */
  #isDead({ topic, reconsumeTimes, maxReconsumeTimes }: SendRequest, clientVersion: number): boolean {
    const { groups, locks } = this.#parts;
    const name = groupOfTopic(topic);
    const group = groups.find(name);
    if (group === undefined) throw missingGroup(name);
    const isOrderly = !locks.isLockAllExpired(name);
    return isDeadLetter({ group, reconsumeTimes, maxReconsumeTimes, clientVersion, isOrderly });
  }

  async #sendDead(sending: Sending): Promise<Response> {
    const { topics, log } = this.#parts;
    const group = groupOfTopic(sending.send.topic);
    const topic = await topics.createForRetry(deadLetterTopic(group), 1);
    log.warn({ group, client: printAddress(sending.bornHost) }, "a message goes to the dead letters");
    sending.marks.delay = "-1";
    return this.#sendOne(sending, topic, 0, withProperty(sending.send.properties, "DELAY", "-1"));
  }

  #sendOne(sending: Sending, topic: TopicConfig, queueId: number, properties: string): Response | Promise<Response> {
    const { send, body, bornHost, marks } = sending;
    const { store, config, statistics } = this.#parts;
    let { sysFlag } = send;
    if (topic.topicFilterType === "MULTI_TAG") sysFlag |= SysFlag.multiTags;
    let text = marks.hasBrokerProperty ? withoutOwn(properties) : properties;
    if (topic.attributes["cleanup.policy"] === "COMPACTION") throw compactionRefusal(topic.topicName, marks.keys);
    const uniqKey = marks.uniqKey === "" ? this.#keys.next() : marks.uniqKey;
    const uniqPair = marks.uniqKey === "" ? `UNIQ_KEY\u0001${uniqKey}\u0002` : "";
    const level = delayLevelOf(marks.delay, this.#levels);
    const isSentAgain = send.reconsumeTimes > 0 && level > 0;
    const type = typeOf(sysFlag);
    if ((marks.isTransaction && !isSentAgain) || type === MessageType.prepared || type === MessageType.rollback) {
      throw transactionRefusal(config.brokerIP1);
    }
    if (body.length === 0) throw new RequestError(ResponseCode.MESSAGE_ILLEGAL, "message body is null");
    const isInner = (sysFlag & SysFlag.innerBatch) !== 0;
    if ((isInner && !isBatchTopic(topic)) || (marks.hasInnerNumber && !isInner)) {
      throw illegalMessage(config.maxMessageSize);
    }
    if (isInner && marks.hasInnerNumber) text = withoutInnerNumber(text);
    if (marks.hasLightQueues) throw lightQueueRefusal();
    if (isInner) checkInner(body);

    let place: { topic: string; queueId: number } = { topic: topic.topicName, queueId };
    if (level > 0) {
      const waiting = waitingPlace({ ...place, properties: text }, level);
      text = waiting.properties;
      place = waiting;
    } else if (marks.isTimer && !marks.isTimerOut) {
      throw timerRefusal();
    }
    const encoded = this.#properties.encode(text, uniqPair);
    if (encoded === undefined || body.length > config.maxMessageSize) throw illegalMessage(config.maxMessageSize);
    const result = store.put({
      topic: place.topic,
      queueId: place.queueId,
      body,
      properties: encoded,
      flag: send.flag,
      sysFlag,
      bornTimestamp: send.bornTimestamp,
      bornHost,
      storeHost: this.#storeHost,
      reconsumeTimes: send.reconsumeTimes,
      innerBatch: isInner ? true : undefined,
    });
    const stored = storedOne(result);
    statistics.put(place.topic, 1, result.size, place.queueId);
    return this.#settled({ stored, queueId, transactionId: uniqKey, batchUniqId: undefined }, marks);
  }

  #sendBatch(sending: Sending, topic: TopicConfig, queueId: number): Response | Promise<Response> {
    const { send, body, bornHost, marks } = sending;
    const { statistics } = this.#parts;
    const { topicName } = topic;
    if (topicName.length > MAX_BATCH_TOPIC) {
      throw new RequestError(ResponseCode.MESSAGE_ILLEGAL, `message topic length too long ${topicName.length}`);
    }
    if (isRetryTopic(topicName)) {
      throw new RequestError(ResponseCode.MESSAGE_ILLEGAL, `batch request does not support retry group ${topicName}`);
    }
    if (body.length === 0) throw new RequestError(ResponseCode.MESSAGE_ILLEGAL, "message body is null");
    const { maxMessageSize } = this.#parts.config;
    if (body.length > maxMessageSize) throw illegalMessage(maxMessageSize);
    this.#checkBatch(marks, send.sysFlag, body);
    const sysFlag = topic.topicFilterType === "MULTI_TAG" ? send.sysFlag | SysFlag.multiTags : send.sysFlag;
    const options = {
      sysFlag,
      bornTimestamp: send.bornTimestamp,
      bornHost,
      storeHost: this.#storeHost,
      reconsumeTimes: send.reconsumeTimes,
    };
    const isInner = isBatchTopic(topic) && marks.uniqKey !== "";
    const stored = isInner
      ? this.#putInner(topicName, queueId, body, send, options)
      : storedMany(this.#parts.store.putGroup(topicName, queueId, body, options));
    statistics.put(topicName, stored.messages, stored.bytes, queueId);
    const transactionId = marks.uniqKey === "" ? undefined : marks.uniqKey;
    const sent: Sent = { stored, queueId, transactionId, batchUniqId: isInner ? marks.uniqKey : undefined };
    return this.#settled(sent, marks);
  }

  /** Clients refuse these themselves; RocketMQ would store some of them as if nothing had been asked. */
  #checkBatch(marks: PropertyMarks, sysFlag: number, body: Uint8Array): void {
    const { maxMessageSize } = this.#parts.config;
    const type = typeOf(sysFlag);
    if (isSpecial(marks) || type !== MessageType.none) throw notInBatch();
    if ((sysFlag & SysFlag.innerBatch) !== 0 || marks.hasInnerNumber) throw illegalMessage(maxMessageSize);
    if (marks.hasLightQueues) throw lightQueueRefusal();
    checkInner(body);
  }

  /** The batch as one record: the client that consumes it takes it apart. */
  #putInner(
    topic: string,
    queueId: number,
    body: Uint8Array,
    { flag, properties }: SendRequest,
    options: {
      sysFlag: number;
      bornTimestamp: number;
      bornHost: HostPort;
      storeHost: HostPort;
      reconsumeTimes: number;
    },
  ): Stored {
    const text = this.#properties.encode(withoutOwn(properties), "");
    if (text === undefined) throw illegalMessage(this.#parts.config.maxMessageSize);
    const result = this.#parts.store.put({
      ...options,
      topic,
      queueId,
      body,
      flag,
      properties: text,
      innerBatch: true,
    });
    return storedOne(result);
  }

  /** Answers once the message is as safe as the configuration says. */
  #settled(sent: Sent, marks: PropertyMarks): Response | Promise<Response> {
    const { config } = this.#parts;
    if (config.flushDiskType === "SYNC_FLUSH" && marks.isWaiting) return this.#flushed(sent);
    return sentAnswer(ResponseCode.SUCCESS, sent, this.#ids, config);
  }

  async #flushed(sent: Sent): Promise<Response> {
    const isDurable = await this.#flushes.until(sent.stored.endOffset);
    const code = isDurable ? ResponseCode.SUCCESS : ResponseCode.FLUSH_DISK_TIMEOUT;
    return sentAnswer(code, sent, this.#ids, this.#parts.config);
  }
}

function checkInner(body: Uint8Array): void {
  for (const inner of markWireBatch(body)) {
    if (isSpecial(inner)) throw notInBatch();
    if (inner.hasLightQueues) throw lightQueueRefusal();
  }
}

function isSpecial({ isTransaction, isTimer, delay }: PropertyMarks): boolean {
  return isTransaction || isTimer || delayLevelOf(delay, 1) > 0;
}

function notInBatch(): RequestError {
  return new RequestError(
    ResponseCode.MESSAGE_ILLEGAL,
    "a batch has a message that is delayed, timed or of a transaction; send it alone",
  );
}
