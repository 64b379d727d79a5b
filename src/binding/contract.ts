/**
 * The one interface between the API and an engine: numbers and bytes, batches, no object per message.
 *
 * An engine throws `StoreError` from every member. Offsets and times are integers below 2^53.
 */
import type { StoreError } from "../errors.ts";
import type { EncodedHost } from "../hosts.ts";
import type { RetentionRules } from "../retention-options.ts";

/** Bytes in front of each message of a batch; the layout is drawn in native/core/src/batch.rs. */
export const BATCH_HEADER_BYTES = 88;

/** Numbers in front of the per-message ones in the results of `put`: store timestamp, end offset, ready watches. */
export const PUT_RESULT_HEADER = 3;
/** Numbers per message in the results of `put`: physical offset, queue offset, size. */
export const PUT_RESULT_STRIDE = 3;

/** Numbers that `get` writes before the queue offsets of the messages. */
export const GET_HEAD = 8;
/** Places of the numbers in the head of `get`. */
export const GetHead = {
  /** RocketMQ's GetMessageStatus by ordinal. */
  status: 0,
  nextOffset: 1,
  minOffset: 2,
  maxOffset: 3,
  messages: 4,
  bytes: 5,
  bytesBehind: 6,
  /** Bytes that the first record needs, when `out` is too small for it; then `messages` is 0. */
  needed: 7,
} as const;

/** Kinds of an item of `scan`. */
export const ScanKind = { message: 0, blank: 1, damaged: 2 } as const;
/** Numbers per item of `scan`: kind, physical offset, size in the log. */
export const SCAN_STRIDE = 3;

/** Options as the engine takes them; all sizes checked by `options.ts` before. */
export interface EngineOptions {
  flush: "async" | "sync";
  flushIntervalMs: number;
  segmentBytes: number;
  queueFileEntries: number;
  indexSlots: number;
  indexEntries: number;
  recordCrc: boolean;
  index: boolean;
  indexTags: boolean;
  compat: "5" | "4.9";
  maxMessageBytes: number;
  /** What the delay levels 1, 2 … mean, in ms. */
  delayLevels: number[];
  /** Files of the log that go without being asked for. */
  retention?: RetentionRules;
  readOnly: boolean;
  create: boolean;
  /** Milliseconds since the epoch for every store timestamp, instead of the system's clock (tests). */
  clock?: () => number;
}

/** What `expire` has removed. */
export interface Expired {
  /** Files of the log. */
  readonly files: number;
  /** Bytes of the log in front of the new minimum. */
  readonly bytes: number;
  /** Physical offset that the log begins at now. */
  readonly minOffset: number;
  /** More may go than one call removes: another one would go on. */
  readonly more: boolean;
}

export interface EngineEvents {
  /** Recovery goes on; `done` and `total` are bytes. */
  onProgress(phase: string, done: number, total: number): void;
  /** The durable position moved, once for a whole group; or a sync failed and the store is poisoned. */
  onSettled(durableOffset: number, error: StoreError | undefined): void;
  /** Another thread has put: watches are ready, or the log has grown, which is told while it is followed. */
  onArrived(): void;
}

export interface Positions {
  minOffset: number;
  endOffset: number;
  durableOffset: number;
  visibleOffset: number;
}

export interface Finding {
  kind: string;
  file: string;
  offset: number;
  length: number;
  message: string;
}

export interface FileFact {
  path: string;
  bytes: number;
  /** `commitlog`, `consumequeue`, `batchconsumequeue`, `consumequeue_ext`, `index`, `checkpoint`, `abort`, `lock`, `config`, `sidecar`, `other`. */
  kind: string;
}

export interface IndexFileFact {
  file: string;
  slots: number;
  entries: number;
  /** Entries in use. */
  used: number;
  beginTimestamp: number;
  endTimestamp: number;
  beginPhysicalOffset: number;
  endPhysicalOffset: number;
}

export interface EngineHealth {
  /** Whether the store had been closed cleanly before it was opened. */
  clean: boolean;
  findings: Finding[];
  files: FileFact[];
  indexFiles: IndexFileFact[];
  /** Options in force: sizes as found on disk. */
  segmentBytes: number;
  queueFileEntries: number;
}

/** Messages of the log in order, one row each, one column a fact. */
export interface AppendedColumns {
  physicalOffsets: Float64Array;
  queueIds: Int32Array;
  /** -1 for a message that stands in no queue. */
  queueOffsets: Float64Array;
  sizes: Float64Array;
  storeTimestamps: Float64Array;
  tagsCodes: Float64Array;
  /** Places in `topics`. */
  topicIndexes: Uint32Array;
  topics: string[];
  /** Position to go on at. */
  next: number;
}

/** Messages by columns: of `MessageColumns`, in memory that no other thread writes. */
export interface EncodedColumns {
  readonly topics: readonly Uint8Array[];
  readonly bornHosts: readonly EncodedHost[];
  readonly storeHost: EncodedHost;
  readonly bytes: Uint8Array;
  readonly queueIds: Int32Array;
  readonly bodies: Uint32Array;
  readonly properties: Uint32Array | undefined;
  readonly topicOf: Uint32Array | undefined;
  readonly bornHostOf: Uint32Array | undefined;
  readonly flags: Int32Array | undefined;
  readonly sysFlags: Int32Array | undefined;
  readonly reconsumeTimes: Int32Array | undefined;
  readonly preparedTransactionOffsets: Float64Array | undefined;
  readonly bornTimestamps: Float64Array | undefined;
  /** For messages of columns without times. */
  readonly bornTimestamp: number;
}

/** A store opened by an engine. `out` and columns belong to the caller; nothing is kept after a call returns. */
export interface EngineStore {
  /**
   * Appends the first `bytes` of `batch`, which hold `count` messages. `results` gets PUT_RESULT_HEADER numbers,
   * then PUT_RESULT_STRIDE a message. Returns how many were stored: with fewer than `count`, `takeError` has the reason.
   */
  put(batch: Uint8Array, bytes: number, count: number, results: Float64Array): number;
  /** As `put`, for messages of one queue that stay together in one file of the log: all are stored, or none. */
  putGroup(batch: Uint8Array, bytes: number, count: number, results: Float64Array): number;
  /** As `put`, for messages `from` to below `to` of columns, of which everything was checked but what only the engine knows. */
  putColumns(columns: EncodedColumns, from: number, to: number, results: Float64Array): number;
  /** The error of a `put`, `putGroup` or `putColumns` that stored fewer than asked. */
  takeError(): StoreError;
  /**
   * Reads up to `max` messages, or `maxBytes`, from a queue into `out`, back to back; `columns` gets the head (GetHead),
   * then the queue offset of each. `topic` holds the topic's UTF-8 bytes in its first `topicBytes`; `filter` the tags
   * that are wanted, each with its length in front (2 bytes, big-endian), and nothing for all messages.
   */
  get(
    topic: Uint8Array,
    topicBytes: number,
    queueId: number,
    queueOffset: number,
    max: number,
    maxBytes: number,
    filter: Uint8Array,
    out: Uint8Array,
    columns: Float64Array,
  ): void;
  /** As `get`, where everything it needs is in memory; false, and nothing is to be looked at, where it is not. */
  getInMemory(
    topic: Uint8Array,
    topicBytes: number,
    queueId: number,
    queueOffset: number,
    max: number,
    maxBytes: number,
    filter: Uint8Array,
    out: Uint8Array,
    columns: Float64Array,
  ): boolean;
  /** Reads what `get` reads, beside the event loop; `filter` is copied. */
  fetch(
    topic: string,
    queueId: number,
    queueOffset: number,
    max: number,
    maxBytes: number,
    filter: Uint8Array,
  ): EngineFetch<FetchedMessages>;
  /** As `at`, where it is in memory: `found`; undefined where it is not. */
  atInMemory(physicalOffset: number): { found: Uint8Array | undefined } | undefined;
  /** Reads what `at` reads, beside the event loop. */
  fetchAt(physicalOffset: number): EngineFetch<Uint8Array | undefined>;
  /** Asks for everything put so far to be synced; `onSettled` follows, also when there was nothing left to sync. */
  requestFlush(): void;
  /** Minimum, end, durable and visible offset of the log, into `out`. */
  positions(out: Float64Array): void;
  /** The whole record at a physical offset; undefined where none starts. */
  at(physicalOffset: number): Uint8Array | undefined;
  /**
   * Records with keys of a topic, in memory of their own: `max` of each key at most, newest first, the first key's first, each
   * whole, back to back. The first `bytes` of `asked` are the topic, then the keys, each behind its length in bytes, an unsigned
   * 32-bit number, the lowest byte first. `counts` gets how many records each key has.
   */
  lookup(asked: Uint8Array, bytes: number, counts: Float64Array, begin: number, end: number, max: number): Uint8Array;
  /** Walks the log: items (SCAN_STRIDE numbers each), records of the messages back to back, reasons of the damaged ones in order, next position. */
  scan(
    from: number,
    to: number,
    maxItems: number,
    maxBytes: number,
  ): { items: Float64Array; bytes: Uint8Array; reasons: string[]; next: number };
  /**
   * The messages whose records start in `from..to` and are visible, `max` at most. Throws `STORE_CORRUPT` at bytes that
   * are no record, with `details.nextOffset`: the position at which records go on.
   */
  appended(from: number, to: number, max: number): AppendedColumns;
  /** min, max, next of a queue. */
  offsets(topic: string, queueId: number): { min: number; max: number; next: number };
  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: "lower" | "upper"): number;
  /** Store time of the message at a queue offset, undefined where there is none. */
  timeOf(topic: string, queueId: number, queueOffset: number): number | undefined;
  /** Queue entries, 3 numbers each: physical offset, size, tags code. The first has queue offset `start`. */
  entries(topic: string, queueId: number, from: number, max: number): { start: number; entries: Float64Array };
  /**
   * Watches a queue, which need not exist. Once it has a message that can be read at `max` or above, the watch is ready:
   * the results of `put` say how many are, and with `flush: "sync"` `onSettled` is the time to ask.
   */
  watch(topic: string, queueId: number): { watch: number; max: number };
  unwatch(watch: number): void;
  /** Takes ready watches, until more arrives for them: pairs of watch and maximum of the queue, as many as `out` takes. Returns how many. */
  takeArrivals(out: Float64Array): number;
  /** Whether `onArrived` follows whenever another thread has put. */
  follow(follows: boolean): void;
  /** A token that `Engine.attach` takes in other threads of the process, while the store is open. `settings` is kept for them. */
  share(settings: string): string;
  topics(): string[];
  queues(topic: string): number[];
  health(): EngineHealth;
  /** How near it is to making a put wait, from 0 to 1. */
  pressure(): number;
  /** Counters by name. */
  stats(): Record<string, number>;
  /** Verifies the store as it is on disk, as far as its files are complete. */
  verify(deep: boolean, onProgress: TaskProgress): EngineTask<EngineVerified>;
  /** Removes files of the log, up to `EXPIRE_BATCH_FILES`; neither argument: by the option `retention`. */
  expire(before: number | undefined, maxBytes: number | undefined): Promise<Expired>;
  /** Deletes a topic; false where there is none. */
  deleteTopic(topic: string): Promise<boolean>;
  /** Holds the log from a physical offset on; the function gives the hold up, also of a store that is closed. */
  retain(fromPhysicalOffset: number): () => void;
  /** Flushes, closes, releases the lock. Called once. */
  close(): Promise<void>;
}

/** Messages read beside the event loop: `columns` as of `get`, and the records, which are the caller's. */
export interface FetchedMessages {
  readonly columns: Float64Array;
  readonly bytes: Uint8Array;
}

/** A read that goes on beside the event loop. */
export interface EngineFetch<T> {
  readonly done: Promise<T>;
  /** Nobody waits for it any more. It settles all the same, or never. */
  forget(): void;
}

/** Work that goes on beside the event loop. */
export interface EngineTask<T> {
  readonly done: Promise<T>;
  /** Ends it early, where that can be: the result says that it is not complete. */
  stop(): void;
}

/** What verifying found: a finding, and what mends it. */
export interface VerifyFinding extends Finding {
  /** A sentence: which command or deed mends it, or that nothing has to be done. */
  remedy: string;
}

export interface EngineVerified {
  /** False: stopped before everything was looked at. */
  complete: boolean;
  findings: VerifyFinding[];
}

/** What came of a rebuild. */
export interface RebuildResult {
  /** Messages in the log. */
  messages: number;
  findings: Finding[];
}

/** What was saved of a store. */
export interface SalvageResult {
  messages: number;
  /** Bytes of their records. */
  bytes: number;
  /** Ranges of the old log that hold no whole record, and their bytes. */
  lostRanges: number;
  lostBytes: number;
  /** What was lost, and what could not be taken over. */
  findings: Finding[];
}

/** How far work has come: `done` of `total`, of what the phase counts. */
export type TaskProgress = (phase: string, done: number, total: number) => void;

/** Which derived files are made again. */
export interface DerivedFiles {
  queues: boolean;
  index: boolean;
}

export interface Engine {
  readonly name: "native" | "wasm";
  open(path: string, options: EngineOptions, events: EngineEvents): Promise<EngineStore>;
  /** What was kept for those who attach to a shared store. */
  sharedSettings(token: string): string;
  /** Attaches this thread to a store that another one has shared; it was opened with `options`. */
  attach(token: string, path: string, options: EngineOptions, events: EngineEvents): Promise<EngineStore>;
  /** Verifies the store in a directory, which nobody here has open. */
  verify(path: string, options: EngineOptions, deep: boolean, onProgress: TaskProgress): EngineTask<EngineVerified>;
  rebuild(
    path: string,
    options: EngineOptions,
    what: DerivedFiles,
    onProgress: TaskProgress,
  ): EngineTask<RebuildResult>;
  salvage(path: string, out: string, options: EngineOptions, onProgress: TaskProgress): EngineTask<SalvageResult>;
}
