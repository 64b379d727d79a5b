/** Names of topics and groups: what is allowed in them, and which RocketMQ itself uses (`TopicValidator`, `MixAll`). */
import { ResponseCode } from "./codes.ts";
import { RequestError } from "./request-error.ts";

const MAX_TOPIC_LENGTH = 127;
const MAX_RETRY_TOPIC_LENGTH = 255;
const MAX_GROUP_LENGTH = 120;

const RETRY_PREFIX = "%RETRY%";
const DEAD_LETTER_PREFIX = "%DLQ%";
const SYSTEM_TOPIC_PREFIX = "rmq_sys_";
const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_";

export const SystemTopic = {
  /** The topic whose configuration automatically made topics take. */
  DEFAULT: "TBW102",
  SCHEDULE: "SCHEDULE_TOPIC_XXXX",
  BENCHMARK: "BenchmarkTest",
  TRANSACTION_HALF: "RMQ_SYS_TRANS_HALF_TOPIC",
  TRANSACTION_OP: "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  TRANSACTION_CHECK_MAX_TIME: "TRANS_CHECK_MAX_TIME_TOPIC",
  TRACE: "RMQ_SYS_TRACE_TOPIC",
  SELF_TEST: "SELF_TEST_TOPIC",
  OFFSET_MOVED: "OFFSET_MOVED_EVENT",
  CHECKPOINT: "CHECKPOINT_TOPIC",
  TIMER: "rmq_sys_wheel_timer",
} as const;

const SYSTEM_TOPICS: ReadonlySet<string> = new Set(Object.values(SystemTopic));

const NOT_FOR_CLIENTS: ReadonlySet<string> = new Set([
  SystemTopic.SCHEDULE,
  SystemTopic.TRANSACTION_HALF,
  SystemTopic.TRANSACTION_OP,
  SystemTopic.TRANSACTION_CHECK_MAX_TIME,
  SystemTopic.SELF_TEST,
  SystemTopic.OFFSET_MOVED,
]);

/** Groups that a fresh broker has. */
export const SYSTEM_GROUPS: readonly string[] = [
  "TOOLS_CONSUMER",
  "FILTERSRV_CONSUMER",
  "SELF_TEST_C_GROUP",
  "CID_ONS-HTTP-PROXY",
  "CID_ONSAPI_PULL",
  "CID_ONSAPI_PERMISSION",
  "CID_ONSAPI_OWNER",
  "CID_RMQ_SYS_TRANS",
];

const TOOL_GROUPS: ReadonlySet<string> = new Set([
  ...SYSTEM_GROUPS,
  "DEFAULT_CONSUMER",
  "SCHEDULE_CONSUMER",
  "__MONITOR_CONSUMER",
]);

/** Why a topic cannot have this name; `undefined` if it can. */
export function topicNameProblem(topic: string): string | undefined {
  const longest = isRetryTopic(topic) || isDeadLetterTopic(topic) ? MAX_RETRY_TOPIC_LENGTH : MAX_TOPIC_LENGTH;
  return nameProblem("topic", topic, longest);
}

/** Why a group cannot have this name; `undefined` if it can. */
export function groupNameProblem(group: string): string | undefined {
  return nameProblem("group", group, MAX_GROUP_LENGTH);
}

function nameProblem(kind: string, name: string, longest: number): string | undefined {
  if (name.trim() === "") return `The specified ${kind} is blank.`;
  if (!hasLegalCharacters(name)) {
    return `The specified ${kind}: ${name}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`;
  }
  if (name.length > longest) return `The specified ${kind}: ${name}, is longer than ${kind} max length: ${longest}`;
  return undefined;
}

/** Throws a `RequestError` with INVALID_PARAMETER for a name that no topic can have. */
export function checkTopicName(topic: string): void {
  const problem = topicNameProblem(topic);
  if (problem !== undefined) throw new RequestError(ResponseCode.INVALID_PARAMETER, problem);
}

/** Throws a `RequestError` with INVALID_PARAMETER for a name that no group can have. */
export function checkGroupName(group: string): void {
  const problem = groupNameProblem(group);
  if (problem !== undefined) throw new RequestError(ResponseCode.INVALID_PARAMETER, problem);
}

/** ASCII letters and digits, and % | - _ */
const LEGAL: readonly boolean[] = Array.from({ length: 128 }, (_, unit) =>
  /[%|a-zA-Z0-9_-]/.test(String.fromCharCode(unit)),
);

function hasLegalCharacters(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    if (LEGAL[name.charCodeAt(at)] !== true) return false;
  }
  return true;
}

export function retryTopic(group: string): string {
  return RETRY_PREFIX + group;
}

export function deadLetterTopic(group: string): string {
  return DEAD_LETTER_PREFIX + group;
}

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_PREFIX);
}

export function isDeadLetterTopic(topic: string): boolean {
  return topic.startsWith(DEAD_LETTER_PREFIX);
}

/** The group of a retry or dead letter topic; the name itself for any other topic. */
export function groupOfTopic(topic: string): string {
  if (isRetryTopic(topic)) return topic.slice(RETRY_PREFIX.length);
  if (isDeadLetterTopic(topic)) return topic.slice(DEAD_LETTER_PREFIX.length);
  return topic;
}

/** Whether the topic is RocketMQ's own: by its name, or as one of those that the broker made for itself (`own`). */
export function isSystemTopic(topic: string, own?: ReadonlySet<string>): boolean {
  return SYSTEM_TOPICS.has(topic) || topic.startsWith(SYSTEM_TOPIC_PREFIX) || (own?.has(topic) ?? false);
}

/** Whether clients may not send to it. */
export function isNotSendable(topic: string): boolean {
  return NOT_FOR_CLIENTS.has(topic);
}

export function isSystemGroup(group: string): boolean {
  return group.startsWith(SYSTEM_GROUP_PREFIX);
}

/** Whether RocketMQ's own tools and services pull by this name. */
export function isToolGroup(group: string): boolean {
  return TOOL_GROUPS.has(group) || isSystemGroup(group);
}
