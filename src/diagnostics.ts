/**
 * What a store tells about itself on `node:diagnostics_channel`. Nothing is made or sent while nobody listens.
 *
 * | channel | when | payload |
 * |---|---|---|
 * | `moraine:engine` | no addon loads, and the WebAssembly engine is taken instead: once | `EngineDiagnostics` |
 * | `moraine:put` | a `put`, `append` or `putBatch` has stored messages | `PutDiagnostics` |
 * | `moraine:flush` | the durable position has moved | `FlushDiagnostics` |
 * | `moraine:recovery` | opening goes on, and once when it is done | `RecoveryDiagnostics` |
 * | `moraine:segment` | the log has gone on in another file | `SegmentDiagnostics` |
 * | `moraine:listener` | a listener of `onAppend` threw, or its promise rejected | `ListenerDiagnostics` |
 * | `moraine:poison` | a write or a sync has failed: nothing can be stored until the store is opened again | `PoisonDiagnostics` |
 */
import { type Channel, channel } from "node:diagnostics_channel";
import type { Finding } from "./binding/contract.ts";
import type { StoreError } from "./errors.ts";

/** The native engine is not there. Of the whole process, or of a worker thread; `store.engine` says it of a store. */
export interface EngineDiagnostics {
  /** The engine that was taken. */
  readonly engine: "native" | "wasm";
  /** Each addon that was tried, and why it does not load. */
  readonly attempts: readonly string[];
}

/** Messages were stored. */
export interface PutDiagnostics {
  /** Directory of the store. */
  readonly path: string;
  readonly count: number;
  /** Byte position of the first record. */
  readonly physicalOffset: number;
  /** Byte behind the last record. */
  readonly endOffset: number;
  readonly storeTimestamp: number;
}

/** Everything below `durableOffset` survives a power cut. */
export interface FlushDiagnostics {
  readonly path: string;
  readonly durableOffset: number;
}

/** `phase` is `log`, `queues`, `index` or `dispatch` with `done` and `total` in bytes, at the end `opened`. */
export interface RecoveryDiagnostics {
  readonly path: string;
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** At the end: whether the store had been closed cleanly before. */
  readonly clean?: boolean;
  /** At the end: what was noticed. */
  readonly findings?: readonly Finding[];
}

/** A commit log file was begun. */
export interface SegmentDiagnostics {
  readonly path: string;
  /** Byte position in the log at which the file begins; its name. */
  readonly physicalOffset: number;
  /** Size of the file. */
  readonly segmentBytes: number;
}

/** Why the store takes nothing any more. */
export interface PoisonDiagnostics {
  readonly path: string;
  readonly error: StoreError;
}

/** What a listener of `onAppend` threw, or its promise rejected with; or why messages could not be read for it. */
export interface ListenerDiagnostics {
  readonly path: string;
  readonly error: unknown;
}

type StoreChannel = Channel<unknown, unknown>;

export const engineChannel: StoreChannel = channel("moraine:engine");
export const putChannel: StoreChannel = channel("moraine:put");
export const flushChannel: StoreChannel = channel("moraine:flush");
export const recoveryChannel: StoreChannel = channel("moraine:recovery");
export const segmentChannel: StoreChannel = channel("moraine:segment");
export const listenerChannel: StoreChannel = channel("moraine:listener");
export const poisonChannel: StoreChannel = channel("moraine:poison");

/** Tells of the commit log files that messages from `first` up to `end` have begun: no record crosses a file. */
export function publishSegments(path: string, first: number, end: number, segmentBytes: number): void {
  for (let start = Math.ceil(first / segmentBytes) * segmentBytes; start < end; start += segmentBytes) {
    segmentChannel.publish({ path, physicalOffset: start, segmentBytes } satisfies SegmentDiagnostics);
  }
}
