/** Columns as the engine takes them: each of the right kind and length, every number in its range, nothing shared with other threads. */
import { types } from "node:util";
import { Arena } from "./arena.ts";
import { bufferOf, byteOffsetOf, integerError, isInteger, lengthOf, MAX_INT32 } from "./arguments.ts";
import type { EncodedColumns } from "./binding/contract.ts";
import type { MessageColumns } from "./columns.ts";
import { checkBodyBytes, checkedTopic, errorInMessage } from "./encode-fields.ts";
import { checkPropertyBytes } from "./encode-properties.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { type EncodedHost, HostEncoder } from "./hosts.ts";
import type { MessageLimits } from "./message-encoder.ts";
import { MAX_SYSTEM_TOPIC_BYTES } from "./topic.ts";

/** Columns of more bytes go to the engine in several calls. */
const CALL_BYTES = 4 * 1024 * 1024;
/** Bytes of a record beside body and properties, about. */
const RECORD_BYTES = 128;
/** Property strings of so many bytes have room for whatever is added to them. */
const SHORT_PROPERTIES = 32_000;
/** Most topics, and most hosts, of a call. */
const MAX_TABLE = 65_536;

type Column = Int32Array | Uint32Array | Float64Array;

/** Columns that were checked, and how they are cut into calls. */
export interface CheckedColumns {
  readonly columns: EncodedColumns;
  /** Behind the last message of each call. */
  readonly ends: readonly number[];
}

/** Checks one set of columns at a time. Topics and hosts of the last one are remembered. */
export class ColumnsEncoder {
  readonly #limits: MessageLimits;
  readonly #bornHost: HostEncoder = new HostEncoder("127.0.0.1", 0);
  readonly #storeHost: HostEncoder = new HostEncoder("127.0.0.1", 10_911);
  readonly #scratch: Arena = new Arena();
  #lastTopic = "";
  #lastTopicBytes: Uint8Array = new Uint8Array(0);

  constructor(limits: MessageLimits) {
    this.#limits = limits;
  }

  check(given: MessageColumns): CheckedColumns {
    if (given === null || typeof given !== "object") {
      throw argumentError(
        "columns",
        `columns is ${shown(given)}; it must be an object with topics, queueIds, bytes and bodies`,
      );
    }
    const columns = this.#columns(given);
    const count = columns.queueIds.length;
    checkPlaces("topicOf", columns.topicOf, "topics", columns.topics.length, count);
    checkPlaces("bornHostOf", columns.bornHostOf, "bornHosts", columns.bornHosts.length, count);
    checkLongs("bornTimestamps", columns.bornTimestamps);
    checkLongs("preparedTransactionOffsets", columns.preparedTransactionOffsets);
    const { queueIds } = columns;
    for (let i = 0; i < count; i++) {
      if ((queueIds[i] as number) < 0) throw integerError(`queueIds[${i}]`, queueIds[i], 0, MAX_INT32);
    }
    return { columns, ends: this.#checkRanges(columns) };
  }

  #columns(given: MessageColumns): EncodedColumns {
    try {
      return this.#read(given);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw argumentError("columns", "columns could not be read: it threw", error);
    }
  }

  /**
   * Reads every field once: a getter may answer something else the next time. Numbers are looked at last, when no more
   * code of the caller runs that could take their memory away.
   */
  #read(given: MessageColumns): EncodedColumns {
    const { topics, bornHosts, storeHost, bytes, queueIds, bodies, properties, topicOf, bornHostOf } = given;
    const { flags, sysFlags, reconsumeTimes, preparedTransactionOffsets, bornTimestamps } = given;
    const names = this.#topics(topics);
    const born = this.#bornHosts(bornHosts);
    const store = this.#storeHost.encode(storeHost, "storeHost");
    const ids = int32("queueIds", queueIds);
    const count = ids.length;
    return {
      topics: names,
      bornHosts: born,
      storeHost: store,
      bytes: uint8("bytes", bytes),
      queueIds: ids,
      bodies: ofLength("bodies", uint32("bodies", bodies), 2 * count),
      properties: optional("properties", properties, uint32, 2 * count),
      topicOf: optional("topicOf", topicOf, uint32, count),
      bornHostOf: optional("bornHostOf", bornHostOf, uint32, count),
      flags: optional("flags", flags, int32, count),
      sysFlags: optional("sysFlags", sysFlags, int32, count),
      reconsumeTimes: optional("reconsumeTimes", reconsumeTimes, int32, count),
      preparedTransactionOffsets: optional("preparedTransactionOffsets", preparedTransactionOffsets, float64, count),
      bornTimestamps: optional("bornTimestamps", bornTimestamps, float64, count),
      bornTimestamp: bornTimestamps === undefined ? Date.now() : 0,
    };
  }

  #topics(topics: unknown): Uint8Array[] {
    return table("topics", topics, "names of topics", (topic, index) => {
      if (topic === this.#lastTopic && topic !== "") return this.#lastTopicBytes;
      const arena = this.#scratch;
      arena.at = 0;
      arena.reserve(MAX_SYSTEM_TOPIC_BYTES);
      try {
        this.#lastTopicBytes = arena.bytes.slice(0, checkedTopic(topic as string, arena, this.#limits.compat));
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        const argument = `topics[${index}]`;
        throw new StoreError(error.code, `${argument}: ${error.message}`, { details: { ...error.details, argument } });
      }
      this.#lastTopic = topic as string;
      return this.#lastTopicBytes;
    });
  }

  #bornHosts(hosts: unknown): EncodedHost[] {
    if (hosts === undefined) return [this.#bornHost.encode(undefined, "bornHosts")];
    return table("bornHosts", hosts, "hosts", (host, index) => {
      if (host === undefined) throw argumentError(`bornHosts[${index}]`, `bornHosts[${index}] is missing`);
      return this.#bornHost.encode(host as EncodedHost, `bornHosts[${index}]`);
    });
  }

  /** Holds every range against the bytes, and every body against the longest; answers with the ends of the calls. */
  #checkRanges({ bytes, bodies, properties, queueIds }: EncodedColumns): number[] {
    const most = bytes.length;
    const { maxMessageBytes, recordCrc } = this.#limits;
    const ends: number[] = [];
    let inCall = 0;
    for (let i = 0, at = 0; i < queueIds.length; i++, at += 2) {
      // No function in here takes one of these with it: a loop whose variables one does makes an object for each turn.
      const from = bodies[at] as number;
      const to = bodies[at + 1] as number;
      if (from > to || to > most) throw rangeError("bodies", at, from, to, most);
      if (to - from > maxMessageBytes) refuseBody(i, to - from, maxMessageBytes);
      let size = RECORD_BYTES + to - from;
      if (properties !== undefined) {
        const start = properties[at] as number;
        const end = properties[at + 1] as number;
        if (start > end || end > most) throw rangeError("properties", at, start, end, most);
        if (end - start > SHORT_PROPERTIES) checkLongProperties(i, bytes, start, end, recordCrc);
        size += end - start;
      }
      if (inCall > 0 && inCall + size > CALL_BYTES) {
        ends.push(i);
        inCall = 0;
      }
      inCall += size;
    }
    ends.push(queueIds.length);
    return ends;
  }
}

function table<T>(name: string, values: unknown, what: string, encode: (value: unknown, index: number) => T): T[] {
  if (!Array.isArray(values)) throw argumentError(name, `${name} is ${shown(values)}; it must be an array of ${what}`);
  const count: unknown = values.length;
  if (!isInteger(count, 1, MAX_TABLE)) {
    throw argumentError(name, `${name} has ${shown(count)} entries; it must have from 1 to ${MAX_TABLE}`);
  }
  const encoded = new Array<T>(count);
  for (let i = 0; i < count; i++) encoded[i] = encode(values[i], i);
  return encoded;
}

const keysOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "keys")?.value as (
  this: unknown,
) => unknown;

interface Constructor<T> {
  readonly name: string;
  readonly prototype: T;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
  new (length: number): T;
}

/** A reader of values of one kind: as they are, without what a subclass makes of them; a copy of what other threads may change. */
function kind<T extends Column | Uint8Array>(
  is: (value: unknown) => value is T,
  plain: Constructor<T>,
): (name: string, value: unknown) => T {
  return (name, value) => {
    if (!is(value)) throw argumentError(name, `${name} is ${shown(value)}; it must be ${aOrAn(plain.name)}`);
    const length = lengthOf.call(value);
    if (length === 0) {
      checkMemory(name, value);
      return new plain(0);
    }
    const buffer = bufferOf.call(value);
    const isShared = types.isSharedArrayBuffer(buffer);
    if (!isShared && isPlain(value, plain.prototype)) return value;
    const view = new plain(buffer, byteOffsetOf.call(value), length);
    return isShared ? (view.slice() as T) : view;
  };
}

/** Whether a typed array answers as the engine of JavaScript made it. */
function isPlain(value: object, prototype: object): boolean {
  return (
    Object.getPrototypeOf(value) === prototype &&
    !Object.hasOwn(value, "length") &&
    !Object.hasOwn(value, "subarray") &&
    !Object.hasOwn(value, "constructor")
  );
}

/** Refuses an array whose buffer was detached, or has shrunk before its end: its length is 0, but it is not empty. */
function checkMemory(name: string, value: unknown): void {
  try {
    keysOf.call(value);
  } catch (cause) {
    throw argumentError(name, `${name} has lost its memory: its buffer was detached or has shrunk`, cause);
  }
}

const uint8: (name: string, value: unknown) => Uint8Array = kind(types.isUint8Array, Uint8Array);
const int32: (name: string, value: unknown) => Int32Array = kind(types.isInt32Array, Int32Array);
const uint32: (name: string, value: unknown) => Uint32Array = kind(types.isUint32Array, Uint32Array);
const float64: (name: string, value: unknown) => Float64Array = kind(types.isFloat64Array, Float64Array);

const aOrAn = (name: string): string => `${name.startsWith("I") ? "an" : "a"} ${name}`;

function optional<T extends Column>(
  name: string,
  value: unknown,
  of: (name: string, value: unknown) => T,
  wanted: number,
): T | undefined {
  return value === undefined ? undefined : ofLength(name, of(name, value), wanted);
}

function ofLength<T extends Column>(name: string, column: T, wanted: number): T {
  if (column.length === wanted) return column;
  throw argumentError(
    name,
    `${name} has ${column.length} numbers; it must have ${wanted}, as queueIds says how many messages there are`,
  );
}

function checkPlaces(name: string, places: Uint32Array | undefined, of: string, entries: number, count: number): void {
  if (places === undefined) return;
  for (let i = 0; i < count; i++) {
    if ((places[i] as number) >= entries) {
      throw argumentError(
        `${name}[${i}]`,
        `${name}[${i}] is ${places[i]}; ${of} has ${entries} entries, counted from 0`,
      );
    }
  }
}

function checkLongs(name: string, values: Float64Array | undefined): void {
  if (values === undefined) return;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isSafeInteger(values[i])) {
      throw integerError(`${name}[${i}]`, values[i], Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    }
  }
}

function rangeError(name: string, at: number, from: number, to: number, bytes: number): StoreError {
  return argumentError(
    `${name}[${at}]`,
    `${name}[${at}] and the number behind it are ${from} and ${to}; they must be begin and end of a range of the ${bytes} bytes`,
  );
}

function refuseBody(index: number, bytes: number, maxMessageBytes: number): void {
  try {
    checkBodyBytes(bytes, maxMessageBytes);
  } catch (error) {
    throw errorInMessage(error, index);
  }
}

function checkLongProperties(index: number, bytes: Uint8Array, start: number, end: number, recordCrc: boolean): void {
  try {
    checkPropertyBytes(bytes, start, end, recordCrc, true);
  } catch (error) {
    throw errorInMessage(error, index);
  }
}
