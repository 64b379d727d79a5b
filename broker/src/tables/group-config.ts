/** What a group of consumers is when nobody says otherwise, and how RocketMQ writes it. */
import type { JsonValue } from "moraine";
import type { SubscriptionGroupConfig } from "../protocol/bodies/subscription-group.ts";
import type { JsonEntry } from "./table-value.ts";

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
    groupRetryPolicy: { type: "CUSTOMIZED" },
    brokerId: 0,
    whichBrokerWhenConsumeSlowly: 1,
    notifyConsumerIdsChangedEnable: true,
    groupSysFlag: 0,
    consumeTimeoutMinute: 15,
    subscriptionDataSet: undefined,
    attributes: {},
    ...given,
  };
}

/** What is not there is left out. */
export function writeGroupConfig(config: SubscriptionGroupConfig): JsonEntry {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined)) as Record<
    string,
    JsonValue
  >;
}
