/**
 * The native engine: the addon's numbered handles and events as the stores and promises of contract.ts.
 *
 * The addon holds the process by nothing. What a caller waits for (an open, a flush, a close) does: see `ProcessHold`.
 */
import { StoreError, type StoreErrorCode } from "../errors.ts";
import type { AppendedColumns, Engine, EngineEvents, EngineHealth, EngineOptions, EngineStore } from "./contract.ts";

/** What the addon exports (native/napi/src: hot.rs, store.rs, report.rs, tasks.rs). */
export interface Addon {
  readonly FAILURE_PREFIX: string;
  readonly EVENT_PROGRESS: number;
  readonly EVENT_OPENED: number;
  readonly EVENT_FAILED: number;
  readonly EVENT_SETTLED: number;
  readonly EVENT_CLOSED: number;
  open(path: string, options: AddonOptions, onEvent: AddonEvent): number;
  close(handle: number): void;
  put(handle: number, batch: Uint8Array, bytes: number, count: number, results: Float64Array): number;
  putGroup(handle: number, batch: Uint8Array, bytes: number, count: number, results: Float64Array): number;
  takeError(handle: number): string | null;
  get(
    handle: number,
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
  /** The end offset that the answering event reaches. */
  requestFlush(handle: number): number;
  setClock(handle: number, now: number): void;
  positions(handle: number, out: Float64Array): void;
  at(handle: number, physicalOffset: number): Uint8Array | null;
  lookup(handle: number, topic: string, key: string, begin: number, end: number, max: number): Uint8Array;
  scan(handle: number, from: number, to: number, maxItems: number, maxBytes: number): ReturnType<EngineStore["scan"]>;
  appended(handle: number, from: number, to: number, max: number): AppendedColumns;
  offsets(handle: number, topic: string, queueId: number): ReturnType<EngineStore["offsets"]>;
  offsetByTime(handle: number, topic: string, queueId: number, timestamp: number, boundary: string): number;
  timeOf(handle: number, topic: string, queueId: number, queueOffset: number): number | null;
  entries(
    handle: number,
    topic: string,
    queueId: number,
    from: number,
    max: number,
  ): ReturnType<EngineStore["entries"]>;
  watch(handle: number, topic: string, queueId: number): ReturnType<EngineStore["watch"]>;
  unwatch(handle: number, watch: number): void;
  takeArrivals(handle: number, out: Float64Array): number;
  topics(handle: number): string[];
  queues(handle: number, topic: string): number[];
  health(handle: number): EngineHealth;
  stats(handle: number): Record<string, number>;
}

/** `checkpointBytes`: of the log, between two queue checkpoints; only tests that kill a store hand it in. */
type AddonOptions = Omit<EngineOptions, "clock"> & { clockMs?: number; checkpointBytes?: number };
type AddonEvent = (kind: number, first: number, second: number, text: string | null) => void;

export function nativeEngine(addon: Addon): Engine {
  return { name: "native", open: (path, options, events) => NativeStore.open(addon, path, options, events) };
}

/** The two ends of a promise that an event settles. */
interface Awaited<T> {
  resolve(value: T): void;
  reject(error: StoreError): void;
}

class NativeStore implements EngineStore {
  readonly #addon: Addon;
  readonly #clock: (() => number) | undefined;
  readonly #events: EngineEvents;
  readonly #hold = new ProcessHold();
  #handle = 0;
  #opening: Awaited<EngineStore> | undefined;
  #closing: Awaited<void> | undefined;
  #closed: Promise<void> | undefined;
  /** What the flushes asked for reach; undefined when all have settled. */
  #flushTarget: number | undefined;

  static open(addon: Addon, path: string, options: EngineOptions, events: EngineEvents): Promise<EngineStore> {
    const { clock, ...rest } = options;
    const store = new NativeStore(addon, clock, events);
    return new Promise((resolve, reject) => {
      store.#opening = { resolve, reject };
      store.#handle = store.#call(() =>
        addon.open(path, clock === undefined ? rest : { ...rest, clockMs: read(clock) }, store.#arrive),
      );
      store.#hold.take();
    });
  }

  private constructor(addon: Addon, clock: (() => number) | undefined, events: EngineEvents) {
    this.#addon = addon;
    this.#clock = clock;
    this.#events = events;
  }

  readonly #arrive: AddonEvent = (kind, first, second, text) => {
    const addon = this.#addon;
    if (kind === addon.EVENT_PROGRESS) {
      this.#events.onProgress(text ?? "", first, second);
      return;
    }
    const error = text === null ? undefined : fromJson(text);
    if (kind === addon.EVENT_SETTLED) {
      this.#settled(first, error);
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
      if (this.#clock !== undefined) this.#addon.setClock(this.#handle, read(this.#clock));
      return this.#addon.put(this.#handle, batch, bytes, count, results);
    } catch (error) {
      throw this.#toStoreError(error);
    }
  }

  putGroup(batch: Uint8Array, bytes: number, count: number, results: Float64Array): number {
    try {
      if (this.#clock !== undefined) this.#addon.setClock(this.#handle, read(this.#clock));
      return this.#addon.putGroup(this.#handle, batch, bytes, count, results);
    } catch (error) {
      throw this.#toStoreError(error);
    }
  }

  takeError(): StoreError {
    const failure = this.#call(() => this.#addon.takeError(this.#handle));
    return failure === null
      ? new StoreError("STORE_IO", "no put has failed", { details: { internal: true } })
      : fromJson(failure);
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

  lookup(topic: string, key: string, begin: number, end: number, max: number): Uint8Array {
    return this.#call(() => this.#addon.lookup(this.#handle, topic, key, begin, end, max));
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

  topics(): string[] {
    return this.#call(() => this.#addon.topics(this.#handle));
  }

  queues(topic: string): number[] {
    return this.#call(() => this.#addon.queues(this.#handle, topic));
  }

  health(): EngineHealth {
    return this.#call(() => this.#addon.health(this.#handle));
  }

  stats(): Record<string, number> {
    return this.#call(() => this.#addon.stats(this.#handle));
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
    try {
      return call();
    } catch (error) {
      throw this.#toStoreError(error);
    }
  }

  /** What the addon threw, as a StoreError; what napi-rs threw about an argument's type, too. */
  #toStoreError(error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    const { message } = error as Error;
    const prefix = this.#addon.FAILURE_PREFIX;
    if (message.startsWith(prefix)) return fromJson(message.slice(prefix.length));
    return new StoreError("STORE_INVALID_ARGUMENT", message, { cause: error });
  }
}

/**
 * Keeps the process alive while something is awaited that nothing else holds it for: the event functions of the addon
 * do not, so that an idle store lets a program end.
 */
class ProcessHold {
  #count = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  take(): void {
    this.#count += 1;
    if (this.#count > 1) return;
    this.#timer ??= setInterval(() => {}, 2 ** 31 - 1);
    this.#timer.ref();
  }

  release(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#timer?.unref();
  }

  /** Releases everything, for good. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#count = 0;
  }
}

function read(clock: () => number): number {
  try {
    return clock();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError("STORE_INVALID_ARGUMENT", "clock threw instead of returning milliseconds since the epoch", {
      details: { argument: "clock" },
      cause,
    });
  }
}

function fromJson(json: string): StoreError {
  const { code, message, details } = JSON.parse(json) as {
    code: StoreErrorCode;
    message: string;
    details: Record<string, unknown>;
  };
  return new StoreError(code, message, { details });
}
