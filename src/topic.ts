/**
 * Topic names: 1 to 127 bytes of letters, digits, `%`, `|`, `-` and `_`; 255 where a name starts with `%RETRY%` or
 * `%DLQ%` (RocketMQ's TopicValidator; one character is one byte). Properties and folders of other writers make queues of
 * other names too: whatever names a folder can be read.
 */
import { argumentError, type StoreError, shown } from "./errors.ts";

/** Longest topic of an application. */
export const MAX_TOPIC_BYTES = 127;
/** Longest topic that starts with `%RETRY%` or `%DLQ%`. */
export const MAX_SYSTEM_TOPIC_BYTES = 255;

/** What the name of a light queue begins with; it is the topic of a queue with id 0 (store-format chapter 3.6). */
export const LIGHT_QUEUE_PREFIX = "%LMQ%";

/** 1 at the character codes that a topic may have. */
const ALPHABET: Uint8Array = new Uint8Array(128);
for (const character of "%|-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  ALPHABET[character.charCodeAt(0)] = 1;
}

/**
 * Writes a topic, checked on the way, to `bytes` at `at`, where there is room for MAX_SYSTEM_TOPIC_BYTES.
 * Returns its length in bytes, or 0 where the topic is none: `topicError` then has the reason.
 */
export function writeTopic(topic: unknown, bytes: Uint8Array, at: number): number {
  if (typeof topic !== "string") return 0;
  const length = topic.length;
  if (length > MAX_SYSTEM_TOPIC_BYTES) return 0;
  for (let i = 0; i < length; i++) {
    const code = topic.charCodeAt(i);
    if (ALPHABET[code] !== 1) return 0;
    bytes[at + i] = code;
  }
  return length;
}

/** Whether a well-formed topic of more than 127 bytes may be written at all. */
export function mayBeLong(topic: string): boolean {
  return topic.startsWith("%RETRY%") || topic.startsWith("%DLQ%");
}

/** Whether messages of a topic can go to light queues. */
export function mayMultiDispatch(topic: string): boolean {
  return !topic.startsWith("%RETRY%") && !topic.startsWith("rmq_sys_") && topic !== "SCHEDULE_TOPIC_XXXX";
}

/**
 * Writes the name of a light queue to `bytes` at `at`, where there is room for MAX_SYSTEM_TOPIC_BYTES, and returns its
 * length. `argument` is its path.
 */
export function writeLightQueue(argument: string, name: unknown, bytes: Uint8Array, at: number): number {
  const length = writeTopic(name, bytes, at);
  if (
    length > LIGHT_QUEUE_PREFIX.length &&
    length <= MAX_TOPIC_BYTES &&
    (name as string).startsWith(LIGHT_QUEUE_PREFIX)
  ) {
    return length;
  }
  throw argumentError(
    argument,
    `${argument} is ${shown(name)}; a light queue has a name of at most 127 letters, digits, "%", "|", "-" and "_" that begins with "%LMQ%"`,
  );
}

/** Why a value is no topic, as an error for the argument at the path `argument`. */
export function topicError(argument: string, topic: unknown): StoreError {
  if (typeof topic !== "string") return argumentError(argument, `topic is ${shown(topic)}; it must be a string`);
  if (topic.length === 0) return argumentError(argument, "topic is empty; it must have 1 to 127 characters");
  if (topic.length > MAX_SYSTEM_TOPIC_BYTES || (topic.length > MAX_TOPIC_BYTES && !mayBeLong(topic))) {
    return argumentError(
      argument,
      `topic ${shown(topic)} has ${topic.length} characters; at most 127 are allowed, 255 after %RETRY% or %DLQ%`,
    );
  }
  for (let i = 0; i < topic.length; i++) {
    if (ALPHABET[topic.charCodeAt(i)] !== 1) {
      const character = String.fromCodePoint(topic.codePointAt(i) as number);
      return argumentError(
        argument,
        `topic ${shown(topic)} has ${shown(character)} at ${i}; letters, digits, "%", "|", "-" and "_" are allowed`,
      );
    }
  }
  return argumentError(argument, `topic ${shown(topic)} cannot be written by this store`);
}

const ENCODER = new TextEncoder();
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Writes a topic that no message can be put to, but that may be the name of a queue's folder: 1 to 255 bytes of UTF-8
 * without a slash. Returns its length, 0 for none.
 */
function writeFolder(topic: unknown, bytes: Uint8Array): number {
  if (typeof topic !== "string" || topic.length > MAX_SYSTEM_TOPIC_BYTES || topic.includes("/")) return 0;
  if (topic === "." || topic === ".." || LONE_SURROGATE.test(topic)) return 0;
  const { read, written } = ENCODER.encodeInto(topic, bytes);
  return read === topic.length ? written : 0;
}

function unreadableError(topic: unknown): StoreError {
  if (typeof topic !== "string" || topic === "") return topicError("topic", topic);
  const right = 'the topic of a queue is the name of a folder, 1 to 255 bytes of UTF-8 without "/"';
  return argumentError("topic", `topic is ${shown(topic)}; ${right}`);
}

/** The bytes of the topic asked for last, so that reading one queue again and again encodes its topic once. */
export class TopicBytes {
  readonly bytes: Uint8Array = new Uint8Array(MAX_SYSTEM_TOPIC_BYTES);
  #topic = "";
  #length = 0;

  /** Puts the topic into `bytes` and returns its length. */
  set(topic: string): number {
    if (topic === this.#topic && this.#length > 0) return this.#length;
    const length = writeTopic(topic, this.bytes, 0) || writeFolder(topic, this.bytes);
    this.#topic = topic;
    this.#length = length;
    if (length === 0) throw unreadableError(topic);
    return length;
  }
}

const checked: TopicBytes = new TopicBytes();

const SCRATCH = new Uint8Array(MAX_SYSTEM_TOPIC_BYTES);

/** Refuses what is no topic by RocketMQ's own rules, of at most 255 characters whatever it begins with. */
export function checkPlainTopic(topic: string): void {
  if (writeTopic(topic, SCRATCH, 0) === 0) throw topicError("topic", topic);
}

/** Refuses what cannot be the topic of a queue. */
export function checkTopic(topic: string): void {
  checked.set(topic);
}
