/** Topics as brokers and tools tell them. */
import { type DataVersion, readDataVersion } from "./data-version.ts";
import {
  type Members,
  readBody,
  readBoolean,
  readEntries,
  readEnum,
  readInt,
  readMembers,
  readOptionalText,
  readText,
  readTextTable,
} from "./reading.ts";

/** Bits of `perm`. */
export const Permission = { PRIORITY: 8, READ: 4, WRITE: 2, INHERIT: 1 } as const;

const FILTER_TYPES = ["SINGLE_TAG", "MULTI_TAG"] as const;
const DEFAULT_QUEUES = 16;

export type TopicFilterType = (typeof FILTER_TYPES)[number];

export interface TopicConfig {
  readonly topicName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  readonly perm: number;
  readonly topicFilterType: TopicFilterType;
  /** 1: of a unit; 2: subscribed to by units. */
  readonly topicSysFlag: number;
  readonly order: boolean;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What is missing is as in Java's `TopicConfig`. `named` is the name where the value has none. */
export function readTopicConfig(value: unknown, named?: string): TopicConfig {
  const config = readMembers(value, "a topic's configuration");
  return {
    topicName: readOptionalText(config, "topicName") ?? named ?? readText(config, "topicName"),
    readQueueNums: readInt(config, "readQueueNums", DEFAULT_QUEUES),
    writeQueueNums: readInt(config, "writeQueueNums", DEFAULT_QUEUES),
    perm: readInt(config, "perm", Permission.READ | Permission.WRITE),
    topicFilterType: readEnum(config, "topicFilterType", FILTER_TYPES, "SINGLE_TAG"),
    topicSysFlag: readInt(config, "topicSysFlag"),
    order: readBoolean(config, "order"),
    attributes: readTextTable(config, "attributes"),
  };
}

/** `TopicConfigSerializeWrapper`, as in topics.json, registrations and GET_ALL_TOPIC_CONFIG (21). */
export interface TopicConfigWrapper {
  readonly dataVersion: DataVersion;
  readonly topicConfigTable: ReadonlyMap<string, TopicConfig>;
}

export function readTopicConfigWrapper(wrapper: Members): TopicConfigWrapper {
  const table = new Map<string, TopicConfig>();
  for (const [name, value] of readEntries(wrapper, "topicConfigTable")) table.set(name, readTopicConfig(value, name));
  return { dataVersion: readDataVersion(wrapper.dataVersion), topicConfigTable: table };
}

/** UPDATE_AND_CREATE_TOPIC_LIST (18). */
export function readTopicConfigList(bytes: Uint8Array): TopicConfig[] {
  const body = readBody(bytes);
  const list = body.topicConfigList;
  return Array.isArray(list) ? list.map((value) => readTopicConfig(value)) : [];
}

export interface TopicList {
  readonly topicList: Iterable<string>;
  readonly brokerAddr?: string | undefined;
}
