/** Fields of a message, checked and written; and what is wrong with one, with its place. */
import { types } from "node:util";
import type { Arena } from "./arena.ts";
import { byteLength, integerError } from "./arguments.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { LIGHT_QUEUE_PREFIX, MAX_TOPIC_BYTES, mayBeLong, topicError, writeTopic } from "./topic.ts";

/** Length of a body that the store takes. */
export function bodyLength(body: unknown, maxMessageBytes: number): number {
  if (!types.isUint8Array(body)) {
    throw argumentError("body", `body is ${shown(body)}; it must be a Uint8Array (or a Buffer)`);
  }
  const length = byteLength(body);
  checkBodyBytes(length, maxMessageBytes);
  return length;
}

export function checkBodyBytes(length: number, maxMessageBytes: number): void {
  if (length <= maxMessageBytes) return;
  throw new StoreError(
    "STORE_MESSAGE_TOO_LARGE",
    `body has ${length} bytes; the store takes at most ${maxMessageBytes} (option maxMessageBytes)`,
    { details: { argument: "body", bytes: length, maximum: maxMessageBytes } },
  );
}

/** Writes a body where the arena is, which has room for it and stays there. */
export function writeBody(body: Uint8Array, arena: Arena): void {
  try {
    arena.bytes.set(body, arena.at);
  } catch (cause) {
    throw argumentError("body", "body has lost its memory: its buffer was detached, shrunk or grown", cause);
  }
}

/** Writes the topic of a message where the arena is, which has room for it and stays there. Returns its length. */
export function checkedTopic(topic: string, arena: Arena, compat: "5" | "4.9"): number {
  const length = writeTopic(topic, arena.bytes, arena.at);
  if (length === 0 || (length > MAX_TOPIC_BYTES && !mayBeLong(topic))) throw topicError("topic", topic);
  if (topic.startsWith(LIGHT_QUEUE_PREFIX)) {
    throw argumentError(
      "topic",
      `topic ${shown(topic)} names a light queue; a message of another topic gets there by multiDispatch`,
    );
  }
  if (length > MAX_TOPIC_BYTES && compat === "4.9") {
    throw argumentError(
      "topic",
      `topic ${shown(topic)} has ${length} characters; with compat "4.9" at most 127 are allowed, as RocketMQ 4.9 takes a longer one for the end of the log`,
    );
  }
  return length;
}

export function checkLong(name: string, value: unknown): void {
  if (!Number.isSafeInteger(value)) {
    throw integerError(name, value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  }
}

/** The error of a message, with its place in the batch, or in another list, in front of the field. */
export function errorInMessage(error: unknown, index: number, list: string = "messages"): StoreError {
  const path = index < 0 ? "message" : `${list}[${index}]`;
  if (!(error instanceof StoreError)) return argumentError(path, `${path} could not be read: it threw`, error);
  const { argument } = error.details;
  if (argument === "") {
    return new StoreError(error.code, `${path}${error.message.slice("message".length)}`, {
      details: { argument: path },
    });
  }
  if (index < 0 || argument === undefined) return error;
  return new StoreError(error.code, `${path}: ${error.message}`, {
    cause: error.cause,
    details: { ...error.details, argument: `${path}.${argument}` },
  });
}
