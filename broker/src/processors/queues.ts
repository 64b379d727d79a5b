/** Queues as administrative bodies name them, and what clients call queues. */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { TopicConfig } from "../protocol/bodies/topic-config.ts";
import { ResponseCode } from "../protocol/codes.ts";
import { printAddress } from "../protocol/hosts.ts";
import { RequestError } from "../protocol/request-error.ts";

/** What can be the topic of a queue in a store of RocketMQ. */
const TOPIC = /^[%|\w-]{1,255}$/;

/** Whether a store can be asked about a queue: what it has none of answers as an empty one. */
export function knownQueue(topic: string, queueId: number): boolean {
  return queueId >= 0 && TOPIC.test(topic);
}

/** Whether a topic has a queue: those beyond take no memory of anybody's. */
export function isQueueOf(topic: TopicConfig | undefined, queueId: number): boolean {
  return topic !== undefined && queueId >= 0 && queueId < Math.max(topic.readQueueNums, topic.writeQueueNums);
}

export function checkQueueId(queueId: number): number {
  if (queueId >= 0) return queueId;
  throw new RequestError(ResponseCode.INVALID_PARAMETER, `queueId is ${queueId}; it must be 0 or more`);
}

/** What RocketMQ answers for the time of a message that is not there. */
export const NO_TIME = -1;

/** Store time of a message, in ms since the epoch; `NO_TIME` where there is none. */
export function timeOrNone(store: Store, topic: string, queueId: number, queueOffset: number): number {
  return queueOffset < 0 ? NO_TIME : (store.timeOf(topic, queueId, queueOffset) ?? NO_TIME);
}

/** Store time of the first message that a queue has. */
export function earliestTimeOf(store: Store, topic: string, queueId: number): number {
  if (!knownQueue(topic, queueId)) return NO_TIME;
  return timeOrNone(store, topic, queueId, store.offsets(topic, queueId).min);
}

/**
 * Where a queue stood at a time in ms since the epoch; 0 for a queue that does not exist. Times before the epoch are
 * its start.
 */
export function offsetAtTime(
  store: Store,
  topic: string,
  queueId: number,
  timestamp: number,
  boundary: "lower" | "upper" = "lower",
): number {
  if (!knownQueue(topic, queueId)) return 0;
  const time = Math.min(Math.max(timestamp, 0), Number.MAX_SAFE_INTEGER);
  return store.offsetByTime(topic, queueId, time, boundary);
}

/** Where clients reach the broker. */
export function brokerAddress({ brokerIP1, listenPort }: Pick<BrokerConfig, "brokerIP1" | "listenPort">): string {
  return printAddress({ address: brokerIP1, port: listenPort });
}
