/** What a group of consumers is, as RocketMQ keeps it. */
import type { JsonValue } from "moraine";
import { EntryReader, type JsonEntry } from "./entry-reader.ts";

export interface SubscriptionGroupConfig {
  readonly groupName: string;
  readonly consumeEnable: boolean;
  readonly consumeFromMinEnable: boolean;
  readonly consumeBroadcastEnable: boolean;
  readonly consumeMessageOrderly: boolean;
  readonly retryQueueNums: number;
  readonly retryMaxTimes: number;
  /** As it came: how long POP consumers wait. */
  readonly groupRetryPolicy: JsonValue;
  readonly brokerId: number;
  readonly whichBrokerWhenConsumeSlowly: number;
  readonly notifyConsumerIdsChangedEnable: boolean;
  readonly groupSysFlag: number;
  readonly consumeTimeoutMinute: number;
  /** As it came: subscriptions that hold without a client; undefined where there are none. */
  readonly subscriptionDataSet?: JsonValue | undefined;
  readonly attributes: Readonly<Record<string, string>>;
}

const DEFAULT_POLICY: JsonValue = { type: "CUSTOMIZED" };

/** A group with RocketMQ's defaults, but for what is given. */
export function groupConfig(groupName: string, given: Partial<SubscriptionGroupConfig> = {}): SubscriptionGroupConfig {
  return {
    groupName,
    consumeEnable: true,
    consumeFromMinEnable: true,
    consumeBroadcastEnable: true,
    consumeMessageOrderly: false,
    retryQueueNums: 1,
    retryMaxTimes: 16,
    groupRetryPolicy: DEFAULT_POLICY,
    brokerId: 0,
    whichBrokerWhenConsumeSlowly: 1,
    notifyConsumerIdsChangedEnable: true,
    groupSysFlag: 0,
    consumeTimeoutMinute: 15,
    attributes: {},
    ...given,
  };
}

/** A group from what a table or a request has. Throws TableError. */
export function readGroupConfig(place: string, groupName: string, entry: JsonValue): SubscriptionGroupConfig {
  const fields = new EntryReader(place, entry);
  const subscriptions = fields.value("subscriptionDataSet");
  const byDefault = groupConfig(groupName);
  return {
    groupName,
    consumeEnable: fields.boolean("consumeEnable", byDefault.consumeEnable),
    consumeFromMinEnable: fields.boolean("consumeFromMinEnable", byDefault.consumeFromMinEnable),
    consumeBroadcastEnable: fields.boolean("consumeBroadcastEnable", byDefault.consumeBroadcastEnable),
    consumeMessageOrderly: fields.boolean("consumeMessageOrderly", byDefault.consumeMessageOrderly),
    retryQueueNums: fields.integer("retryQueueNums", byDefault.retryQueueNums),
    retryMaxTimes: fields.integer("retryMaxTimes", byDefault.retryMaxTimes),
    groupRetryPolicy: fields.value("groupRetryPolicy") ?? DEFAULT_POLICY,
    brokerId: fields.integer("brokerId", byDefault.brokerId),
    whichBrokerWhenConsumeSlowly: fields.integer(
      "whichBrokerWhenConsumeSlowly",
      byDefault.whichBrokerWhenConsumeSlowly,
    ),
    notifyConsumerIdsChangedEnable: fields.boolean(
      "notifyConsumerIdsChangedEnable",
      byDefault.notifyConsumerIdsChangedEnable,
    ),
    groupSysFlag: fields.integer("groupSysFlag", byDefault.groupSysFlag),
    consumeTimeoutMinute: fields.integer("consumeTimeoutMinute", byDefault.consumeTimeoutMinute),
    attributes: fields.texts("attributes"),
    ...(subscriptions === undefined ? {} : { subscriptionDataSet: subscriptions }),
  };
}

export function writeGroupConfig(config: SubscriptionGroupConfig): JsonEntry {
  const { subscriptionDataSet, ...fields } = config;
  return subscriptionDataSet === undefined ? fields : { ...fields, subscriptionDataSet };
}
