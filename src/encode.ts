/**
 * Messages as the engine takes them: checked, and encoded one behind the other as native/core/src/batch.rs draws it.
 *
 * Every field of a message is read exactly once, before anything is written of it, and nothing is allocated per message.
 */
import { Arena } from "./arena.ts";
import { int32Error, integerError, isInt32, MAX_INT32 } from "./arguments.ts";
import { BATCH_HEADER_BYTES } from "./binding/contract.ts";
import { bodyLength, checkedTopic, checkLong, errorInMessage, writeBody } from "./encode-fields.ts";
import { writeHeader } from "./encode-header.ts";
import { argumentError, shown } from "./errors.ts";
import type { EncodedHost } from "./hosts.ts";
import { INNER_BATCH_FLAGS, type InnerBatch, innerBatch } from "./inner-batch.ts";
import { type InnerBatchMessage, type Message, PropertyName } from "./message.ts";
import { KEPT_BYTES, MessageEncoder } from "./message-encoder.ts";
import { namesProperty } from "./properties.ts";
import { MAX_SYSTEM_TOPIC_BYTES, mayMultiDispatch } from "./topic.ts";

/** A batch of more bytes goes to the engine in several calls: what an arena keeps. */
const CHUNK_BYTES = KEPT_BYTES;

/** Messages ready for one call of the engine. */
export interface EncodedChunk {
  readonly bytes: Uint8Array;
  readonly used: number;
  readonly count: number;
}

/** Encodes one message or a batch at a time: `begin`, `add` for each, then `chunks` or `bytes`, then `release`. */
export class Encoder extends MessageEncoder {
  #count = 0;
  #sealed: EncodedChunk[] = [];
  /** The last topic that was checked, once there is one: most batches have one. */
  #lastTopic = "";
  #lastTopicBytes: Uint8Array = new Uint8Array(0);
  /** The time for messages that bring none, one for a whole batch; 0 until it is needed. */
  #now = 0;
  #storeHost: EncodedHost | undefined;
  #storeHostOfEach: EncodedHost[] | undefined;

  /** The store host of every message, or of each where they differ. */
  get storeHosts(): EncodedHost | readonly EncodedHost[] {
    return this.#storeHostOfEach ?? (this.#storeHost as EncodedHost);
  }

  begin(): void {
    this.end = 0;
    this.#count = 0;
    this.#now = 0;
    this.#storeHost = undefined;
    this.#storeHostOfEach = undefined;
  }

  /** Everything added, in as many pieces as there are to be calls. */
  chunks(): readonly EncodedChunk[] {
    this.#sealed.push({ bytes: this.arena.bytes, used: this.end, count: this.#count });
    return this.#sealed;
  }

  override release(): void {
    if (this.#sealed.length > 0) this.#sealed = [];
    super.release();
  }

  /** Adds a message. `index` is its place in a batch, -1 outside of one; errors name the field behind it. */
  add(message: Message | InnerBatchMessage, index: number): void {
    try {
      this.#encode(message);
    } catch (error) {
      throw errorInMessage(error, index);
    }
  }

  #encode(message: Message | InnerBatchMessage): void {
    if (message === null || typeof message !== "object") {
      throw argumentError("", `message is ${shown(message)}; it must be an object with topic, queueId and body`);
    }
    const { topic, queueId, tags, keys, properties, bornHost, storeHost, bornTimestamp } = message;
    const { flag = 0, reconsumeTimes = 0, preparedTransactionOffset = 0, multiDispatch } = message;
    let { body, sysFlag = 0 } = message;

    if (!isInt32(queueId) || queueId < 0) throw integerError("queueId", queueId, 0, MAX_INT32);
    if (!isInt32(flag)) throw int32Error("flag", flag);
    if (!isInt32(sysFlag)) throw int32Error("sysFlag", sysFlag);
    if (!isInt32(reconsumeTimes)) throw int32Error("reconsumeTimes", reconsumeTimes);
    checkLong("preparedTransactionOffset", preparedTransactionOffset);
    if (bornTimestamp !== undefined) checkLong("bornTimestamp", bornTimestamp);
    const born = this.bornHostEncoder.encode(bornHost, "bornHost");
    const store = this.storeHostEncoder.encode(storeHost, "storeHost");

    let inner: InnerBatch | undefined;
    if (message.innerBatch !== undefined) {
      inner = innerBatch(message.innerBatch, body);
      body = inner.body;
      sysFlag |= INNER_BATCH_FLAGS;
    }
    const bodyBytes = bodyLength(body, this.limits.maxMessageBytes);
    if (this.end > 0 && this.end + BATCH_HEADER_BYTES + bodyBytes > CHUNK_BYTES) this.#seal();
    const start = this.end;
    const arena = this.arena;
    arena.at = start;
    arena.reserve(BATCH_HEADER_BYTES + bodyBytes + MAX_SYSTEM_TOPIC_BYTES);
    arena.at += BATCH_HEADER_BYTES;
    writeBody(body as Uint8Array, arena);
    arena.at += bodyBytes;
    const topicBytes = this.#writeTopic(topic);
    if (multiDispatch !== undefined) checkMultiDispatch(topic, multiDispatch);
    let propertyBytes = this.properties.write(arena, tags, keys, multiDispatch, properties);
    if (inner !== undefined) {
      checkInnerBatch(arena, propertyBytes, multiDispatch);
      propertyBytes = this.properties.writeShared(arena, inner.property);
    }
    this.end = writeHeader(
      arena,
      start,
      bodyBytes,
      topicBytes,
      propertyBytes,
      queueId,
      flag,
      sysFlag,
      reconsumeTimes,
      bornTimestamp ?? this.#time(),
      preparedTransactionOffset,
      born,
      store,
    );
    this.#noteStoreHost(store);
    this.#count++;
  }

  #writeTopic(topic: string): number {
    const arena = this.arena;
    if (topic === this.#lastTopic && topic !== "") {
      arena.writeBytes(this.#lastTopicBytes);
      return this.#lastTopicBytes.length;
    }
    const length = checkedTopic(topic, arena, this.limits.compat);
    this.#lastTopic = topic;
    this.#lastTopicBytes = arena.bytes.slice(arena.at, arena.at + length);
    arena.at += length;
    return length;
  }

  #time(): number {
    if (this.#now === 0) this.#now = Date.now();
    return this.#now;
  }

  #noteStoreHost(host: EncodedHost): void {
    const each = this.#storeHostOfEach;
    if (each !== undefined) {
      each.push(host);
    } else if (this.#storeHost === undefined) {
      this.#storeHost = host;
    } else if (this.#storeHost !== host) {
      const before = this.#count + this.#sealed.reduce((sum, chunk) => sum + chunk.count, 0);
      this.#storeHostOfEach = new Array<EncodedHost>(before).fill(this.#storeHost);
      this.#storeHostOfEach.push(host);
    }
  }

  /** Ends the chunk at hand; the next message begins another. */
  #seal(): void {
    this.#sealed.push({ bytes: this.arena.bytes, used: this.end, count: this.#count });
    this.arena = new Arena();
    this.end = 0;
    this.#count = 0;
  }
}

/** Refuses light queues for messages that would not get there. */
function checkMultiDispatch(topic: string, multiDispatch: unknown): void {
  if (mayMultiDispatch(topic)) return;
  throw argumentError(
    "multiDispatch",
    `multiDispatch is ${shown(multiDispatch)}; messages of topic ${shown(topic)} go to no light queues in RocketMQ`,
  );
}

/** Refuses what an inner batch cannot have, in the property string that was written just now or beside. */
function checkInnerBatch(arena: Arena, propertyBytes: number, multiDispatch: unknown): void {
  if (multiDispatch !== undefined) {
    throw argumentError("multiDispatch", "RocketMQ leads inner batches to no light queues; leave multiDispatch out");
  }
  const name = PropertyName.innerNumber;
  if (namesProperty(arena.bytes, arena.at - propertyBytes, arena.at, name)) {
    throw argumentError("properties", `property ${name} is made of innerBatch; leave it out of properties`);
  }
}
