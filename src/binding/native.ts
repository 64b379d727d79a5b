/**
 * The native engine: the addon's numbered handles and events as the stores and promises of contract.ts.
 *
 * The addon holds the process by nothing. What a caller waits for (an open, a flush, a close) does: see `ProcessHold`.
 */
import { StoreError } from "../errors.ts";
import type { Addon, AddonEvent, AddonOptions } from "./addon.ts";
import { readClock } from "./clock.ts";
import type {
  AppendedColumns,
  EncodedColumns,
  Engine,
  EngineEvents,
  EngineFetch,
  EngineHealth,
  EngineOptions,
  EngineStore,
  EngineTask,
  EngineVerified,
  Expired,
  FetchedMessages,
  TaskProgress,
} from "./contract.ts";
import { failureFrom } from "./failure.ts";
import { ColumnTables, putColumns } from "./native-columns.ts";
import { NativeFetches, nextNumber } from "./native-fetch.ts";
import { runTask, type TaskEvent } from "./native-task.ts";
import { ProcessHold } from "./process-hold.ts";
import { numberIn, tokenOf } from "./token.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

export function nativeEngine(addon: Addon): Engine {
  const run = <T>(onProgress: TaskProgress, start: (onEvent: TaskEvent) => number): EngineTask<T> =>
    runTask(addon, onProgress, failureFrom, (onEvent) => called(addon, () => start(onEvent)));
  return {
    name: "native",
    open: (path, options, events) => NativeStore.open(addon, path, options, events),
    sharedSettings: (token) => called(addon, () => addon.sharedSettings(numberIn(token, addon.copyName()))),
    attach: (token, path, options, events) =>
      NativeStore.attach(addon, numberIn(token, addon.copyName()), path, options, events),
    verify: (path, options, deep, onProgress) =>
      run(onProgress, (onEvent) => addon.verifyStore(path, withoutClock(options), deep, 0, onEvent)),
    rebuild: (path, options, { queues, index }, onProgress) =>
      run(onProgress, (onEvent) => addon.rebuildStore(path, withoutClock(options), queues, index, onEvent)),
    salvage: (path, out, options, onProgress) =>
      run(onProgress, (onEvent) => addon.salvageStore(path, out, withoutClock(options), onEvent)),
  };
}

function withoutClock(options: EngineOptions): AddonOptions {
  const { clock: _clock, ...rest } = options;
  return rest;
}

/** The two ends of a promise that an event settles. */
interface Awaited<T> {
  resolve(value: T): void;
  reject(error: StoreError): void;
}

class NativeStore implements EngineStore {
  readonly #addon: Addon;
  readonly #path: string;
  readonly #options: EngineOptions;
  readonly #clock: (() => number) | undefined;
  readonly #events: EngineEvents;
  readonly #hold = new ProcessHold();
  #handle = 0;
  #opening: Awaited<EngineStore> | undefined;
  #closing: Awaited<void> | undefined;
  #closed: Promise<void> | undefined;
  /** By number: what is asked for beside flushes. */
  readonly #errands: Map<number, Awaited<unknown>> = new Map();
  #lastErrand = 0;
  readonly #fetches: NativeFetches;
  readonly #columnTables: ColumnTables = new ColumnTables();
  /** What the flushes asked for reach; undefined when all have settled. */
  #flushTarget: number | undefined;

  static open(addon: Addon, path: string, options: EngineOptions, events: EngineEvents): Promise<EngineStore> {
    const { clock, ...rest } = options;
    const store = new NativeStore(addon, path, options, events);
    return store.#open(() =>
      addon.open(path, clock === undefined ? rest : { ...rest, clockMs: readClock(clock) }, store.#arrive),
    );
  }

  static attach(
    addon: Addon,
    share: number,
    path: string,
    options: EngineOptions,
    events: EngineEvents,
  ): Promise<EngineStore> {
    const store = new NativeStore(addon, path, options, events);
    return store.#open(() => addon.attach(share, store.#arrive));
  }

  #open(open: () => number): Promise<EngineStore> {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#handle = this.#call(open);
      this.#hold.take();
    });
  }

  private constructor(addon: Addon, path: string, options: EngineOptions, events: EngineEvents) {
    this.#addon = addon;
    this.#path = path;
    this.#options = options;
    this.#clock = options.clock;
    this.#events = events;
    this.#fetches = new NativeFetches(
      (fetch) => this.#call(() => addon.takeFetched(this.#handle, fetch)),
      (fetch) => this.#call(() => addon.forgetFetch(this.#handle, fetch)),
      this.#hold,
    );
  }

  readonly #arrive: AddonEvent = (kind, first, second, text) => {
    const addon = this.#addon;
    if (kind === addon.EVENT_PROGRESS) {
      this.#events.onProgress(text ?? "", first, second);
      return;
    }
    const error = text === null || kind === addon.EVENT_DONE ? undefined : failureFrom(text);
    if (kind === addon.EVENT_SETTLED) {
      this.#settled(first, error);
    } else if (kind === addon.EVENT_ARRIVED) {
      this.#events.onArrived();
    } else if (kind === addon.EVENT_FETCHED) {
      this.#fetches.arrived(first, error);
    } else if (kind === addon.EVENT_DONE) {
      this.#done(first, second === 0, text ?? "");
    } else if (kind === addon.EVENT_OPENED) {
      this.#hold.release();
      this.#opening?.resolve(this);
    } else if (kind === addon.EVENT_FAILED) {
      this.#hold.end();
      if (error !== undefined) this.#opening?.reject(error);
    } else if (kind === addon.EVENT_CLOSED) {
      this.#hold.end();
      if (error === undefined) this.#closing?.resolve();
      else this.#closing?.reject(error);
    }
  };

  #settled(durableOffset: number, error: StoreError | undefined): void {
    if (this.#flushTarget !== undefined && (error !== undefined || durableOffset >= this.#flushTarget)) {
      this.#flushTarget = undefined;
      this.#hold.release();
    }
    this.#events.onSettled(durableOffset, error);
  }

  put(batch: Uint8Array, bytes: number, count: number, results: Float64Array): number {
    try {
      if (this.#clock !== undefined) this.#addon.setClock(this.#handle, readClock(this.#clock));
      return this.#addon.put(this.#handle, batch, bytes, count, results);
    } catch (error) {
      throw this.#toStoreError(error);
    }
  }

  putGroup(batch: Uint8Array, bytes: number, count: number, results: Float64Array): number {
    try {
      if (this.#clock !== undefined) this.#addon.setClock(this.#handle, readClock(this.#clock));
      return this.#addon.putGroup(this.#handle, batch, bytes, count, results);
    } catch (error) {
      throw this.#toStoreError(error);
    }
  }

  putColumns(columns: EncodedColumns, from: number, to: number, results: Float64Array): number {
    try {
      if (this.#clock !== undefined) this.#addon.setClock(this.#handle, readClock(this.#clock));
      return putColumns(this.#addon, this.#handle, this.#columnTables.write(columns), columns, from, to, results);
    } catch (error) {
      throw this.#toStoreError(error);
    }
  }

  takeError(): StoreError {
    const failure = this.#call(() => this.#addon.takeError(this.#handle));
    return failure === null
      ? new StoreError("STORE_IO", "no put has failed", { details: { internal: true } })
      : failureFrom(failure);
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
    try {
      this.#addon.get(this.#handle, topic, topicBytes, queueId, queueOffset, max, maxBytes, filter, out, columns);
    } catch (error) {
      throw this.#toStoreError(error);
    }
  }

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
  ): boolean {
    const addon = this.#addon;
    return this.#call(
      () =>
        addon.getInMemory(
          this.#handle,
          topic,
          topicBytes,
          queueId,
          queueOffset,
          max,
          maxBytes,
          filter,
          out,
          columns,
        ) === 1,
    );
  }

  fetch(
    topic: string,
    queueId: number,
    queueOffset: number,
    max: number,
    maxBytes: number,
    filter: Uint8Array,
  ): EngineFetch<FetchedMessages> {
    return this.#fetch((fetch) =>
      this.#addon.fetch(this.#handle, fetch, topic, queueId, queueOffset, max, maxBytes, filter),
    );
  }

  atInMemory(physicalOffset: number): { found: Uint8Array | undefined } | undefined {
    const found = this.#call(() => this.#addon.atInMemory(this.#handle, physicalOffset)) ?? undefined;
    return found?.length === 0 ? undefined : { found };
  }

  fetchAt(physicalOffset: number): EngineFetch<Uint8Array | undefined> {
    const { done, forget } = this.#fetch((fetch) => this.#addon.fetchAt(this.#handle, fetch, physicalOffset));
    return { done: done.then(({ bytes }) => (bytes.length === 0 ? undefined : bytes)), forget };
  }

  #fetch(ask: (fetch: number) => void): EngineFetch<FetchedMessages> {
    return this.#fetches.start((number) => this.#call(() => ask(number)));
  }

  requestFlush(): void {
    const target = this.#call(() => this.#addon.requestFlush(this.#handle));
    if (this.#flushTarget === undefined) this.#hold.take();
    this.#flushTarget = Math.max(this.#flushTarget ?? 0, target);
  }

  positions(out: Float64Array): void {
    this.#call(() => this.#addon.positions(this.#handle, out));
  }

  at(physicalOffset: number): Uint8Array | undefined {
    return this.#call(() => this.#addon.at(this.#handle, physicalOffset)) ?? undefined;
  }

  lookup(asked: Uint8Array, bytes: number, counts: Float64Array, begin: number, end: number, max: number): Uint8Array {
    return this.#call(() => this.#addon.lookup(this.#handle, asked, bytes, counts, begin, end, max)) ?? NOTHING;
  }

  scan(from: number, to: number, maxItems: number, maxBytes: number): ReturnType<EngineStore["scan"]> {
    return this.#call(() => this.#addon.scan(this.#handle, from, to, maxItems, maxBytes));
  }

  appended(from: number, to: number, max: number): AppendedColumns {
    return this.#call(() => this.#addon.appended(this.#handle, from, to, max));
  }

  offsets(topic: string, queueId: number): ReturnType<EngineStore["offsets"]> {
    return this.#call(() => this.#addon.offsets(this.#handle, topic, queueId));
  }

  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: "lower" | "upper"): number {
    return this.#call(() => this.#addon.offsetByTime(this.#handle, topic, queueId, timestamp, boundary));
  }

  timeOf(topic: string, queueId: number, queueOffset: number): number | undefined {
    return this.#call(() => this.#addon.timeOf(this.#handle, topic, queueId, queueOffset)) ?? undefined;
  }

  entries(topic: string, queueId: number, from: number, max: number): ReturnType<EngineStore["entries"]> {
    return this.#call(() => this.#addon.entries(this.#handle, topic, queueId, from, max));
  }

  watch(topic: string, queueId: number): ReturnType<EngineStore["watch"]> {
    return this.#call(() => this.#addon.watch(this.#handle, topic, queueId));
  }

  unwatch(watch: number): void {
    this.#call(() => this.#addon.unwatch(this.#handle, watch));
  }

  takeArrivals(out: Float64Array): number {
    return this.#call(() => this.#addon.takeArrivals(this.#handle, out));
  }

  follow(follows: boolean): void {
    this.#call(() => this.#addon.follow(this.#handle, follows));
  }

  share(settings: string): string {
    return tokenOf(
      this.#addon.copyName(),
      this.#call(() => this.#addon.share(this.#handle, settings)),
    );
  }

  topics(): string[] {
    return this.#call(() => this.#addon.topics(this.#handle));
  }

  queues(topic: string): number[] {
    return this.#call(() => this.#addon.queues(this.#handle, topic));
  }

  expire(before: number | undefined, maxBytes: number | undefined): Promise<Expired> {
    return this.#errand((errand) => this.#addon.expire(this.#handle, errand, before, maxBytes));
  }

  deleteTopic(topic: string): Promise<boolean> {
    return this.#errand((errand) => this.#addon.deleteTopic(this.#handle, errand, topic));
  }

  retain(fromPhysicalOffset: number): () => void {
    const hold = this.#call(() => this.#addon.retain(this.#handle, fromPhysicalOffset));
    return () => {
      try {
        this.#call(() => this.#addon.release(this.#handle, hold));
      } catch (error) {
        // With the store all holds are gone.
        if ((error as StoreError).code !== "STORE_CLOSED") throw error;
      }
    };
  }

  /** Asks for an errand, and holds the process until it is done. */
  #errand<T>(ask: (errand: number) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const errand = nextNumber(this.#lastErrand, this.#errands);
      this.#lastErrand = errand;
      this.#call(() => {
        if (this.#clock !== undefined) this.#addon.setClock(this.#handle, readClock(this.#clock));
        ask(errand);
      });
      this.#errands.set(errand, { resolve: (value) => resolve(value as T), reject });
      this.#hold.take();
    });
  }

  #done(errand: number, went: boolean, text: string): void {
    const awaited = this.#errands.get(errand);
    if (awaited === undefined) return;
    this.#errands.delete(errand);
    this.#hold.release();
    if (went) awaited.resolve(JSON.parse(text));
    else awaited.reject(failureFrom(text));
  }

  health(): EngineHealth {
    return this.#call(() => this.#addon.health(this.#handle));
  }

  pressure(): number {
    return this.#call(() => this.#addon.pressure(this.#handle));
  }

  stats(): Record<string, number> {
    return this.#call(() => this.#addon.stats(this.#handle));
  }

  verify(deep: boolean, onProgress: TaskProgress): EngineTask<EngineVerified> {
    const handle = this.#options.readOnly ? 0 : this.#handle;
    const options = withoutClock(this.#options);
    return runTask(this.#addon, onProgress, failureFrom, (onEvent) =>
      this.#call(() => this.#addon.verifyStore(this.#path, options, deep, handle, onEvent)),
    );
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve, reject) => {
      this.#closing = { resolve, reject };
      this.#call(() => this.#addon.close(this.#handle));
      this.#hold.take();
    });
    return this.#closed;
  }

  #call<R>(call: () => R): R {
    return called(this.#addon, call);
  }

  #toStoreError(error: unknown): StoreError {
    return toStoreError(this.#addon, error);
  }
}

function called<R>(addon: Addon, call: () => R): R {
  try {
    return call();
  } catch (error) {
    throw toStoreError(addon, error);
  }
}

/** What the addon threw, as a StoreError; what napi-rs threw about an argument's type, too. */
function toStoreError(addon: Addon, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const prefix = addon.FAILURE_PREFIX;
  if (message.startsWith(prefix)) return failureFrom(message.slice(prefix.length));
  return new StoreError("STORE_INVALID_ARGUMENT", message, { cause: error });
}
