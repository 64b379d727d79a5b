/** What a topic is when nobody says otherwise, and how RocketMQ writes it. */
import { Permission, type TopicConfig } from "../protocol/bodies/topic-config.ts";
import type { JsonEntry } from "./table-value.ts";

export const READ_WRITE: number = Permission.READ | Permission.WRITE;

/** Bits of `topicSysFlag`: it is a unit's, and units subscribe to it. */
export const TopicFlag = { unit: 1, unitSubscribed: 2 } as const;

/** A topic with RocketMQ's defaults, but for what is given. */
export function topicConfig(topicName: string, queues: number, given: Partial<TopicConfig> = {}): TopicConfig {
  return {
    topicName,
    readQueueNums: queues,
    writeQueueNums: queues,
    perm: READ_WRITE,
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: 0,
    order: false,
    attributes: {},
    ...given,
  };
}

export function writeTopicConfig(config: TopicConfig): JsonEntry {
  const { attributes, order, perm, readQueueNums, topicFilterType, topicName, topicSysFlag, writeQueueNums } = config;
  return { attributes, order, perm, readQueueNums, topicFilterType, topicName, topicSysFlag, writeQueueNums };
}
