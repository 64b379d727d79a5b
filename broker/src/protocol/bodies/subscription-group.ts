/** Consumer groups as tools configure them. */
import { readBoolean, readInt, readLong, readMembers, readText, readTextTable } from "./reading.ts";

export interface SubscriptionGroupConfig {
  readonly groupName: string;
  readonly consumeEnable: boolean;
  readonly consumeFromMinEnable: boolean;
  readonly consumeBroadcastEnable: boolean;
  readonly consumeMessageOrderly: boolean;
  readonly retryQueueNums: number;
  readonly retryMaxTimes: number;
  /** Kept as it came. */
  readonly groupRetryPolicy: unknown;
  readonly brokerId: number;
  readonly whichBrokerWhenConsumeSlowly: number;
  readonly notifyConsumerIdsChangedEnable: boolean;
  readonly groupSysFlag: number;
  readonly consumeTimeoutMinute: number;
  /** Kept as it came. */
  readonly subscriptionDataSet: unknown;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What is missing is as in Java's `SubscriptionGroupConfig`. */
export function readSubscriptionGroupConfig(value: unknown): SubscriptionGroupConfig {
  const config = readMembers(value, "a group's configuration");
  return {
    groupName: readText(config, "groupName"),
    consumeEnable: readBoolean(config, "consumeEnable", true),
    consumeFromMinEnable: readBoolean(config, "consumeFromMinEnable", true),
    consumeBroadcastEnable: readBoolean(config, "consumeBroadcastEnable", true),
    consumeMessageOrderly: readBoolean(config, "consumeMessageOrderly"),
    retryQueueNums: readInt(config, "retryQueueNums", 1),
    retryMaxTimes: readInt(config, "retryMaxTimes", 16),
    groupRetryPolicy: config.groupRetryPolicy ?? undefined,
    brokerId: readLong(config, "brokerId"),
    whichBrokerWhenConsumeSlowly: readLong(config, "whichBrokerWhenConsumeSlowly", 1),
    notifyConsumerIdsChangedEnable: readBoolean(config, "notifyConsumerIdsChangedEnable", true),
    groupSysFlag: readInt(config, "groupSysFlag"),
    consumeTimeoutMinute: readInt(config, "consumeTimeoutMinute", 15),
    subscriptionDataSet: config.subscriptionDataSet ?? undefined,
    attributes: readTextTable(config, "attributes"),
  };
}
