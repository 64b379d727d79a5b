/** A group of messages as the engine takes it: one topic and queue, what the group shares in each, and never cut. */
import { types } from "node:util";
import { int32Error, integerError, isInt32, MAX_INT32, plainView, readOptions } from "./arguments.ts";
import { BATCH_HEADER_BYTES } from "./binding/contract.ts";
import { bodyLength, checkedTopic, checkLong, errorInMessage, writeBody } from "./encode-fields.ts";
import { writeHeader } from "./encode-header.ts";
import { PropertyEncoder } from "./encode-properties.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import type { EncodedHost } from "./hosts.ts";
import { type GroupMessage, type GroupOptions, PropertyName } from "./message.ts";
import { MessageEncoder } from "./message-encoder.ts";
import { decodeProperties } from "./properties.ts";
import { MAX_SYSTEM_TOPIC_BYTES } from "./topic.ts";
import { forEachMessage, type GroupFields, groupMessage, readWireBatch, WIRE_OVERHEAD_BYTES } from "./wire-batch.ts";

/** No group is larger: no file of the log takes it. */
const MAX_GROUP_BYTES = 2_147_483_647;
const OPTIONS: readonly string[] = [
  "sysFlag",
  "bornTimestamp",
  "bornHost",
  "storeHost",
  "reconsumeTimes",
  "properties",
] satisfies (keyof GroupOptions)[];
const NO_PROPERTIES = new Uint8Array(0);
const NO_NAMES: ReadonlySet<string> = new Set();
const DECODER = new TextDecoder();

/** Encodes one group at a time: `encode`, then `bytes`, then `release`. */
export class GroupEncoder extends MessageEncoder {
  readonly #withoutCrc: PropertyEncoder = new PropertyEncoder(false);
  #wireBytes = 0;
  #topic = "";
  #topicBytes: Uint8Array = NO_PROPERTIES;
  #queueId = 0;
  #sysFlag = 0;
  #reconsumeTimes = 0;
  #bornTimestamp = 0;
  #bornHost: EncodedHost = this.bornHostEncoder.encode(undefined, "bornHost");
  #storeHost: EncodedHost = this.storeHostEncoder.encode(undefined, "storeHost");
  /** Properties of the group itself, and their names. */
  #shared: Uint8Array = NO_PROPERTIES;
  #sharedNames: ReadonlySet<string> = NO_NAMES;

  get storeHost(): EncodedHost {
    return this.#storeHost;
  }

  /** Encodes a group, and returns the number of its messages: one at least. */
  encode(topic: string, queueId: number, messages: unknown, options: GroupOptions | undefined): number {
    this.#begin(topic, queueId, readOptions(options, OPTIONS));
    const count = types.isUint8Array(messages)
      ? this.#encodeWire(plainView(messages))
      : forEachMessage(messages, (message, index) => this.#encodeMessage(message, index));
    if (count === 0) throw argumentError("messages", "messages is empty; a group has one message at least");
    return count;
  }

  #begin(topic: string, queueId: number, options: Partial<GroupOptions>): void {
    if (!isInt32(queueId) || queueId < 0) throw integerError("queueId", queueId, 0, MAX_INT32);
    const { sysFlag = 0, bornTimestamp = Date.now(), reconsumeTimes = 0, properties } = options;
    if (!isInt32(sysFlag)) throw int32Error("options.sysFlag", sysFlag);
    if (!isInt32(reconsumeTimes)) throw int32Error("options.reconsumeTimes", reconsumeTimes);
    checkLong("options.bornTimestamp", bornTimestamp);
    this.#bornHost = this.bornHostEncoder.encode(options.bornHost, "options.bornHost");
    this.#storeHost = this.storeHostEncoder.encode(options.storeHost, "options.storeHost");
    const arena = this.arena;
    arena.at = 0;
    arena.reserve(MAX_SYSTEM_TOPIC_BYTES);
    this.#topicBytes = arena.bytes.slice(0, checkedTopic(topic, arena, this.limits.compat));
    this.#sharedNames = NO_NAMES;
    this.#shared = properties === undefined ? NO_PROPERTIES : this.#sharedProperties(properties);
    this.#topic = topic;
    this.#queueId = queueId;
    this.#sysFlag = sysFlag;
    this.#reconsumeTimes = reconsumeTimes;
    this.#bornTimestamp = bornTimestamp;
    this.end = 0;
    this.#wireBytes = 0;
  }

  #sharedProperties(properties: GroupOptions["properties"]): Uint8Array {
    const arena = this.arena;
    arena.at = 0;
    let length: number;
    try {
      length = this.#withoutCrc.write(arena, undefined, undefined, undefined, properties);
    } catch (error) {
      throw inOptions(error);
    }
    const shared = arena.bytes.slice(0, length);
    const decoded = decodeProperties(DECODER.decode(shared));
    this.#sharedNames = new Set(decoded.keys());
    const delay = decoded.get(PropertyName.delay);
    if (Number(delay) > 0) {
      throw argumentError("options.properties", `property DELAY is ${shown(delay)}; a group cannot be delayed`);
    }
    return shared;
  }

  #encodeMessage(message: GroupMessage, index: number): void {
    try {
      const fields = groupMessage(message);
      this.#checkPlace(fields);
      const { body, flag, tags, keys, properties } = fields;
      const bodyBytes = bodyLength(body, this.limits.maxMessageBytes);
      const start = this.#startMessage(bodyBytes);
      const arena = this.arena;
      writeBody(body, arena);
      this.#endBody(bodyBytes);
      const own = this.properties.write(arena, tags, keys, undefined, properties);
      if (this.#sharedNames.size > 0) this.#checkNames(arena.bytes.subarray(arena.at - own, arena.at));
      this.#endMessage(start, bodyBytes, flag, own);
    } catch (error) {
      throw errorInMessage(error, index);
    }
    this.#checkSize();
  }

  /** Refuses a property of a message that the group has too: who reads the message would not find its own. */
  #checkNames(own: Uint8Array): void {
    for (const name of decodeProperties(DECODER.decode(own)).keys()) {
      if (!this.#sharedNames.has(name)) continue;
      throw argumentError(
        "properties",
        `property ${shown(name)} is given twice: by the message and in options.properties; give it in one place`,
      );
    }
  }

  /** Holds the group, as far as it was encoded, against what a store takes. */
  #checkSize(): void {
    const { maxMessageBytes } = this.limits;
    if (this.#wireBytes > maxMessageBytes) {
      throw tooLarge(this.#wireBytes, "in RocketMQ's wire form", maxMessageBytes, "(option maxMessageBytes)");
    }
    if (this.end > MAX_GROUP_BYTES) {
      throw tooLarge(this.end, "with all that its messages share", MAX_GROUP_BYTES, "to fit a file of the log");
    }
  }

  #checkPlace({ topic, queueId }: GroupFields): void {
    if (topic !== undefined && topic !== this.#topic) {
      throw argumentError("topic", `topic is ${shown(topic)}; the group goes to ${shown(this.#topic)}`);
    }
    if (queueId !== undefined && queueId !== this.#queueId) {
      throw argumentError("queueId", `queueId is ${shown(queueId)}; the group goes to queue ${this.#queueId}`);
    }
  }

  #encodeWire(wire: Uint8Array): number {
    let index = 0;
    return readWireBatch("messages", wire, (flag, bodyAt, bodyEnd, propertiesAt, end) => {
      const bodyBytes = bodyEnd - bodyAt;
      const start = this.#startMessage(bodyBytes);
      const arena = this.arena;
      arena.bytes.set(wire.subarray(bodyAt, bodyEnd), arena.at);
      this.#endBody(bodyBytes);
      const properties = propertiesAt < end ? wire.subarray(propertiesAt, end) : undefined;
      try {
        const own = this.properties.write(arena, undefined, undefined, undefined, properties);
        this.#endMessage(start, bodyBytes, flag, own);
      } catch (error) {
        throw errorInMessage(error, index);
      }
      this.#checkSize();
      index++;
    });
  }

  /** Makes room for header, body and topic of the next message, and stands where its body goes. */
  #startMessage(bodyBytes: number): number {
    const arena = this.arena;
    const start = this.end;
    arena.at = start;
    arena.reserve(BATCH_HEADER_BYTES + bodyBytes + this.#topicBytes.length);
    arena.at += BATCH_HEADER_BYTES;
    return start;
  }

  #endBody(bodyBytes: number): void {
    this.arena.at += bodyBytes;
    this.arena.writeBytes(this.#topicBytes);
  }

  #endMessage(start: number, bodyBytes: number, flag: number, ownProperties: number): void {
    const arena = this.arena;
    const propertyBytes = this.properties.writeShared(arena, this.#shared);
    this.#wireBytes += WIRE_OVERHEAD_BYTES + bodyBytes + ownProperties;
    this.end = writeHeader(
      arena,
      start,
      bodyBytes,
      this.#topicBytes.length,
      propertyBytes,
      this.#queueId,
      flag,
      this.#sysFlag,
      this.#reconsumeTimes,
      this.#bornTimestamp,
      0,
      this.#bornHost,
      this.#storeHost,
    );
  }
}

function tooLarge(bytes: number, as: string, maximum: number, where: string): StoreError {
  return new StoreError(
    "STORE_MESSAGE_TOO_LARGE",
    `the group has ${bytes} bytes or more ${as}; at most ${maximum} are allowed ${where}`,
    { details: { argument: "messages", bytes, maximum } },
  );
}

/** An error about a property of the options. */
function inOptions(error: unknown): unknown {
  if (!(error instanceof StoreError) || error.details.argument === undefined) return error;
  return new StoreError(error.code, `options: ${error.message}`, {
    cause: error.cause,
    details: { ...error.details, argument: `options.${error.details.argument}` },
  });
}
