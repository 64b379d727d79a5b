/** What RocketMQ's own tables have in common, and what of each is more than values under keys (store-format chapter 1.2). */
import { JsonArray, type JsonNode, JsonObject } from "./json/nodes.ts";

/** Consumer offsets; the second one takes the place of the first in a broker with light queues. */
export const CONSUMER_OFFSET = "consumerOffset";
export const LMQ_CONSUMER_OFFSET = "lmqConsumerOffset";
/** Between topic and group in the keys of `offsetTable`. */
export const TOPIC_GROUP_SEPARATOR = "@";

const VERSIONED: ReadonlySet<string> = new Set([
  "topics",
  "subscriptionGroup",
  "delayOffset",
  "topicQueueMapping",
  CONSUMER_OFFSET,
  LMQ_CONSUMER_OFFSET,
]);

/** Whether a table says how far consumer groups have come. */
export function isGroupOffsets(table: string): boolean {
  return table === CONSUMER_OFFSET || table === LMQ_CONSUMER_OFFSET;
}

/** Whether keys of the object that `keys` lead to are integers, which RocketMQ writes without quotes. */
export function hasIntegerKeys(table: string, keys: readonly string[]): boolean {
  const [first, , , last] = keys;
  switch (table) {
    case CONSUMER_OFFSET:
    case LMQ_CONSUMER_OFFSET:
      return first === "offsetTable" && keys.length === 2;
    case "delayOffset":
      return first === "offsetTable" && keys.length === 1;
    case "consumerOrderInfo":
      return first === "table" && (keys.length === 2 || (keys.length === 4 && (last === "oc" || last === "ot")));
    default:
      return false;
  }
}

/** Keys of a table of offsets: by group and topic, and what is derived from these. */
const OFFSETS = "offsetTable";
const GROUP_TOPICS = "groupTopicMap";
const VERSION = "dataVersion";

/** Whether something of a table is derived from the keys of the object under a key of it. */
export function isDerivedFrom(table: string, key: string): boolean {
  return (table === CONSUMER_OFFSET || table === LMQ_CONSUMER_OFFSET) && key === OFFSETS;
}

/** How a table is completed before it is written. */
export interface Completion {
  readonly table: string;
  /** There was no file: RocketMQ's tables get a version, and its order of keys, the alphabet's. */
  readonly isNew: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The caller has set a version, which stays as it is. */
  readonly keepVersion: boolean;
  /** Keys may have come or gone from which something is derived. */
  readonly keysChanged: boolean;
  /** Told of what is changed: keys that lead to it. */
  readonly onChange: (keys: readonly string[]) => void;
}

/** Derived values and the version, before a table is written. */
export function complete(root: JsonObject, completion: Completion): void {
  const { table, isNew, now, keepVersion, keysChanged, onChange } = completion;
  if (keysChanged && isDerivedFrom(table, OFFSETS)) deriveGroupTopicMap(root.entries, onChange);
  if (isNew && VERSIONED.has(table)) {
    if (!root.entries.has(VERSION)) root.entries.set(VERSION, firstVersion());
    sortKeys(root.entries);
  }
  if (keepVersion) return;
  nextVersion(root.entries.get(VERSION), now);
  onChange([VERSION]);
}

function firstVersion(): JsonObject {
  return new JsonObject(
    new Map([
      ["counter", 0],
      ["stateVersion", 0],
      ["timestamp", 0],
    ]),
  );
}

/** As RocketMQ's DataVersion goes on: brokers that follow one another compare it. */
function nextVersion(version: JsonNode | undefined, now: number): void {
  if (!(version instanceof JsonObject)) return;
  const counter = version.entries.get("counter");
  if (typeof counter === "number" && Number.isSafeInteger(counter + 1)) version.entries.set("counter", counter + 1);
  else if (typeof counter === "number" || typeof counter === "bigint") {
    version.entries.set("counter", BigInt.asIntN(64, BigInt(counter) + 1n));
  } else version.entries.set("counter", 1);
  version.entries.set("timestamp", now);
}

function sortKeys(entries: Map<string, JsonNode>): void {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  entries.clear();
  for (const [key, value] of sorted) entries.set(key, value);
}

/** `groupTopicMap` says of each group which topics `offsetTable` has for it. RocketMQ writes it and never reads it. */
function deriveGroupTopicMap(entries: Map<string, JsonNode>, onChange: Completion["onChange"]): void {
  const offsets = entries.get(OFFSETS);
  if (!(offsets instanceof JsonObject)) return;
  const topics = topicsByGroup(offsets.entries.keys());
  let map = entries.get(GROUP_TOPICS);
  if (!(map instanceof JsonObject)) {
    map = new JsonObject();
    entries.set(GROUP_TOPICS, map);
    onChange([GROUP_TOPICS]);
  }
  for (const group of [...map.entries.keys()]) {
    if (topics.has(group)) continue;
    map.entries.delete(group);
    onChange([GROUP_TOPICS, group]);
  }
  for (const [group, names] of topics) {
    if (isListOf(names, map.entries.get(group))) continue;
    map.entries.set(group, new JsonArray([...names]));
    onChange([GROUP_TOPICS, group]);
  }
}

function topicsByGroup(keys: Iterable<string>): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>();
  for (const key of keys) {
    const { topic, group } = topicAndGroup(key) ?? {};
    if (topic === undefined || group === undefined) continue;
    const topics = groups.get(group);
    if (topics === undefined) groups.set(group, new Set([topic]));
    else topics.add(topic);
  }
  return groups;
}

/** Both halves of a key of `offsetTable`; undefined for one that RocketMQ would not take apart either. */
export function topicAndGroup(key: string): { topic: string; group: string } | undefined {
  const at = key.indexOf(TOPIC_GROUP_SEPARATOR);
  if (at < 0 || at === key.length - 1 || key.indexOf(TOPIC_GROUP_SEPARATOR, at + 1) >= 0) return undefined;
  return { topic: key.slice(0, at), group: key.slice(at + 1) };
}

function isListOf(names: ReadonlySet<string>, node: JsonNode | undefined): boolean {
  if (!(node instanceof JsonArray) || node.items.length !== names.size) return false;
  return node.items.every((item) => typeof item === "string" && names.has(item));
}
