/**
 * The wire form of a batch of messages, RocketMQ's `MessageDecoder.encodeMessages` (store-format chapter 2.9): per message
 * its size, two fields of 0, the flag, the length of the body and the body, the length of the property string and the
 * string; all big-endian, the last length with 16 bits, the others with 32.
 */
import { types } from "node:util";
import { Arena } from "./arena.ts";
import { byteLength, int32Error, isInt32 } from "./arguments.ts";
import { bodyLength, errorInMessage, writeBody } from "./encode-fields.ts";
import { PropertyEncoder } from "./encode-properties.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import type { GroupMessage } from "./message.ts";

/** Bytes of a message with an empty body and no properties. */
export const WIRE_OVERHEAD_BYTES = 22;
const FLAG_AT = 12;
const BODY_LENGTH_AT = 16;
const BODY_AT = 20;
/** Longest body that a store can take at all. */
const MAX_BODY_BYTES = 536_870_912;

/** Places of a message in a wire batch. */
export type EachWireMessage = (
  flag: number,
  bodyAt: number,
  bodyEnd: number,
  propertiesAt: number,
  end: number,
) => void;

/**
 * Calls `each` for every message of a wire batch and returns their number. Sizes that do not add up, messages cut off,
 * and a batch without any are refused, with the position; `argument` is the path of `bytes`.
 */
export function readWireBatch(argument: string, bytes: Uint8Array, each: EachWireMessage): number {
  const length = byteLength(bytes);
  const fail = (at: number, what: string, count: number): StoreError =>
    new StoreError("STORE_INVALID_ARGUMENT", `${argument}: message ${count} of the batch, at byte ${at}, ${what}`, {
      details: { argument, position: at, message: count },
    });
  if (length === 0) {
    throw argumentError(argument, `${argument} is an empty batch; it must have one message at least`);
  }
  let at = 0;
  let count = 0;
  while (at < length) {
    const rest = length - at;
    if (rest < WIRE_OVERHEAD_BYTES) {
      throw fail(at, `has ${rest} bytes; the shortest has ${WIRE_OVERHEAD_BYTES}`, count);
    }
    const size = int32(bytes, at);
    const bodyBytes = int32(bytes, at + BODY_LENGTH_AT);
    if (bodyBytes < 0 || bodyBytes > rest - WIRE_OVERHEAD_BYTES) {
      const most = rest - WIRE_OVERHEAD_BYTES;
      throw fail(at, `has a body of ${bodyBytes} bytes; it must be from 0 to ${most}, what the batch has left`, count);
    }
    const bodyAt = at + BODY_AT;
    const bodyEnd = bodyAt + bodyBytes;
    const propertyBytes = (((bytes[bodyEnd] as number) << 24) >> 16) | (bytes[bodyEnd + 1] as number);
    if (propertyBytes < 0 || propertyBytes > rest - WIRE_OVERHEAD_BYTES - bodyBytes) {
      const most = rest - WIRE_OVERHEAD_BYTES - bodyBytes;
      throw fail(at, `has ${propertyBytes} bytes of properties; it must be from 0 to ${most}, what is left`, count);
    }
    const needed = WIRE_OVERHEAD_BYTES + bodyBytes + propertyBytes;
    if (size !== needed) {
      throw fail(at, `says that it has ${size} bytes; by its body and properties it has ${needed}`, count);
    }
    each(int32(bytes, at + FLAG_AT), bodyAt, bodyEnd, bodyEnd + 2, at + needed);
    at += needed;
    count++;
  }
  return count;
}

function int32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/**
 * Messages in RocketMQ's wire form, as a client sends a batch: for `putGroup`, and as the body of an inner batch.
 *
 * Throws `STORE_INVALID_ARGUMENT`, `STORE_MESSAGE_TOO_LARGE`.
 */
export function encodeMessages(messages: Iterable<GroupMessage>): Uint8Array {
  return encodeWire("messages", messages);
}

/** As `encodeMessages`; `list` is what errors call the messages. */
export function encodeWire(list: string, messages: Iterable<GroupMessage>): Uint8Array {
  const writer = new WireWriter();
  forEachMessage(messages, (message, index) => {
    try {
      writer.add(message);
    } catch (error) {
      throw errorInMessage(error, index, list);
    }
  });
  return writer.bytes.slice(0, writer.used);
}

class WireWriter {
  readonly #arena: Arena = new Arena();
  readonly #properties: PropertyEncoder = new PropertyEncoder(false);

  get bytes(): Uint8Array {
    return this.#arena.bytes;
  }

  get used(): number {
    return this.#arena.at;
  }

  add(message: GroupMessage): void {
    const { body, flag, tags, keys, properties } = groupMessage(message);
    const arena = this.#arena;
    const start = arena.at;
    const bodyBytes = bodyLength(body, MAX_BODY_BYTES);
    arena.reserve(WIRE_OVERHEAD_BYTES + bodyBytes);
    arena.bytes.fill(0, start, start + BODY_AT);
    arena.at = start + BODY_AT;
    writeBody(body, arena);
    arena.at += bodyBytes + 2;
    const propertyBytes = this.#properties.write(arena, tags, keys, undefined, properties);
    const view = new DataView(arena.bytes.buffer);
    view.setInt32(start, arena.at - start);
    view.setInt32(start + FLAG_AT, flag);
    view.setInt32(start + BODY_LENGTH_AT, bodyBytes);
    view.setInt16(start + BODY_AT + bodyBytes, propertyBytes);
    if (arena.at > MAX_BODY_BYTES) {
      throw new StoreError("STORE_MESSAGE_TOO_LARGE", `the batch has more than ${MAX_BODY_BYTES} bytes`, {
        details: { bytes: arena.at, maximum: MAX_BODY_BYTES },
      });
    }
  }
}

/** The fields of a message that the wire form has a place for, and where it says it belongs. */
export interface GroupFields {
  readonly body: Uint8Array;
  readonly flag: number;
  readonly tags: GroupMessage["tags"];
  readonly keys: GroupMessage["keys"];
  readonly properties: GroupMessage["properties"];
  readonly topic: unknown;
  readonly queueId: unknown;
}

/** Fields of `Message` that a group has once for all, and where. */
const SHARED = {
  sysFlag: "the options of the group",
  bornTimestamp: "the options of the group",
  bornHost: "the options of the group",
  storeHost: "the options of the group",
  reconsumeTimes: "the options of the group",
  preparedTransactionOffset: "a message of its own",
  multiDispatch: "a message of its own (RocketMQ leads groups to no light queues)",
  innerBatch: "a message of its own",
} as const;

/** Reads a message of a group, each field once. */
export function groupMessage(message: GroupMessage): GroupFields {
  if (message === null || typeof message !== "object") {
    throw argumentError("", `message is ${shown(message)}; it must be an object with a body`);
  }
  const { body, flag = 0, tags, keys, properties, topic, queueId } = message;
  if (!isInt32(flag)) throw int32Error("flag", flag);
  for (const [name, place] of Object.entries(SHARED)) {
    const value = (message as unknown as Record<string, unknown>)[name];
    if (value === undefined) continue;
    throw argumentError(name, `${name} is ${shown(value)}; a message of a group has none, it belongs to ${place}`);
  }
  return { body, flag, tags, keys, properties, topic, queueId };
}

/** Goes through an array or another iterable. What its own code throws becomes an error about `messages`. */
export function forEachMessage(messages: unknown, each: (message: GroupMessage, index: number) => void): number {
  if (messages === null || typeof messages !== "object" || types.isUint8Array(messages) || !isIterable(messages)) {
    throw argumentError("messages", `messages is ${shown(messages)}; it must be an array or another iterable`);
  }
  let count = 0;
  try {
    for (const message of messages) each(message as GroupMessage, count++);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw argumentError("messages", "messages could not be read: iterating threw", error);
  }
  return count;
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}
