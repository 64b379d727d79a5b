/** What becomes of a message that a consumer could not process: tried again later, or put with the dead letters. */

import type { SubscriptionGroupConfig } from "../protocol/bodies/subscription-group.ts";
import { PropertyName } from "../protocol/message-properties.ts";
import { deadLetterTopic, retryTopic } from "../protocol/names.ts";
import { Version } from "../protocol/versions.ts";

/** Level of the first retry; each one after it is a level higher. */
const FIRST_RETRY_LEVEL = 3;

/** A message as it was found in the log. */
export interface Consumed {
  readonly topic: string;
  readonly reconsumeTimes: number;
  readonly properties: ReadonlyMap<string, string>;
  readonly offsetMsgId: string;
}

export interface SendBackRequest {
  readonly group: SubscriptionGroupConfig;
  /** Below 0: no more retries; 0: the broker decides. */
  readonly delayLevel: number;
  /** What the client allows; undefined where it does not say. */
  readonly maxReconsumeTimes: number | undefined;
  /** Ordinal of the client's version. */
  readonly clientVersion: number;
}

/** Where a message goes that was sent back, and what its record says. */
export interface SentBack {
  readonly topic: string;
  readonly isDeadLetter: boolean;
  /** Queues of the topic, if it has to be made. */
  readonly queues: number;
  /** 0: at once. */
  readonly delayLevel: number;
  readonly reconsumeTimes: number;
  readonly properties: ReadonlyMap<string, string>;
}

/** Times that a message is tried again: of the group, or what a client that is new enough says. */
export function maxReconsumeTimes(
  group: SubscriptionGroupConfig,
  given: number | undefined,
  clientVersion: number,
): number {
  return given !== undefined && clientVersion >= Version.V3_4_9 ? given : group.retryMaxTimes;
}

/** What becomes of a message that a consumer has sent back (code 36). */
export function sendBack(message: Consumed, request: SendBackRequest): SentBack {
  const { group, delayLevel, clientVersion } = request;
  const { reconsumeTimes } = message;
  const maximum = maxReconsumeTimes(group, request.maxReconsumeTimes, clientVersion);
  const isDeadLetter = reconsumeTimes >= maximum || delayLevel < 0;
  const level = delayLevel === 0 ? FIRST_RETRY_LEVEL + reconsumeTimes : delayLevel;
  const properties = new Map(message.properties);
  if (!properties.has(PropertyName.RETRY_TOPIC)) properties.set(PropertyName.RETRY_TOPIC, message.topic);
  if (!properties.has(PropertyName.ORIGIN_MESSAGE_ID)) {
    properties.set(PropertyName.ORIGIN_MESSAGE_ID, message.offsetMsgId);
  }
  // Nobody waits for the disk on its behalf.
  properties.set(PropertyName.WAIT, "false");
  properties.set(PropertyName.DELAY, String(isDeadLetter ? 0 : level));
  return {
    topic: isDeadLetter ? deadLetterTopic(group.groupName) : retryTopic(group.groupName),
    isDeadLetter,
    queues: isDeadLetter ? 1 : group.retryQueueNums,
    delayLevel: isDeadLetter ? 0 : level,
    reconsumeTimes: reconsumeTimes + 1,
    properties,
  };
}

export interface RetrySend {
  readonly group: SubscriptionGroupConfig;
  readonly reconsumeTimes: number;
  readonly maxReconsumeTimes: number | undefined;
  readonly clientVersion: number;
  /** Whether some consumer of the group has a queue for itself: it consumes in order. */
  readonly isOrderly: boolean;
}

/** Whether a message that a client itself sends to a retry topic goes to the dead letters instead, to queue 0, at once. */
export function isDeadLetter(send: RetrySend): boolean {
  const { group, reconsumeTimes, clientVersion, isOrderly } = send;
  return isOrderly || reconsumeTimes > maxReconsumeTimes(group, send.maxReconsumeTimes, clientVersion);
}
