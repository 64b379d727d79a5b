/** What a topic is, as RocketMQ keeps it. */
import type { JsonValue } from "moraine";
import { EntryReader, type JsonEntry } from "./entry-reader.ts";

/** Bits of `perm`. */
export const Permission = {
  /** Topics that are made by sending to them may be like this one. */
  inherit: 1,
  write: 2,
  read: 4,
} as const;

export interface TopicConfig {
  readonly topicName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  /** Bits of `Permission`. */
  readonly perm: number;
  readonly topicFilterType: "SINGLE_TAG" | "MULTI_TAG";
  /** 1: of a unit; 2: subscribed to by units. */
  readonly topicSysFlag: number;
  readonly order: boolean;
  readonly attributes: Readonly<Record<string, string>>;
}

const READ_WRITE = Permission.read | Permission.write;

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

/** Queues of a topic of which nobody has said how many it has. */
const DEFAULT_QUEUES = 16;

export function readTopicConfig(place: string, topicName: string, entry: JsonValue): TopicConfig {
  const fields = new EntryReader(place, entry);
  return {
    topicName,
    readQueueNums: fields.integer("readQueueNums", DEFAULT_QUEUES),
    writeQueueNums: fields.integer("writeQueueNums", DEFAULT_QUEUES),
    perm: fields.integer("perm", READ_WRITE),
    topicFilterType: fields.choice<TopicConfig["topicFilterType"]>("topicFilterType", "SINGLE_TAG", "MULTI_TAG"),
    topicSysFlag: fields.integer("topicSysFlag", 0),
    order: fields.boolean("order", false),
    attributes: fields.texts("attributes"),
  };
}

export function writeTopicConfig(config: TopicConfig): JsonEntry {
  const { attributes, order, perm, readQueueNums, topicFilterType, topicName, topicSysFlag, writeQueueNums } = config;
  return { attributes, order, perm, readQueueNums, topicFilterType, topicName, topicSysFlag, writeQueueNums };
}
