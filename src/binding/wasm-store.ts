/** An open store of the WebAssembly engine: the instance's exports as contract.ts has them. */
import { StoreError } from "../errors.ts";
import { readClock } from "./clock.ts";
import {
  type AppendedColumns,
  type EncodedColumns,
  type EngineEvents,
  type EngineFetch,
  type EngineHealth,
  type EngineStore,
  type EngineTask,
  type EngineVerified,
  type Expired,
  type FetchedMessages,
  GET_HEAD,
  GetHead,
  PUT_RESULT_HEADER,
  PUT_RESULT_STRIDE,
  SCAN_STRIDE,
  type TaskProgress,
} from "./contract.ts";
import { ColumnsAsBatch } from "./wasm-columns.ts";
import { closeAtExit } from "./wasm-exit.ts";
import { WasmFlusher } from "./wasm-flusher.ts";
import type { WasmInstance } from "./wasm-instance.ts";
import type { WasmLock } from "./wasm-lock.ts";
import type { WasmOptions } from "./wasm-options.ts";
import { verifyStore } from "./wasm-tasks.ts";

/** What a record can be long at most: room that is asked for where the first message needs it. */
const MOST_BYTES = 1024 * 1024 * 1024;
/** Columns of `appended`, without the position in front of them. */
const APPENDED_COLUMNS = 7;

export class WasmStore implements EngineStore {
  readonly #instance: WasmInstance;
  readonly #path: string;
  readonly #options: WasmOptions;
  readonly #lock: WasmLock | undefined;
  readonly #events: EngineEvents;
  readonly #flusher: WasmFlusher;
  readonly #columns: ColumnsAsBatch = new ColumnsAsBatch();
  readonly #last: Float64Array = new Float64Array(4);
  #state: "open" | "closing" | "closed" = "open";
  #closed: Promise<void> | undefined;
  readonly #forgetExit: () => void;

  constructor(
    instance: WasmInstance,
    path: string,
    options: WasmOptions,
    lock: WasmLock | undefined,
    events: EngineEvents,
  ) {
    this.#instance = instance;
    this.#path = path;
    this.#options = options;
    this.#lock = lock;
    this.#events = events;
    const settings = {
      isSync: options.flush === "sync",
      isReadOnly: options.readOnly,
      flushIntervalMs: options.flushIntervalMs,
      removes: options.retention !== undefined && !options.readOnly,
    };
    this.#forgetExit = closeAtExit(() => this.#closeAtExit());
    this.#flusher = new WasmFlusher(instance, settings, (error) => {
      this.#remember();
      events.onSettled(this.#last[2] ?? 0, error);
    });
  }

  put(batch: Uint8Array, bytes: number, count: number, results: Float64Array): number {
    return this.#put("put", batch, bytes, count, results);
  }

  putGroup(batch: Uint8Array, bytes: number, count: number, results: Float64Array): number {
    return this.#put("put_group", batch, bytes, count, results);
  }

  putColumns(columns: EncodedColumns, from: number, to: number, results: Float64Array): number {
    return this.#columns.put(columns, from, to, (batch, bytes) => this.put(batch, bytes, to - from, results));
  }

  #put(name: string, batch: Uint8Array, bytes: number, count: number, results: Float64Array): number {
    const instance = this.#open();
    this.#drive(instance);
    const at = instance.inbox(bytes);
    instance.memory().set(bytes === batch.length ? batch : batch.subarray(0, bytes), at);
    const stored = instance.call(name, bytes, count);
    results.set(instance.columns().subarray(0, PUT_RESULT_HEADER + count * PUT_RESULT_STRIDE));
    this.#flusher.arm();
    const asks = instance.call("asks");
    if (asks === 1) this.#flusher.askBehind();
    else if (asks === 2) this.#flusher.askFlush(); // for those who wait to be told
    return stored;
  }

  takeError(): StoreError {
    try {
      this.#open().call("take_error");
    } catch (error) {
      return error as StoreError;
    }
    return new StoreError("STORE_IO", "no put has failed", { details: { internal: true } });
  }

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
  ): void {
    const instance = this.#open();
    const name = topicBytes === topic.length ? topic : topic.subarray(0, topicBytes);
    this.#get(instance, name, queueId, queueOffset, max, maxBytes, filter, out.length);
    const found = instance.columns();
    columns.set(found);
    if (found[GetHead.bytes] !== 0) out.set(instance.outbox());
  }

  /** Everything is read where it lies, at once: this engine has no threads to wait in. */
  getInMemory(...request: Parameters<EngineStore["get"]>): boolean {
    this.get(...request);
    return true;
  }

  fetch(
    topic: string,
    queueId: number,
    queueOffset: number,
    max: number,
    maxBytes: number,
    filter: Uint8Array,
  ): EngineFetch<FetchedMessages> {
    return fetched(() => {
      const instance = this.#open();
      this.#get(instance, topic, queueId, queueOffset, max, maxBytes, filter, MOST_BYTES);
      const columns = instance.columns().slice();
      return {
        columns: columns.length < GET_HEAD ? new Float64Array(GET_HEAD) : columns,
        bytes: instance.outbox().slice(),
      };
    });
  }

  #get(
    instance: WasmInstance,
    topic: string | Uint8Array,
    queueId: number,
    queueOffset: number,
    max: number,
    maxBytes: number,
    filter: Uint8Array,
    room: number,
  ): void {
    const [topicBytes = 0, filterBytes = 0] = instance.give(topic, filter);
    instance.call("get", topicBytes, filterBytes, queueId, queueOffset, max, maxBytes, room);
  }

  atInMemory(physicalOffset: number): { found: Uint8Array | undefined } | undefined {
    return { found: this.at(physicalOffset) };
  }

  fetchAt(physicalOffset: number): EngineFetch<Uint8Array | undefined> {
    return fetched(() => this.at(physicalOffset));
  }

  requestFlush(): void {
    this.#open();
    this.#flusher.askFlush();
  }

  positions(out: Float64Array): void {
    this.#remember();
    out.set(this.#last);
  }

  /** Of a store that is closed: as they were last. */
  #remember(): void {
    if (this.#state === "closed") return;
    try {
      this.#instance.call("positions");
      this.#last.set(this.#instance.columns());
    } catch {
      // An instance that has failed says nothing any more.
    }
  }

  at(physicalOffset: number): Uint8Array | undefined {
    const instance = this.#open();
    return instance.call("at", physicalOffset) === 1 ? instance.outbox().slice() : undefined;
  }

  lookup(asked: Uint8Array, bytes: number, counts: Float64Array, begin: number, end: number, max: number): Uint8Array {
    const instance = this.#open();
    instance.give(asked.subarray(0, bytes));
    instance.call("lookup", bytes, begin, end, max);
    const pieces: Uint8Array[] = [];
    for (let more = 1; more === 1; ) {
      more = instance.call("lookup_more");
      pieces.push(instance.outbox().slice());
    }
    counts.set(instance.columns());
    return joined(pieces);
  }

  scan(from: number, to: number, maxItems: number, maxBytes: number): ReturnType<EngineStore["scan"]> {
    const instance = this.#open();
    const reasonBytes = instance.call("scan", from, to, maxItems, maxBytes);
    const [next = 0] = instance.columns();
    const items = instance.columns().slice(1);
    if (items.length % SCAN_STRIDE !== 0) throw new StoreError("STORE_IO", "a scan came back in pieces");
    const outbox = instance.outbox();
    const bytes = outbox.slice(0, outbox.length - reasonBytes);
    const reasons = JSON.parse(new TextDecoder().decode(outbox.subarray(outbox.length - reasonBytes))) as string[];
    return { items, bytes, reasons, next };
  }

  appended(from: number, to: number, max: number): AppendedColumns {
    const instance = this.#open();
    const count = instance.call("appended", from, to, max);
    const all = instance.columns();
    const column = (number: number) => all.slice(1 + number * count, 1 + (number + 1) * count);
    if (all.length !== 1 + count * APPENDED_COLUMNS) throw new StoreError("STORE_IO", "columns came back in pieces");
    return {
      physicalOffsets: column(0),
      queueIds: Int32Array.from(column(1)),
      queueOffsets: column(2),
      sizes: column(3),
      storeTimestamps: column(4),
      tagsCodes: column(5),
      topicIndexes: Uint32Array.from(column(6)),
      next: all[0] ?? 0,
      topics: instance.json<string[]>(),
    };
  }

  offsets(topic: string, queueId: number): ReturnType<EngineStore["offsets"]> {
    const [min = 0, max = 0, next = 0] = this.#ask("offsets", topic, queueId);
    return { min, max, next };
  }

  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: "lower" | "upper"): number {
    return this.#ask("offset_by_time", topic, queueId, timestamp, boundary === "upper" ? 1 : 0)[0] ?? 0;
  }

  timeOf(topic: string, queueId: number, queueOffset: number): number | undefined {
    return this.#ask("time_of", topic, queueId, queueOffset)[0];
  }

  entries(topic: string, queueId: number, from: number, max: number): ReturnType<EngineStore["entries"]> {
    const found = this.#ask("entries", topic, queueId, from, max);
    return { start: found[0] ?? 0, entries: found.slice(1) };
  }

  watch(topic: string, queueId: number): ReturnType<EngineStore["watch"]> {
    const [watch = 0, max = 0] = this.#ask("watch", topic, queueId);
    return { watch, max };
  }

  unwatch(watch: number): void {
    this.#open().call("unwatch", watch);
  }

  takeArrivals(out: Float64Array): number {
    const instance = this.#open();
    const pairs = instance.call("take_arrivals", out.length);
    out.set(instance.columns().subarray(0, pairs * 2));
    return pairs;
  }

  /** Nobody else can put. */
  follow(_follows: boolean): void {
    this.#open();
  }

  share(_settings: string): string {
    throw noThreads();
  }

  topics(): string[] {
    const instance = this.#open();
    instance.call("topics");
    return instance.json();
  }

  queues(topic: string): number[] {
    return [...this.#ask("queues", topic)];
  }

  health(): EngineHealth {
    const instance = this.#open();
    instance.call("health");
    return instance.json();
  }

  pressure(): number {
    const instance = this.#open();
    instance.call("pressure");
    return instance.columns()[0] ?? 0;
  }

  stats(): Record<string, number> {
    const instance = this.#open();
    instance.call("stats");
    return { ...instance.json<Record<string, number>>(), linearMemoryBytes: instance.memoryBytes };
  }

  verify(deep: boolean, onProgress: TaskProgress): EngineTask<EngineVerified> {
    const instance = this.#open();
    let live: [number, number, string | null] | undefined;
    if (!this.#options.readOnly) {
      instance.call("settled");
      live = instance.json();
    }
    return verifyStore(this.#path, this.#options, deep, live, onProgress);
  }

  expire(before: number | undefined, maxBytes: number | undefined): Promise<Expired> {
    return this.#errand((instance) => {
      instance.call("expire", before ?? Number.NaN, maxBytes ?? Number.NaN);
      return instance.json<Expired>();
    });
  }

  deleteTopic(topic: string): Promise<boolean> {
    return this.#errand((instance) => instance.call("delete_topic", instance.give(topic)[0] ?? 0) === 1);
  }

  retain(fromPhysicalOffset: number): () => void {
    const hold = this.#open().call("retain", fromPhysicalOffset);
    return () => {
      // With the store all holds are gone.
      if (this.#state === "open") this.#instance.call("release", hold);
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#remember();
    this.#state = "closing";
    await this.#flusher.end();
    let failure: StoreError | undefined;
    try {
      this.#instance.call("close");
    } catch (error) {
      failure = error as StoreError;
    }
    this.#remember();
    this.#events.onSettled(this.#last[2] ?? 0, failure);
    this.#letGo();
    if (failure !== undefined) throw failure;
  }

  /** Nobody can be told any more. A plan that is under way makes it what a killed process leaves. */
  #closeAtExit(): void {
    try {
      if (this.#state === "open" && !this.#flusher.isAtWork) this.#instance.call("close");
    } catch {
      // The next one who opens it recovers it.
    }
    this.#letGo();
  }

  #letGo(): void {
    this.#state = "closed";
    this.#forgetExit();
    this.#instance.end();
    this.#lock?.release();
  }

  /** Work between two plans of the flusher; a sync that it needed, or one that has failed, is told. */
  #errand<T>(work: (instance: WasmInstance) => T): Promise<T> {
    this.#open();
    return this.#flusher.errand(() => {
      const instance = this.#instance;
      const before = this.#last[2];
      this.#drive(instance);
      try {
        return work(instance);
      } finally {
        this.#remember();
        const poison = instance.poison();
        if (poison !== undefined || this.#last[2] !== before) this.#events.onSettled(this.#last[2] ?? 0, poison);
      }
    });
  }

  #ask(name: string, topic: string, ...numbers: number[]): Float64Array {
    const instance = this.#open();
    const [topicBytes = 0] = instance.give(topic);
    instance.call(name, topicBytes, ...numbers);
    return instance.columns().slice();
  }

  /** Tells the instance the time, where the store has a clock of its own. */
  #drive(instance: WasmInstance): void {
    const { clock } = this.#options;
    if (clock !== undefined) setClock(instance, clock);
  }

  #open(): WasmInstance {
    if (this.#state === "open") return this.#instance;
    throw this.#state === "closing"
      ? new StoreError("STORE_CLOSED", "the store is closing; open it again when it is closed")
      : new StoreError("STORE_CLOSED", "the store is closed; open it again");
  }
}

export function setClock(instance: WasmInstance, clock: () => number): void {
  instance.exports.set_clock?.(readClock(clock));
}

export function noThreads(): StoreError {
  const message =
    "the WebAssembly engine has no threads: a store belongs to the thread that has opened it; use the native engine to share it";
  return new StoreError("STORE_UNSUPPORTED", message, { details: { engine: "wasm" } });
}

function fetched<T>(read: () => T): EngineFetch<T> {
  return { done: new Promise((resolve) => resolve(read())), forget: () => {} };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
