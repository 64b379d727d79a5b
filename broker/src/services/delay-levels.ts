/** Messages that are to be delivered later: levels, and what becomes of a message that asks for one. */
import { PropertyName, parseProperties, printProperties } from "../protocol/message-properties.ts";
import { deadLetterTopic, SystemTopic } from "../protocol/names.ts";

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The times of the levels 1, 2 … in milliseconds, from RocketMQ's `messageDelayLevel`, which was checked. */
export function delaysOf(messageDelayLevel: string): readonly number[] {
  return messageDelayLevel
    .split(" ")
    .filter((level) => level !== "")
    .map((level) => Number(level.slice(0, -1)) * (UNIT_MS[level.slice(-1)] ?? Number.NaN));
}

/**
 * Where a message goes that has waited and can be put nowhere else: the dead letters of the group for which RocketMQ counts
 * what was delivered after a delay.
 */
export const UNDELIVERABLE: { readonly topic: string; readonly queueId: number } = {
  topic: deadLetterTopic("SCHEDULE_CONSUMER"),
  queueId: 0,
};

export interface Placed {
  readonly topic: string;
  readonly queueId: number;
  /** The property string. */
  readonly properties: string;
}

/** Exact times are no longer asked for where there is a level. */
const TIMER_NAMES: readonly string[] = [
  PropertyName.TIMER_DELIVER_MS,
  PropertyName.TIMER_DELAY_SEC,
  PropertyName.TIMER_DELAY_MS,
];

/**
 * Where a message waits that asks for a delay level, with the place where it will go in its properties; the message itself
 * where it asks for none.
 */
export function waitingPlace(message: Placed, level: number): Placed {
  if (level <= 0) return message;
  const properties = parseProperties(message.properties);
  for (const name of TIMER_NAMES) properties.delete(name);
  properties.set(PropertyName.DELAY, String(level));
  properties.set(PropertyName.REAL_TOPIC, message.topic);
  properties.set(PropertyName.REAL_QUEUE_ID, String(message.queueId));
  return { topic: SystemTopic.SCHEDULE, queueId: level - 1, properties: printProperties(properties) };
}

/** Where a message goes that has waited; undefined where it does not say, or says what no message may. */
export function realPlace(properties: ReadonlyMap<string, string>): { topic: string; queueId: number } | undefined {
  const topic = properties.get(PropertyName.REAL_TOPIC);
  const queueId = properties.get(PropertyName.REAL_QUEUE_ID);
  if (topic === undefined || queueId === undefined || !/^\d{1,10}$/.test(queueId)) return undefined;
  // A half message is no message yet, and may not be made one by waiting.
  if (topic === SystemTopic.TRANSACTION_HALF) return undefined;
  return { topic, queueId: Number(queueId) };
}
