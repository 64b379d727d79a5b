/** Reads from queues through one reusable buffer: one call of the engine for many messages. */
import { types } from "node:util";
import { checkSignal, throwIfAborted } from "./abort.ts";
import { byteLength, checkInteger, checkOffset, checkQueueId, isPlainMemory, readOptions } from "./arguments.ts";
import { type EngineFetch, type EngineStore, type FetchedMessages, GET_HEAD, GetHead } from "./binding/contract.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { GetResult } from "./get-result.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { type MessageFilter, TagFilter } from "./tag-filter.ts";
import { TopicBytes } from "./topic.ts";

/** How much `get` reads at once. */
export interface GetOptions {
  /** Most messages. Default 32, at most 65,536. */
  readonly max?: number | undefined;
  /** Most bytes, though the first message always comes whole. Default 256 KiB (with `into`: its size), at most 128 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * Which messages are wanted; others are passed by, without their records being read. One call passes at most 16,384
   * entries, or `max`: an answer without messages has the status `NO_MATCHED_MESSAGE`, and says in `nextOffset` where
   * to go on.
   */
  readonly filter?: MessageFilter | undefined;
  /**
   * Takes the records instead of a new array. The result and its messages are views on it, dead at its next use: what is
   * asked of them then is `STORE_CORRUPT`, or of what stands there.
   */
  readonly into?: Uint8Array | undefined;
}

/** As `GetOptions`; `into` is the caller's again when the promise has settled. */
export interface FetchOptions extends GetOptions {
  /** Ends the wait with `STORE_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

const NAMES: readonly string[] = ["max", "maxBytes", "filter", "into"];
const FETCH_NAMES: readonly string[] = [...NAMES, "signal"];
const DEFAULT_MESSAGES = 32;
const MAX_MESSAGES = 65_536;
const DEFAULT_BYTES = 256 * 1024;
const MAX_BYTES = 128 * 1024 * 1024;
/** Buffers for more than this are not kept for the next call. */
const KEPT_BYTES = 4 * 1024 * 1024;
const KEPT_MESSAGES = 4096;

export class QueueReader {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  readonly #topic: TopicBytes = new TopicBytes();
  readonly #filter: TagFilter = new TagFilter();
  /** Made by the first read: a store that is not read from needs none. */
  #scratch: Uint8Array = new Uint8Array(0);
  #columns: Float64Array = new Float64Array(GET_HEAD + DEFAULT_MESSAGES);

  constructor(engine: EngineStore, lifecycle: Lifecycle) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
  }

  get(topic: string, queueId: number, queueOffset: number, options: GetOptions | undefined): GetResult {
    const request = this.#request(topic, queueId, queueOffset, readOptions(options, NAMES));
    // A getter of an option may have closed the store.
    this.#lifecycle.checkReadable();
    return this.#answer(request, false) as GetResult;
  }

  /** As `get`, without waiting for a disk: where it would take one, a read beside the event loop. */
  fetch(
    topic: string,
    queueId: number,
    queueOffset: number,
    options: FetchOptions | undefined,
  ):
    | { readonly now: GetResult }
    | { readonly later: EngineFetch<GetResult>; readonly signal: AbortSignal | undefined } {
    const given = readOptions(options, FETCH_NAMES);
    const { signal } = given;
    checkSignal(signal);
    const request = this.#request(topic, queueId, queueOffset, given);
    throwIfAborted(signal);
    this.#lifecycle.checkReadable();
    const now = this.#answer(request, true);
    if (now !== undefined) return { now };
    const { max, maxBytes, filter } = request;
    const { done, forget } = this.#engine.fetch(topic, queueId, queueOffset, max, maxBytes, filter);
    return { later: { done: done.then((fetched) => cold(request, fetched)), forget }, signal };
  }

  #request(topic: string, queueId: number, queueOffset: number, given: GetOptions): Request {
    const into = checkInto(given.into);
    const byDefault = into === undefined ? DEFAULT_BYTES : Math.min(byteLength(into), MAX_BYTES);
    const { max = DEFAULT_MESSAGES, maxBytes = byDefault } = given;
    checkInteger("options.max", max, 1, MAX_MESSAGES);
    checkInteger("options.maxBytes", maxBytes, 1, MAX_BYTES);
    const filter = this.#filter.encode(given.filter);
    const topicBytes = this.#topic.set(topic);
    checkQueueId(queueId);
    checkOffset("queueOffset", queueOffset);
    return { topicBytes, queueId, queueOffset, max, maxBytes, filter, into };
  }

  /** Undefined where something has to come from the disk, and `inMemory` asks only for what need not. */
  #answer(request: Request, inMemory: boolean): GetResult | undefined {
    const { max, maxBytes, into } = request;
    const columns = this.#columnsFor(max);
    const direct = into !== undefined && isPlainMemory(into);
    const room = into === undefined ? Number.POSITIVE_INFINITY : byteLength(into);
    let out = direct ? into : this.#scratchFor(Math.min(maxBytes, room));
    for (;;) {
      if (!this.#read(request, inMemory, out, columns)) return;
      const needed = columns[GetHead.needed] as number;
      if (needed === 0 || needed <= byteLength(out)) break;
      if (needed > room) throw tooSmall(room, needed);
      out = new Uint8Array(needed);
    }

    const bytes = columns[GetHead.bytes] as number;
    if (into === undefined) {
      const isOwn = out.buffer !== this.#scratch.buffer && bytes === out.length;
      return new GetResult(columns, isOwn ? out : copyOf(out, bytes), false);
    }
    if (!direct) copyInto(into, out.subarray(0, bytes));
    return intoResult(columns, into, bytes, false);
  }

  #read(request: Request, inMemory: boolean, out: Uint8Array, columns: Float64Array): boolean {
    const { topicBytes, queueId, queueOffset, max, maxBytes, filter } = request;
    const topic = this.#topic.bytes;
    if (inMemory) {
      return this.#engine.getInMemory(topic, topicBytes, queueId, queueOffset, max, maxBytes, filter, out, columns);
    }
    this.#engine.get(topic, topicBytes, queueId, queueOffset, max, maxBytes, filter, out, columns);
    return true;
  }

  #scratchFor(bytes: number): Uint8Array {
    if (bytes === this.#scratch.length) return this.#scratch;
    if (bytes < this.#scratch.length) return this.#scratch.subarray(0, bytes);
    const scratch = new Uint8Array(bytes);
    if (bytes <= KEPT_BYTES) this.#scratch = scratch;
    return scratch;
  }

  #columnsFor(messages: number): Float64Array {
    if (GET_HEAD + messages <= this.#columns.length) return this.#columns;
    const columns = new Float64Array(GET_HEAD + messages);
    if (messages <= KEPT_MESSAGES) this.#columns = columns;
    return columns;
  }
}

/** What was asked for, checked. `filter` and the topic are scratch memory. */
interface Request {
  readonly topicBytes: number;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly max: number;
  readonly maxBytes: number;
  readonly filter: Uint8Array;
  readonly into: Uint8Array | undefined;
}

/** The answer of a read that took a disk. */
function cold({ into }: Request, { columns, bytes }: FetchedMessages): GetResult {
  if (into === undefined) return new GetResult(columns, bytes, true);
  if (bytes.length > byteLength(into)) throw tooSmall(byteLength(into), bytes.length);
  copyInto(into, bytes);
  return intoResult(columns, into, bytes.length, true);
}

function intoResult(columns: Float64Array, into: Uint8Array, bytes: number, isCold: boolean): GetResult {
  return new GetResult(columns, new Uint8Array(into.buffer, into.byteOffset, bytes), isCold);
}

function checkInto(into: unknown): Uint8Array | undefined {
  if (into === undefined) return undefined;
  if (!types.isUint8Array(into)) {
    throw argumentError("options.into", `into is ${shown(into)}; it must be a Uint8Array (or a Buffer)`);
  }
  if (byteLength(into) > 0) return into;
  throw argumentError("options.into", "into has no room: it is empty, or its buffer was detached or shrunk");
}

function tooSmall(room: number, needed: number): StoreError {
  return new StoreError(
    "STORE_INVALID_ARGUMENT",
    `into has ${room} bytes; the message at this queue offset needs ${needed}`,
    { details: { argument: "options.into", needed } },
  );
}

/** The first `bytes` of an array in memory of their own, which is not filled with zeros before. */
function copyOf(array: Uint8Array, bytes: number): Uint8Array {
  const copy = new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer, 0, bytes);
  copy.set(bytes === array.length ? array : array.subarray(0, bytes));
  return copy;
}

function copyInto(into: Uint8Array, bytes: Uint8Array): void {
  try {
    Uint8Array.prototype.set.call(into, bytes);
  } catch (cause) {
    throw argumentError("options.into", "into has lost its memory: its buffer was shrunk", cause);
  }
}
