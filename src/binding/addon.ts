/** The addon as it is loaded. */
import type { AppendedColumns, EngineHealth, EngineOptions, EngineStore } from "./contract.ts";
import type { FetchAddon } from "./native-fetch.ts";
import type { TaskAddon, TaskEvent } from "./native-task.ts";

/** What the addon exports (native/napi/src: hot.rs, held.rs, fetch.rs, shares.rs, store.rs, report.rs, retention.rs, tasks.rs, upkeep.rs). */
export interface Addon extends TaskAddon, FetchAddon {
  readonly FAILURE_PREFIX: string;
  readonly EVENT_PROGRESS: number;
  readonly EVENT_OPENED: number;
  readonly EVENT_FAILED: number;
  readonly EVENT_SETTLED: number;
  readonly EVENT_CLOSED: number;
  readonly EVENT_DONE: number;
  readonly EVENT_FETCHED: number;
  readonly EVENT_ARRIVED: number;
  copyName(): string;
  /** What the addon holds for the threads of this process: of one that has ended, nothing. */
  held(): { environments: number; channels: number; stores: number; answers: number };
  share(handle: number, settings: string): number;
  sharedSettings(share: number): string;
  attach(share: number, onEvent: AddonEvent): number;
  follow(handle: number, follows: boolean): void;
  open(path: string, options: AddonOptions, onEvent: AddonEvent): number;
  close(handle: number): void;
  put(handle: number, batch: Uint8Array, bytes: number, count: number, results: Float64Array): number;
  putGroup(handle: number, batch: Uint8Array, bytes: number, count: number, results: Float64Array): number;
  putColumns(
    handle: number,
    tables: Uint8Array,
    bytes: Uint8Array,
    bodies: Uint32Array,
    properties: Uint32Array | undefined,
    queueIds: Int32Array,
    topicOf: Uint32Array | undefined,
    bornHostOf: Uint32Array | undefined,
    flags: Int32Array | undefined,
    sysFlags: Int32Array | undefined,
    reconsumeTimes: Int32Array | undefined,
    preparedTransactionOffsets: Float64Array | undefined,
    bornTimestamps: Float64Array | undefined,
    bornTimestamp: number,
    results: Float64Array,
  ): number;
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
  ): number;
  getInMemory: Addon["get"];
  /** No bytes where it is not in memory. */
  atInMemory(handle: number, physicalOffset: number): Uint8Array | null;
  /** The end offset that the answering event reaches. */
  requestFlush(handle: number): number;
  setClock(handle: number, now: number): void;
  positions(handle: number, out: Float64Array): void;
  at(handle: number, physicalOffset: number): Uint8Array | null;
  /** Nothing where there is no record. */
  lookup(
    handle: number,
    asked: Uint8Array,
    bytes: number,
    counts: Float64Array,
    begin: number,
    end: number,
    max: number,
  ): Uint8Array | undefined;
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
  /** EVENT_DONE follows with the number of the errand. */
  expire(handle: number, errand: number, before: number | undefined, maxBytes: number | undefined): void;
  deleteTopic(handle: number, errand: number, topic: string): void;
  retain(handle: number, from: number): number;
  release(handle: number, hold: number): void;
  health(handle: number): EngineHealth;
  pressure(handle: number): number;
  stats(handle: number): Record<string, number>;
  /** `handle`: that of the store, where it is open here for writing, else 0. */
  verifyStore(path: string, options: AddonOptions, deep: boolean, handle: number, onEvent: TaskEvent): number;
  rebuildStore(path: string, options: AddonOptions, queues: boolean, index: boolean, onEvent: TaskEvent): number;
  salvageStore(path: string, out: string, options: AddonOptions, onEvent: TaskEvent): number;
}

/** `checkpointBytes`: of the log, between two queue checkpoints; only tests that kill a store hand it in. */
export type AddonOptions = Omit<EngineOptions, "clock"> & { clockMs?: number; checkpointBytes?: number };
export type AddonEvent = (kind: number, first: number, second: number, text: string | null) => void;
