/** Tags, keys and properties of a message, checked, as the property string of its record (store-format chapter 2.4). */
import { types } from "node:util";
import { type Arena, type ForbiddenCharacters, forbiddenCharacters } from "./arena.ts";
import { byteLength, isPlainObject } from "./arguments.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { MAX_PROPERTIES_BYTES, type Message, PropertyName } from "./message.ts";
import { NAME_END, namesProperty, PAIR_END } from "./properties.ts";
import { MAX_SYSTEM_TOPIC_BYTES, writeLightQueue } from "./topic.ts";

/** Bytes of `__CRC32#`, its value and separators, which the engine appends. */
const RECORD_CRC_BYTES = 20;
const SPACE = 0x20;
/** Longest tags that are kept for the next message. */
const KEPT_TAGS_CHARACTERS = 64;

/** Names with the character behind a name. */
const TAGS_NAME: Uint8Array = Uint8Array.from(Buffer.from(`${PropertyName.tags}\u0001`));
const KEYS_NAME: Uint8Array = Uint8Array.from(Buffer.from(`${PropertyName.keys}\u0001`));
const MULTI_DISPATCH_NAME: Uint8Array = Uint8Array.from(Buffer.from(`${PropertyName.multiDispatch}\u0001`));
const COMMA = 0x2c;

const IN_NAME: ForbiddenCharacters = forbiddenCharacters(NAME_END, PAIR_END);
const IN_VALUE: ForbiddenCharacters = forbiddenCharacters(PAIR_END);
const IN_TAGS: ForbiddenCharacters = forbiddenCharacters(NAME_END, PAIR_END);
const IN_KEY: ForbiddenCharacters = forbiddenCharacters(NAME_END, PAIR_END, SPACE);

/** Writes property strings into an arena: TAGS, KEYS, INNER_MULTI_DISPATCH, then the properties as given. */
export class PropertyEncoder {
  /** Whether the engine appends a CRC, for which there must be room. */
  readonly #recordCrc: boolean;
  #arena: Arena | undefined;
  /** Where the property string at hand begins. */
  #from = 0;
  #hasTags = false;
  #hasKeys = false;
  #hasMultiDispatch = false;
  /** The last tags that were written, with their name and ends: neighbours often have the same. */
  #lastTags = "";
  #lastTagsBytes: Uint8Array = new Uint8Array(0);

  constructor(recordCrc: boolean) {
    this.#recordCrc = recordCrc;
  }

  /** Writes the property string of a message at the arena's position, and returns its length. */
  write(
    arena: Arena,
    tags: Message["tags"],
    keys: Message["keys"],
    multiDispatch: Message["multiDispatch"],
    properties: Message["properties"],
  ): number {
    this.#arena = arena;
    this.#from = arena.at;
    this.#hasTags = tags !== undefined;
    this.#hasKeys = false;
    this.#hasMultiDispatch = false;
    if (tags !== undefined) this.#writeTags(arena, tags);
    if (keys !== undefined) this.#writeKeys(arena, keys);
    if (multiDispatch !== undefined) this.#writeMultiDispatch(arena, multiDispatch);
    if (properties !== undefined) this.#writeGiven(arena, properties);
    this.#checkLength(arena, properties);
    return arena.at - this.#from;
  }

  /** Appends properties that many messages share to those that were written last, and returns the length of all. */
  writeShared(arena: Arena, shared: Uint8Array): number {
    if (shared.length > 0) {
      if (arena.at > this.#from && arena.bytes[arena.at - 1] !== PAIR_END) arena.writeByte(PAIR_END);
      arena.reserve(shared.length);
      arena.bytes.set(shared, arena.at);
      arena.at += shared.length;
      this.#checkLength(arena, undefined);
    }
    return arena.at - this.#from;
  }

  #writeTags(arena: Arena, tags: unknown): void {
    if (typeof tags !== "string" || tags === "") {
      throw argumentError("tags", `tags is ${shown(tags)}; it must be a string that is not empty`);
    }
    if (tags === this.#lastTags) {
      arena.writeBytes(this.#lastTagsBytes);
      return;
    }
    checkRoom(tags);
    const from = arena.at;
    arena.writeBytes(TAGS_NAME);
    if (!arena.writeText(tags, IN_TAGS)) {
      throw argumentError("tags", `tags is ${shown(tags)}; the characters U+0001 and U+0002 are not allowed`);
    }
    arena.writeByte(PAIR_END);
    if (tags.length <= KEPT_TAGS_CHARACTERS) {
      this.#lastTags = tags;
      this.#lastTagsBytes = arena.bytes.slice(from, arena.at);
    }
  }

  #writeKeys(arena: Arena, keys: unknown): void {
    if (!Array.isArray(keys)) throw argumentError("keys", `keys is ${shown(keys)}; it must be an array of strings`);
    const count = keys.length;
    if (count === 0) return;
    this.#hasKeys = true;
    arena.writeBytes(KEYS_NAME);
    for (let i = 0; i < count; i++) {
      const key: unknown = keys[i];
      if (typeof key !== "string" || key === "") {
        throw argumentError(`keys[${i}]`, `keys[${i}] is ${shown(key)}; it must be a string that is not empty`);
      }
      checkRoom(key);
      if (i > 0) arena.writeByte(SPACE);
      if (!arena.writeText(key, IN_KEY)) {
        throw argumentError(`keys[${i}]`, `keys[${i}] is ${shown(key)}; spaces, U+0001 and U+0002 are not allowed`);
      }
      this.#checkLength(arena, undefined);
    }
    arena.writeByte(PAIR_END);
  }

  #writeMultiDispatch(arena: Arena, names: unknown): void {
    if (!Array.isArray(names)) {
      throw argumentError(
        "multiDispatch",
        `multiDispatch is ${shown(names)}; it must be an array of light queue names`,
      );
    }
    const count = names.length;
    if (count === 0) return;
    this.#hasMultiDispatch = true;
    const seen = new Set<unknown>();
    arena.writeBytes(MULTI_DISPATCH_NAME);
    for (let i = 0; i < count; i++) {
      const name: unknown = names[i];
      if (i > 0) arena.writeByte(COMMA);
      arena.reserve(MAX_SYSTEM_TOPIC_BYTES);
      arena.at += writeLightQueue(`multiDispatch[${i}]`, name, arena.bytes, arena.at);
      if (seen.has(name)) {
        throw argumentError(`multiDispatch[${i}]`, `multiDispatch names ${shown(name)} twice; give each queue once`);
      }
      seen.add(name);
      this.#checkLength(arena, undefined);
    }
    arena.writeByte(PAIR_END);
  }

  #writeGiven(arena: Arena, properties: unknown): void {
    if (types.isUint8Array(properties)) this.#writeBytes(arena, properties);
    else if (types.isMap(properties)) Map.prototype.forEach.call(properties, this.#writePair);
    else if (isPlainObject(properties)) {
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
    const arena = this.#arena as Arena;
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
    if (name === PropertyName.multiDispatch && this.#hasMultiDispatch) throw namedTwice(name, "multiDispatch");
    checkRoom(name);
    checkRoom(value);
    if (!arena.writeText(name, IN_NAME)) {
      throw argumentError(
        "properties",
        `a property is named ${shown(name)}; the characters U+0001 and U+0002 are not allowed`,
      );
    }
    arena.writeByte(NAME_END);
    if (!arena.writeText(value, IN_VALUE)) {
      throw argumentError(
        `properties.${name}`,
        `property ${shown(name)} is ${shown(value)}; the character U+0002 is not allowed`,
      );
    }
    arena.writeByte(PAIR_END);
    this.#checkLength(arena, undefined);
  };

  #writeBytes(arena: Arena, properties: Uint8Array): void {
    const length = byteLength(properties);
    if (length > MAX_PROPERTIES_BYTES) throw tooLong(length, MAX_PROPERTIES_BYTES);
    arena.reserve(length);
    const { bytes, at: from } = arena;
    try {
      bytes.set(properties, from);
    } catch (cause) {
      throw argumentError("properties", "properties has lost its memory: its buffer was detached or resized", cause);
    }
    const end = from + length;
    arena.at = end;
    if (this.#hasTags && namesProperty(bytes, from, end, PropertyName.tags)) {
      throw namedTwice(PropertyName.tags, "tags");
    }
    if (this.#hasKeys && namesProperty(bytes, from, end, PropertyName.keys)) {
      throw namedTwice(PropertyName.keys, "keys");
    }
    if (this.#hasMultiDispatch && namesProperty(bytes, from, end, PropertyName.multiDispatch)) {
      throw namedTwice(PropertyName.multiDispatch, "multiDispatch");
    }
  }

  /** Holds what was written so far, with what the engine appends, against the longest property string. */
  #checkLength(arena: Arena, given: unknown): void {
    checkPropertyBytes(arena.bytes, this.#from, arena.at, this.#recordCrc, types.isUint8Array(given));
  }
}

/** Holds a property string, with what the engine appends, against the longest. */
export function checkPropertyBytes(
  bytes: Uint8Array,
  from: number,
  to: number,
  recordCrc: boolean,
  isFromWire: boolean,
): void {
  const length = to - from;
  let appended = 0;
  if (recordCrc) {
    const isOpen = length > 0 && bytes[to - 1] !== PAIR_END;
    appended = RECORD_CRC_BYTES + (isOpen ? 1 : 0);
  }
  if (length + appended <= MAX_PROPERTIES_BYTES) return;
  // A property string from the wire may bring a CRC, which the engine takes out before it appends its own.
  const isReplaced =
    isFromWire && length <= MAX_PROPERTIES_BYTES && namesProperty(bytes, from, to, PropertyName.recordCrc);
  if (!isReplaced) throw tooLong(length, MAX_PROPERTIES_BYTES - appended);
}

/** Refuses a text that alone is too long before any of it is written: it has a byte a character at least. */
function checkRoom(text: string): void {
  if (text.length > MAX_PROPERTIES_BYTES) throw tooLong(text.length, MAX_PROPERTIES_BYTES);
}

function namedTwice(property: string, field: string): StoreError {
  return argumentError(
    "properties",
    `property ${property} is given twice: as ${field} and in properties; give it in one place`,
  );
}

function tooLong(bytes: number, maximum: number): StoreError {
  return new StoreError(
    "STORE_MESSAGE_TOO_LARGE",
    `the property string (tags, keys and properties) has ${bytes} bytes or more; a record takes at most ${maximum}`,
    { details: { argument: "properties", bytes, maximum } },
  );
}
