/** A store: a directory of Apache RocketMQ's format, opened. */
import { AppendLine } from "./append-line.ts";
import type { AppendListener } from "./append-listeners.ts";
import type { ArrivalOptions } from "./arrivals.ts";
import type { PutResult, PutResults } from "./batch.ts";
import type { EngineHealth, VerifyFinding } from "./binding/contract.ts";
import type { MessageColumns } from "./columns.ts";
import { Ending } from "./ending.ts";
import { argumentError, type StoreError } from "./errors.ts";
import { type FetchAtOptions, Fetches } from "./fetches.ts";
import { type AppendOptions, durabilityOf, FlushWaiters } from "./flush-waiters.ts";
import type { GetResult } from "./get-result.ts";
import type { Groups } from "./groups.ts";
import type { Lifecycle, StoreState } from "./lifecycle.ts";
import { type LogPositions, Positions } from "./log-positions.ts";
import type { GroupMessage, GroupOptions, InnerBatchMessage, Message } from "./message.ts";
import { type Opened, openStore, type StoreEvents } from "./opening.ts";
import type { Settings, StoreOptions } from "./options.ts";
import { type EntriesOptions, type LookupOptions, Queries, type QueueEntry, type QueueOffsets } from "./queries.ts";
import { checkReadOptions, QueueCursor, type ReadOptions } from "./queue-cursor.ts";
import { type FetchOptions, type GetOptions, QueueReader } from "./queue-reader.ts";
import { type Expired, type ExpireOptions, type Release, Retention } from "./retention.ts";
import { checkScanOptions, followLog, type LogSource, type ScanItem, type ScanOptions, scanLog } from "./scan.ts";
import { attachStore, shareStore } from "./sharing.ts";
import type { StoredMessage } from "./stored-message.ts";
import type { Table } from "./table.ts";
import { Tables } from "./tables.ts";
import { type VerifyOptions, verifyWith } from "./upkeep.ts";
import { Waits } from "./waits.ts";
import { Writer } from "./writer.ts";

/** What the constructor asks for, so that only `Store.open` can call it. */
const BY_OPEN: symbol = Symbol("Store.open");

/**
 * A message store.
 *
 * ```ts
 * const store = await Store.open("./store");
 * const { queueOffset } = store.put({ topic: "orders", queueId: 0, tags: "paid", keys: ["o-1"], body });
 * await store.flush();
 * for (const message of store.get("orders", 0, queueOffset).messages) console.log(message.tags, message.body);
 * await store.close();
 * ```
 *
 * Members throw `StoreError`; those that return a promise reject with it. All members but `path`, `engine`, `state`,
 * `readOnly` and `close` answer `STORE_CLOSED` once `close` was called.
 */
export class Store {
  readonly #engineName: "native" | "wasm";
  readonly #engine: Opened["engine"];
  readonly #lifecycle: Lifecycle;
  readonly #settings: Settings;
  readonly #writer: Writer;
  readonly #appends: AppendLine;
  readonly #reader: QueueReader;
  readonly #queries: Queries;
  readonly #waiters: FlushWaiters;
  readonly #tables: Tables;
  readonly #waits: Waits;
  readonly #retention: Retention;
  readonly #positions: Positions;
  readonly #fetches: Fetches;
  readonly #ending: Ending;

  /** Where the runtime has `Symbol.asyncDispose`, `await using` closes the store. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;

  private constructor(key: symbol, opened: Opened) {
    if (key !== BY_OPEN) throw argumentError("new Store", "a store is made by Store.open(path, options)");
    const { engineName, engine, lifecycle, settings, isAttached } = opened;
    const { flush } = settings;
    this.#engineName = engineName;
    this.#engine = engine;
    this.#positions = new Positions(engine);
    this.#lifecycle = lifecycle;
    this.#settings = settings;
    this.#waits = new Waits(engine, lifecycle, flush);
    this.#writer = new Writer(engine, lifecycle, settings, this.#waits);
    this.#reader = new QueueReader(engine, lifecycle);
    this.#fetches = new Fetches(engine, lifecycle, this.#reader);
    this.#queries = new Queries(engine, lifecycle);
    this.#retention = new Retention(engine, lifecycle);
    this.#waiters = new FlushWaiters(() => engine.requestFlush(), this.#positions.read().durableOffset);
    const [positions, waiters, waits] = [this.#positions, this.#waiters, this.#waits];
    this.#tables = new Tables({ lifecycle, positions, waiters, clock: settings.clock, isElsewhere: isAttached });
    this.#appends = new AppendLine(this.#writer, waiters, lifecycle.path, settings.maxPendingBytes);
    lifecycle.beforeUse = () => this.#appends.lines.putAll();
    const [appends, fetches, tables] = [this.#appends, this.#fetches, this.#tables];
    this.#ending = new Ending({ engine, lifecycle, flush, positions, waiters, waits, appends, fetches, tables });
    lifecycle.open();
  }

  /**
   * Opens the store in a directory, recovering it where needed, and creates it where there is none.
   *
   * Rejects with `STORE_LOCKED` where another process or store object has it open for writing, `STORE_IO` where the
   * directory cannot be used, `STORE_INVALID_ARGUMENT` also where it holds something else than a store or, with
   * `create: false` or `readOnly`, none; `STORE_UNSUPPORTED_FORMAT`, `STORE_NO_ENGINE`.
   */
  static open(path: string | URL, options?: StoreOptions): Promise<Store> {
    return Store.#made((events) => openStore(path, options, events));
  }

  /**
   * Opens, in another thread of the process, a store that was shared there: both put, read, wait and flush, and each closes
   * its own; the last one closes the directory. Tables and groups stay with the thread that called `Store.open`.
   *
   * Rejects with `STORE_CLOSED` where the store is closed meanwhile, with `STORE_INVALID_ARGUMENT` where the token is none
   * of this process and of this copy of the package, and with `STORE_UNSUPPORTED` where the engine has no threads.
   */
  static attach(token: string): Promise<Store> {
    return Store.#made((events) => attachStore(token, events));
  }

  static async #made(open: (events: StoreEvents) => Promise<Opened>): Promise<Store> {
    let store: Store | undefined;
    let early: StoreError | undefined;
    const opened = await open({
      onSettled: (durableOffset, error) => {
        if (store === undefined) early ??= error;
        else store.#ending.settled(durableOffset, error);
      },
      onArrived: () => {
        if (store !== undefined) store.#waits.arrived();
      },
    });
    store = new Store(BY_OPEN, opened);
    if (early !== undefined) store.#ending.poison(early);
    return store;
  }

  /**
   * A token with which other threads of this process open the same store, any number of them, as long as it is open:
   * `new Worker(file, { workerData: store.share() })`, and there `Store.attach(workerData)`.
   */
  share(): string {
    this.#lifecycle.checkReadable();
    return shareStore(this.#engine, this.#lifecycle, this.#settings);
  }

  /** Absolute path of the directory. */
  get path(): string {
    return this.#lifecycle.path;
  }

  get engine(): "native" | "wasm" {
    return this.#engineName;
  }

  get state(): StoreState {
    return this.#lifecycle.state;
  }

  get readOnly(): boolean {
    return this.#lifecycle.readOnly;
  }

  /**
   * Copies a message into the log before it returns: it survives the death of the process. With `flush: "sync"` it
   * is durable, and visible, after the next `flush()`.
   *
   * Throws `STORE_INVALID_ARGUMENT`, `STORE_MESSAGE_TOO_LARGE`, `STORE_FULL`, `STORE_BUSY`, `STORE_READ_ONLY`,
   * `STORE_POISONED`; nothing was stored then.
   */
  put(message: Message | InnerBatchMessage): PutResult {
    return this.#writer.put(message);
  }

  /**
   * As `put`, and settles once the message is as safe as `durability` says: before, it may be lost with the process. The appends
   * of one turn go into the log together, at its end, or before any other call of this store in this thread. Many share one sync.
   * Where `put` would answer `STORE_BUSY` it waits in line, and a `put` may come before it; it rejects so once `maxPendingBytes`
   * wait. A rejection with `STORE_POISONED` leaves open whether the message is there after the store was opened again.
   */
  append(message: Message | InnerBatchMessage, options?: AppendOptions): Promise<PutResult> {
    try {
      this.#lifecycle.checkAppending();
      return this.#appends.append(message, durabilityOf(options, this.#settings.flush));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Puts many messages, each as its own record; topics and queues may differ. All are checked before the first is
   * stored. An error says in `details.stored` how many were: these stand at the front of the batch.
   */
  putBatch(messages: Iterable<Message | InnerBatchMessage>): PutResults {
    return this.#writer.putBatch(messages);
  }

  /**
   * As `putBatch`, for messages whose bodies and property strings stand in memory already, as a broker has them from the
   * wire: no object for each, and nothing is copied on the way to the log.
   */
  putColumns(columns: MessageColumns): PutResults {
    return this.#writer.putColumns(columns);
  }

  /**
   * RocketMQ's plain batch (store-format chapter 2.9): messages of one queue with consecutive queue offsets and one store
   * time, in one file of the log, each its own record. All of them are stored, or none.
   *
   * They are objects, or the bytes that a client sent (`encodeMessages`), in which every length is checked: an error
   * about one has `details.position`. `options` has what the messages share. No transaction type, no DELAY, and no
   * `multiDispatch`: RocketMQ leads such batches to no light queues.
   *
   * Throws as `put` does; `STORE_MESSAGE_TOO_LARGE` also where the wire form has more than `maxMessageBytes`, or the
   * records do not fit a file together.
   */
  putGroup(
    topic: string,
    queueId: number,
    messages: Iterable<GroupMessage> | Uint8Array,
    options?: GroupOptions,
  ): PutResults {
    return this.#writer.putGroup(topic, queueId, messages, options);
  }

  /**
   * Resolves with the durable position once it has reached `upTo` (a `PutResult.endOffset`; default: everything put
   * so far). Calls at the same time share one sync. Rejects with `STORE_OFFSET_OUT_OF_RANGE` for an offset behind
   * the end of the log, `STORE_POISONED`, `STORE_READ_ONLY`.
   */
  flush(upTo?: number): Promise<number> {
    try {
      this.#lifecycle.checkWritable();
      return this.#waiters.waitUpTo(upTo, this.#positions.read());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Reads from a queue: the messages from `queueOffset` on, and RocketMQ's status. In front of a damaged record the
   * answer ends; asked at it, `get` throws `STORE_CORRUPT` with `details.nextOffset`, where reading can go on.
   *
   * Of a batch queue the answer has whole batches, from the one that holds `queueOffset` on: each is one message, whose
   * `queueOffset` is that of the first in it, and `max` counts what is in them (store-format chapter 3.7).
   */
  get(topic: string, queueId: number, queueOffset: number, options?: GetOptions): GetResult {
    this.#lifecycle.checkReadable();
    return this.#reader.get(topic, queueId, queueOffset, options);
  }

  /**
   * As `get`, without ever waiting for a disk: what is in memory is read at once, the rest by threads of the store; `cold`
   * of the result says which. Reads that were not begun when the store is closed reject with `STORE_CLOSED`.
   */
  async fetch(topic: string, queueId: number, queueOffset: number, options?: FetchOptions): Promise<GetResult> {
    this.#lifecycle.checkReadable();
    return this.#fetches.fetch(topic, queueId, queueOffset, options);
  }

  /** As `at`, without ever waiting for a disk. */
  async fetchAt(physicalOffset: number, options?: FetchAtOptions): Promise<StoredMessage | undefined> {
    this.#lifecycle.checkReadable();
    return this.#fetches.fetchAt(physicalOffset, options);
  }

  /**
   * The messages of a queue, or those that pass a filter, to the end that it has at the first look; with `follow` on and
   * on: at the end it waits for more, which ends as `arrival` says. `batches()` gives them as answers of `get`.
   */
  read(topic: string, queueId: number, options?: ReadOptions): QueueCursor {
    const { min } = this.offsets(topic, queueId);
    const checked = checkReadOptions(options);
    this.#lifecycle.checkReadable();
    const source = {
      fetch: (offset: number, stretch: FetchOptions) => this.fetch(topic, queueId, offset, stretch),
      wait: (offset: number, signal?: AbortSignal) => this.#waits.arrivals.wait(topic, queueId, offset, signal),
    };
    return new QueueCursor(source, Math.max(checked.from ?? min, min), checked);
  }

  /** The message whose record starts at a physical offset; undefined where none does. Throws `STORE_CORRUPT` for a damaged one. */
  at(physicalOffset: number): StoredMessage | undefined {
    this.#lifecycle.checkReadable();
    return this.#queries.at(physicalOffset);
  }

  /**
   * Walks the log: messages, blanks at the ends of files, and damaged ranges, which are told and not thrown. With
   * `follow` it is an async iteration that waits for more at the end: the form for indexes of one's own, which begin
   * again `from` the position that they have come to.
   */
  scan(options: ScanOptions & { readonly follow: true }): AsyncIterableIterator<ScanItem>;
  scan(options?: ScanOptions & { readonly follow?: false | undefined }): Generator<ScanItem, void, undefined>;
  scan(options?: ScanOptions): Generator<ScanItem, void, undefined> | AsyncIterableIterator<ScanItem>;
  scan(options?: ScanOptions): Generator<ScanItem, void, undefined> | AsyncIterableIterator<ScanItem> {
    this.#lifecycle.checkReadable();
    const { minOffset, visibleOffset } = this.#positions.read();
    const checked = checkScanOptions(options);
    this.#lifecycle.checkReadable();
    const log: LogSource = {
      minOffset,
      visibleOffset: () => this.log.visibleOffset,
      scan: (from, to, maxItems, maxBytes) => {
        this.#lifecycle.checkReadable();
        return this.#engine.scan(from, to, maxItems, maxBytes);
      },
      wait: (position, signal) => this.#waits.wait(position, signal),
    };
    if (checked.follow) return followLog(log, checked);
    return scanLog(log, { ...checked, to: Math.min(checked.to ?? visibleOffset, visibleOffset) });
  }

  /** Messages with this word in KEYS, or this UNIQ_KEY, newest first. */
  lookup(topic: string, key: string, options?: LookupOptions): StoredMessage[] {
    this.#lifecycle.checkReadable();
    return this.#queries.lookup(topic, key, options);
  }

  /** As `lookup`, for many keys in one call: the messages of each, in the order of the keys. `max` is that of each key. */
  lookupAll(topic: string, keys: readonly string[], options?: LookupOptions): StoredMessage[][] {
    this.#lifecycle.checkReadable();
    return this.#queries.lookupAll(topic, keys, options);
  }

  /** Range of a queue. */
  offsets(topic: string, queueId: number): QueueOffsets {
    this.#lifecycle.checkReadable();
    return this.#queries.offsets(topic, queueId);
  }

  /**
   * Resolves with `true` as soon as the queue has a message above: once `offsets(topic, queueId).max > queueOffset`, at once
   * if that is so; with `false` after `timeoutMs`. The queue need not exist. A wait does not keep the process alive.
   *
   * Rejects with `STORE_ABORTED` once the signal is aborted, with `STORE_CLOSED` and `STORE_POISONED` when the store is
   * closed or poisoned meanwhile, and with `STORE_READ_ONLY` where it would have to wait in a store opened with
   * `readOnly`: that one shows what was there when it was opened.
   */
  arrival(topic: string, queueId: number, queueOffset: number, options?: ArrivalOptions): Promise<boolean> {
    try {
      this.#lifecycle.checkReadable();
      return Promise.resolve(this.#waits.arrivals.arrival(topic, queueId, queueOffset, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Calls `listener` with all messages that become visible from now on, in the order of the log, in batches of columns;
   * never inside `put`, none twice, none left out until the function that is returned is called. A delivery that is due
   * keeps the process alive, a subscription does not. `close` delivers what is visible, with
   * `flush: "sync"` once it has made everything so, and ends all subscriptions.
   *
   * A listener that throws, or returns a promise that rejects, stays subscribed: the failure is published on the channel
   * `moraine:listener`, and the first one of a listener is a warning of the process. It may put, close the store and
   * change subscriptions.
   */
  onAppend(listener: AppendListener): () => void {
    return this.#waits.onAppend(listener);
  }

  /**
   * The queue offset for a store timestamp: with `"lower"` the first message at or after it, with `"upper"` the last
   * one at or before it, within the range of the queue (store-format chapter 8.3). Of a batch queue, the offset of the
   * batch that RocketMQ finds (chapter 3.7).
   */
  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: "lower" | "upper" = "lower"): number {
    this.#lifecycle.checkReadable();
    return this.#queries.offsetByTime(topic, queueId, timestamp, boundary);
  }

  /** Store timestamp of the message at a queue offset; undefined where there is none. */
  timeOf(topic: string, queueId: number, queueOffset: number): number | undefined {
    this.#lifecycle.checkReadable();
    return this.#queries.timeOf(topic, queueId, queueOffset);
  }

  get log(): LogPositions {
    this.#lifecycle.checkReadable();
    return this.#positions.read();
  }

  /** All topics that have queues, in order. */
  topics(): string[] {
    this.#lifecycle.checkReadable();
    return this.#queries.topics();
  }

  /** Ids of a topic's queues, in order. */
  queues(topic: string): number[] {
    this.#lifecycle.checkReadable();
    return this.#queries.queues(topic);
  }

  /** Entries of a consume queue; of a batch queue one for each batch, from the one that holds `from` on. */
  entries(topic: string, queueId: number, options?: EntriesOptions): QueueEntry[] {
    this.#lifecycle.checkReadable();
    return this.#queries.entries(topic, queueId, options);
  }

  /**
   * The small durable table in `config/NAME.json`, empty where there is no such file; the same object for the same name.
   * RocketMQ's own tables (`topics`, `consumerOffset`, `subscriptionGroup` …) are read and written as it does; of a
   * `readOnly` store they are shown as they were when first asked for. Where the file is damaged, its `.bak` is used,
   * and `health()` says so.
   *
   * `name`: 1 to 100 letters, digits, `.`, `_` and `-`. Throws STORE_CORRUPT where `.bak` does not help, STORE_IO.
   */
  table(name: string): Table {
    this.#lifecycle.checkReadable();
    return this.#tables.table(name);
  }

  /** Consumer offsets by group, as RocketMQ keeps them; loaded when first asked for. Throws as `table`. */
  get groups(): Groups {
    this.#lifecycle.checkReadable();
    return this.#tables.groups;
  }

  /**
   * Removes files of the log, the oldest first and whole ones only: those whose messages were stored `before` a time, and
   * those that lie in front of the newest `maxBytes`; without either, those that the option `retention` names, whatever the
   * hour. One call removes `EXPIRE_BATCH_FILES` (10) at most, and `more` says whether another one would go on. The file that
   * is written to stays, and so does what `retain` holds. Readers keep what they have of a file that goes.
   *
   * Rejects with `STORE_INVALID_ARGUMENT` where nothing says what may go, with `STORE_FULL` where there is no room to note
   * what is to be removed, and as `flush` does.
   */
  expire(options?: ExpireOptions): Promise<Expired> {
    return this.#retention.expire(options);
  }

  /**
   * Deletes a topic, or the light queue of that name (`%LMQ%…`), with its queues; false where there is none. Its messages
   * are not shown any more, except by `at`, `scan` and `onAppend`, which show the log until its files expire. If it is made
   * again, its queue offsets go on where they were. The topic table and consumer offsets are left to the caller.
   */
  deleteTopic(topic: string): Promise<boolean> {
    return this.#retention.deleteTopic(topic);
  }

  /**
   * Holds the log from a physical offset on: neither `expire` nor the option `retention` removes a file that lies there,
   * until the function is called that is returned, or the store is closed. It is also disposable (`using`).
   */
  retain(fromPhysicalOffset: number): Release {
    return this.#retention.retain(fromPhysicalOffset);
  }

  /**
   * How near the store is to making those who write wait, from 0 to 1: by bytes of appends that wait, and by entries that wait
   * for their queue and index files. Cheap enough to be asked for every request.
   */
  get pressure(): number {
    this.#lifecycle.checkReadable();
    return Math.max(this.#appends.pressure, this.#engine.pressure());
  }

  /** Counters by name. */
  stats(): Record<string, number> {
    this.#lifecycle.checkReadable();
    return this.#engine.stats();
  }

  /** Whether the store had been closed cleanly, what was noticed since, and the files. */
  health(): EngineHealth {
    this.#lifecycle.checkReadable();
    const health = this.#engine.health();
    return { ...health, findings: [...health.findings, ...this.#tables.findings()] };
  }

  /**
   * Holds everything on disk against everything else, as far as files are complete: see `verifyStore`. Resolves with what
   * is wrong, and what mends it; rejects with `STORE_ABORTED`, and with `STORE_CLOSED` when the store is closed meanwhile.
   */
  async verify(options?: VerifyOptions): Promise<VerifyFinding[]> {
    this.#lifecycle.checkReadable();
    return verifyWith((deep, onProgress) => this.#engine.verify(deep, onProgress), options, {
      add: (stop) => void this.#ending.verifying.add(stop),
      delete: (stop) => void this.#ending.verifying.delete(stop),
      error: () => this.#lifecycle.closedError(),
    });
  }

  /**
   * Flushes, waits for work in flight, and releases the directory; always the same promise. Rejects where that
   * failed, and with `STORE_POISONED` where a sync failed before and no call has been told. Closed it is then, too.
   * A table that cannot be written is tried once more, and its error is the rejection where there is no other: `STORE_POISONED`
   * for offsets of groups that were committed since the sync failed, as they are written behind the log alone.
   */
  close(): Promise<void> {
    return this.#ending.close();
  }
}

if (Symbol.asyncDispose !== undefined) {
  Object.defineProperty(Store.prototype, Symbol.asyncDispose, {
    value(this: Store): Promise<void> {
      return this.close();
    },
    configurable: true,
    writable: true,
  });
}
