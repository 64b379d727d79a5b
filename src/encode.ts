/**
 * Messages as the engine takes them: checked, and encoded one behind the other as native/core/src/batch.rs draws it.
 *
 * Every field of a message is read exactly once, before anything is written of it, and nothing is allocated per message.
 */
import { types } from "node:util";
import { Arena, type ForbiddenCharacters, forbiddenCharacters, UTF8_BYTES_PER_UNIT } from "./arena.ts";
import { byteLength, int32Error, integerError, isInt32, MAX_INT32 } from "./arguments.ts";
import { BATCH_HEADER_BYTES } from "./binding/contract.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { type EncodedHost, HostEncoder } from "./hosts.ts";
import { MAX_PROPERTIES_BYTES, type Message, PropertyName, SysFlag } from "./message.ts";
import { NAME_END, namesProperty, PAIR_END } from "./properties.ts";
import { MAX_SYSTEM_TOPIC_BYTES, MAX_TOPIC_BYTES, mayBeLong, topicError, writeTopic } from "./topic.ts";

/** A batch of more bytes goes to the engine in several calls, and no arena larger than this is kept. */
const CHUNK_BYTES = 8 * 1024 * 1024;
/** Bytes of `__CRC32#`, its value and separators, which the engine appends. */
const RECORD_CRC_BYTES = 20;
const SPACE = 0x20;

const IN_NAME: ForbiddenCharacters = forbiddenCharacters(NAME_END, PAIR_END);
const IN_VALUE: ForbiddenCharacters = forbiddenCharacters(PAIR_END);
const IN_TAGS: ForbiddenCharacters = forbiddenCharacters(NAME_END, PAIR_END);
const IN_KEY: ForbiddenCharacters = forbiddenCharacters(NAME_END, PAIR_END, SPACE);

/** `TAGS` and `KEYS` with the character behind a name. */
const TAGS_NAME: Uint8Array = Uint8Array.from(Buffer.from(`${PropertyName.tags}\u0001`));
const KEYS_NAME: Uint8Array = Uint8Array.from(Buffer.from(`${PropertyName.keys}\u0001`));

/** Places of the header's fields, counted in 32-bit words from the start of a message. */
const Word = {
  size: 0,
  bodyBytes: 1,
  topicBytes: 2,
  propertyBytes: 3,
  queueId: 4,
  flag: 5,
  sysFlag: 6,
  reconsumeTimes: 7,
  bornAddress: 12,
  bornPort: 16,
  storeAddress: 17,
  storePort: 21,
} as const;
/** Places of the header's doubles, counted in 64-bit words. */
const Double = { bornTimestamp: 4, preparedTransactionOffset: 5 } as const;

/** What the options of a store say about its messages. */
export interface MessageLimits {
  readonly maxMessageBytes: number;
  /** Whether records have `__CRC32#`, which takes room in the property string. */
  readonly recordCrc: boolean;
  /** `"4.9"` refuses topics of more than 127 characters. */
  readonly compat: "5" | "4.9";
}

/** Messages ready for one call of the engine. */
export interface EncodedChunk {
  readonly bytes: Uint8Array;
  readonly used: number;
  readonly count: number;
}

/** Encodes one message or a batch at a time: `begin`, `add` for each, then `chunks` or `bytes`, then `release`. */
export class Encoder {
  readonly #limits: MessageLimits;
  readonly #bornHosts: HostEncoder = new HostEncoder("127.0.0.1", 0);
  readonly #storeHosts: HostEncoder = new HostEncoder("127.0.0.1", 10_911);
  #arena: Arena = new Arena();
  #used = 0;
  #count = 0;
  #sealed: EncodedChunk[] = [];
  /** Where the next byte of the property string goes, and where the string began. */
  #at = 0;
  #propertiesFrom = 0;
  #hasTags = false;
  #hasKeys = false;
  /** The time for messages that bring none, one for a whole batch; 0 until it is needed. */
  #now = 0;
  #storeHost: EncodedHost | undefined;
  #storeHostOfEach: EncodedHost[] | undefined;

  constructor(limits: MessageLimits) {
    this.#limits = limits;
  }

  /** The messages that no call was cut off before. */
  get bytes(): Uint8Array {
    return this.#arena.bytes;
  }

  get used(): number {
    return this.#used;
  }

  /** The store host of every message, or of each where they differ. */
  get storeHosts(): EncodedHost | readonly EncodedHost[] {
    return this.#storeHostOfEach ?? (this.#storeHost as EncodedHost);
  }

  begin(): void {
    this.#used = 0;
    this.#count = 0;
    this.#at = 0;
    this.#now = 0;
    this.#storeHost = undefined;
    this.#storeHostOfEach = undefined;
  }

  /** Everything added, in as many pieces as there are to be calls. */
  chunks(): readonly EncodedChunk[] {
    this.#sealed.push({ bytes: this.#arena.bytes, used: this.#used, count: this.#count });
    return this.#sealed;
  }

  /** Lets go of memory that is only needed for large messages and batches. */
  release(): void {
    if (this.#sealed.length > 0) this.#sealed = [];
    if (this.#arena.capacity > CHUNK_BYTES) this.#arena = new Arena();
  }

  /** Adds a message. `index` is its place in a batch, -1 outside of one; errors name the field behind it. */
  add(message: Message, index: number): void {
    try {
      this.#encode(message);
    } catch (error) {
      throw errorInMessage(error, index);
    }
  }

  #encode(message: Message): void {
    if (message === null || typeof message !== "object") {
      throw argumentError("", `message is ${shown(message)}; it must be an object with topic, queueId and body`);
    }
    const { topic, queueId, body, tags, keys, properties, bornHost, storeHost, bornTimestamp } = message;
    const { flag = 0, sysFlag = 0, reconsumeTimes = 0, preparedTransactionOffset = 0 } = message;

    if (!isInt32(queueId) || queueId < 0) throw integerError("queueId", queueId, 0, MAX_INT32);
    if (!isInt32(flag)) throw int32Error("flag", flag);
    if (!isInt32(sysFlag)) throw int32Error("sysFlag", sysFlag);
    if (!isInt32(reconsumeTimes)) throw int32Error("reconsumeTimes", reconsumeTimes);
    checkLong("preparedTransactionOffset", preparedTransactionOffset);
    if (bornTimestamp !== undefined) checkLong("bornTimestamp", bornTimestamp);
    const born = this.#bornHosts.encode(bornHost, "bornHost");
    const store = this.#storeHosts.encode(storeHost, "storeHost");

    const bodyBytes = this.#bodyLength(body);
    if (this.#used > 0 && this.#used + BATCH_HEADER_BYTES + bodyBytes > CHUNK_BYTES) this.#seal();
    const start = this.#used;
    const topicAt = start + BATCH_HEADER_BYTES + bodyBytes;
    this.#reserve(topicAt + MAX_SYSTEM_TOPIC_BYTES);
    this.#writeBody(body, start + BATCH_HEADER_BYTES);
    const topicBytes = this.#writeTopic(topic, topicAt);
    this.#propertiesFrom = topicAt + topicBytes;
    this.#at = this.#propertiesFrom;
    this.#writeProperties(tags, keys, properties);
    const propertyBytes = this.#at - this.#propertiesFrom;
    const size = (this.#at - start + 7) & ~7;
    this.#reserve(start + size);

    const { ints, doubles } = this.#arena;
    const word = start >> 2;
    ints[word + Word.size] = size;
    ints[word + Word.bodyBytes] = bodyBytes;
    ints[word + Word.topicBytes] = topicBytes;
    ints[word + Word.propertyBytes] = propertyBytes;
    ints[word + Word.queueId] = queueId;
    ints[word + Word.flag] = flag;
    ints[word + Word.sysFlag] =
      (sysFlag & ~(SysFlag.bornHostV6 | SysFlag.storeHostV6)) |
      (born.isV6 ? SysFlag.bornHostV6 : 0) |
      (store.isV6 ? SysFlag.storeHostV6 : 0);
    ints[word + Word.reconsumeTimes] = reconsumeTimes;
    doubles[(start >> 3) + Double.bornTimestamp] = bornTimestamp ?? this.#time();
    doubles[(start >> 3) + Double.preparedTransactionOffset] = preparedTransactionOffset;
    writeHost(ints, word + Word.bornAddress, born);
    ints[word + Word.bornPort] = born.port;
    writeHost(ints, word + Word.storeAddress, store);
    ints[word + Word.storePort] = store.port;

    this.#used = start + size;
    this.#noteStoreHost(store);
    this.#count++;
  }

  #reserve(end: number): void {
    if (end <= this.#arena.capacity) return;
    this.#arena.grow(end, Math.max(this.#at, this.#used));
  }

  #bodyLength(body: unknown): number {
    if (!types.isUint8Array(body)) {
      throw argumentError("body", `body is ${shown(body)}; it must be a Uint8Array (or a Buffer)`);
    }
    const length = byteLength(body);
    const { maxMessageBytes } = this.#limits;
    if (length <= maxMessageBytes) return length;
    throw new StoreError(
      "STORE_MESSAGE_TOO_LARGE",
      `body has ${length} bytes; the store takes at most ${maxMessageBytes} (option maxMessageBytes)`,
      { details: { argument: "body", bytes: length, maximum: maxMessageBytes } },
    );
  }

  #writeBody(body: Uint8Array, at: number): void {
    try {
      this.#arena.bytes.set(body, at);
    } catch (cause) {
      throw argumentError("body", "body has lost its memory: the buffer was detached, shrunk or grown", cause);
    }
  }

  #writeTopic(topic: string, at: number): number {
    const length = writeTopic(topic, this.#arena.bytes, at);
    if (length > 0 && length <= MAX_TOPIC_BYTES) return length;
    if (length === 0 || !mayBeLong(topic)) throw topicError("topic", topic);
    if (this.#limits.compat !== "4.9") return length;
    throw argumentError(
      "topic",
      `topic ${shown(topic)} has ${length} characters; with compat "4.9" at most 127 are allowed, as RocketMQ 4.9 takes a longer one for the end of the log`,
    );
  }

  #writeProperties(tags: Message["tags"], keys: Message["keys"], properties: Message["properties"]): void {
    this.#hasTags = tags !== undefined;
    this.#hasKeys = false;
    if (tags !== undefined) {
      this.#writeName(TAGS_NAME);
      this.#writeTagsValue(tags);
    }
    if (keys !== undefined) this.#writeKeys(keys);
    if (properties !== undefined) this.#writeGiven(properties);
    this.#checkLength(properties);
  }

  /** A name that is known to be right, with the character behind it. */
  #writeName(name: Uint8Array): void {
    this.#reserve(this.#at + name.length);
    const { bytes } = this.#arena;
    for (let i = 0; i < name.length; i++) bytes[this.#at + i] = name[i] as number;
    this.#at += name.length;
  }

  #endPair(): void {
    this.#reserve(this.#at + 1);
    this.#arena.bytes[this.#at++] = PAIR_END;
  }

  /** Writes a text of the property string; false where it has a forbidden character. */
  #writeText(text: string, forbidden: ForbiddenCharacters): boolean {
    if (text.length > MAX_PROPERTIES_BYTES) throw propertiesTooLong(text.length, MAX_PROPERTIES_BYTES);
    this.#reserve(this.#at + text.length * UTF8_BYTES_PER_UNIT);
    const end = this.#arena.writeText(text, this.#at, forbidden);
    if (end < 0) return false;
    this.#at = end;
    return true;
  }

  #writeTagsValue(tags: unknown): void {
    if (typeof tags !== "string" || tags === "") {
      throw argumentError("tags", `tags is ${shown(tags)}; it must be a string that is not empty`);
    }
    if (!this.#writeText(tags, IN_TAGS)) {
      throw argumentError("tags", `tags is ${shown(tags)}; the characters U+0001 and U+0002 are not allowed`);
    }
    this.#endPair();
  }

  #writeKeys(keys: unknown): void {
    if (!Array.isArray(keys)) throw argumentError("keys", `keys is ${shown(keys)}; it must be an array of strings`);
    const count = keys.length;
    if (count === 0) return;
    this.#hasKeys = true;
    this.#writeName(KEYS_NAME);
    for (let i = 0; i < count; i++) {
      const key: unknown = keys[i];
      if (typeof key !== "string" || key === "") {
        throw argumentError(`keys[${i}]`, `keys[${i}] is ${shown(key)}; it must be a string that is not empty`);
      }
      if (i > 0) {
        this.#reserve(this.#at + 1);
        this.#arena.bytes[this.#at++] = SPACE;
      }
      if (!this.#writeText(key, IN_KEY)) {
        throw argumentError(`keys[${i}]`, `keys[${i}] is ${shown(key)}; spaces, U+0001 and U+0002 are not allowed`);
      }
      this.#checkLength(undefined);
    }
    this.#endPair();
  }

  #writeGiven(properties: unknown): void {
    if (types.isUint8Array(properties)) this.#writeBytes(properties);
    else if (types.isMap(properties)) Map.prototype.forEach.call(properties, this.#writePair);
    else if (isRecord(properties)) {
      for (const name in properties) {
        if (Object.hasOwn(properties, name)) this.#writePair(properties[name], name);
      }
    } else {
      throw argumentError(
        "properties",
        `properties is ${shown(properties)}; it must be a plain object, a Map, or the bytes of a property string`,
      );
    }
  }

  /** One property. A function of the instance, so that `Map.prototype.forEach` can take it as it is. */
  readonly #writePair = (value: unknown, name: unknown): void => {
    if (typeof name !== "string" || name === "") {
      throw argumentError("properties", `a property is named ${shown(name)}; names must be strings that are not empty`);
    }
    if (typeof value !== "string" || value === "") {
      throw argumentError(
        `properties.${name}`,
        `property ${shown(name)} is ${shown(value)}; it must be a string that is not empty (RocketMQ drops empty ones)`,
      );
    }
    if (name === PropertyName.recordCrc) return;
    if (name === PropertyName.tags && this.#hasTags) throw namedTwice(name, "tags");
    if (name === PropertyName.keys && this.#hasKeys) throw namedTwice(name, "keys");
    if (!this.#writeText(name, IN_NAME)) {
      throw argumentError(
        "properties",
        `a property is named ${shown(name)}; the characters U+0001 and U+0002 are not allowed`,
      );
    }
    this.#reserve(this.#at + 1);
    this.#arena.bytes[this.#at++] = NAME_END;
    if (!this.#writeText(value, IN_VALUE)) {
      throw argumentError(
        `properties.${name}`,
        `property ${shown(name)} is ${shown(value)}; the character U+0002 is not allowed`,
      );
    }
    this.#endPair();
    this.#checkLength(undefined);
  };

  #writeBytes(properties: Uint8Array): void {
    const length = byteLength(properties);
    if (length > MAX_PROPERTIES_BYTES) throw propertiesTooLong(length, MAX_PROPERTIES_BYTES);
    const from = this.#at;
    this.#reserve(from + length);
    const { bytes } = this.#arena;
    try {
      bytes.set(properties, from);
    } catch (cause) {
      throw argumentError("properties", "properties has lost its memory: its buffer was detached or resized", cause);
    }
    this.#at = from + length;
    if (this.#hasTags && namesProperty(bytes, from, this.#at, PropertyName.tags)) {
      throw namedTwice(PropertyName.tags, "tags");
    }
    if (this.#hasKeys && namesProperty(bytes, from, this.#at, PropertyName.keys)) {
      throw namedTwice(PropertyName.keys, "keys");
    }
  }

  /** Holds what was written so far, with what the engine appends, against the longest property string. */
  #checkLength(given: unknown): void {
    const length = this.#at - this.#propertiesFrom;
    const { bytes } = this.#arena;
    let appended = 0;
    if (this.#limits.recordCrc) {
      const open = length > 0 && bytes[this.#at - 1] !== PAIR_END;
      appended = RECORD_CRC_BYTES + (open ? 1 : 0);
    }
    if (length + appended <= MAX_PROPERTIES_BYTES) return;
    // A property string from the wire may bring a CRC, which the engine takes out before it appends its own.
    const replaced = types.isUint8Array(given) && length <= MAX_PROPERTIES_BYTES;
    if (replaced && namesProperty(bytes, this.#propertiesFrom, this.#at, PropertyName.recordCrc)) return;
    throw propertiesTooLong(length, MAX_PROPERTIES_BYTES - appended);
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
    this.#sealed.push({ bytes: this.#arena.bytes, used: this.#used, count: this.#count });
    this.#arena = new Arena();
    this.#used = 0;
    this.#count = 0;
    this.#at = 0;
  }
}

function writeHost(ints: Int32Array, at: number, host: EncodedHost): void {
  const words = host.words;
  ints[at] = words[0] as number;
  ints[at + 1] = words[1] as number;
  ints[at + 2] = words[2] as number;
  ints[at + 3] = words[3] as number;
}

function checkLong(name: string, value: unknown): void {
  if (!Number.isSafeInteger(value)) {
    throw integerError(name, value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  }
}

/** Whether a value is an object of its own names only, made in this or another realm. */
function isRecord(value: unknown): value is Record<string, unknown> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function namedTwice(property: string, field: string): StoreError {
  return argumentError(
    "properties",
    `property ${property} is given twice: as ${field} and in properties; give it in one place`,
  );
}

function propertiesTooLong(bytes: number, maximum: number): StoreError {
  return new StoreError(
    "STORE_MESSAGE_TOO_LARGE",
    `the property string (tags, keys and properties) has ${bytes} bytes or more; a record takes at most ${maximum}`,
    { details: { argument: "properties", bytes, maximum } },
  );
}

/** The error of a message, with its place in the batch in front of the field. */
function errorInMessage(error: unknown, index: number): StoreError {
  const path = index < 0 ? "message" : `messages[${index}]`;
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
