/** Reading on and on: along a queue, and along the log. */
import { setImmediate } from "node:timers/promises";
import { checkOffset, readOptions } from "./arguments.ts";
import { SCAN_STRIDE, ScanKind } from "./binding/contract.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import type { GetResult } from "./get-result.ts";
import { messagesIn, type StoredMessage } from "./stored-message.ts";
import { copyOfFilter, type MessageFilter } from "./tag-filter.ts";

export interface ReadOptions {
  /** Queue offset to begin at. Default: the queue's minimum; below it reading begins at the minimum. */
  readonly from?: number | undefined;
  /** Which messages are wanted. Default: all. */
  readonly filter?: MessageFilter | undefined;
  /** Ends the reading with `STORE_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

export interface ScanOptions {
  /** Physical offset to begin at, where a record or a blank starts. Default: the log's minimum, also for less. */
  readonly from?: number | undefined;
  /** Physical offset to end before. Default: the visible end of the log at the time of the call. */
  readonly to?: number | undefined;
}

/** What stands in the log at `physicalOffset`, and takes `size` bytes of it. */
export type ScanItem =
  | {
      readonly kind: "message";
      readonly physicalOffset: number;
      readonly size: number;
      readonly message: StoredMessage;
    }
  /** The unused end of a commit log file. */
  | { readonly kind: "blank"; readonly physicalOffset: number; readonly size: number }
  /** Bytes that are no record, up to the next one that is. */
  | { readonly kind: "damaged"; readonly physicalOffset: number; readonly size: number; readonly reason: string };

const READ_OPTIONS: readonly string[] = ["from", "filter", "signal"];
const SCAN_OPTIONS: readonly string[] = ["from", "to"];

/** Items and bytes that one call of a scan fetches. */
export const SCAN_ITEMS = 1024;
export const SCAN_BYTES: number = 1024 * 1024;

/** Reads a stretch of a queue. */
export type GetStretch = (queueOffset: number) => GetResult;
/** Walks a stretch of the log, as the engine does. */
export type ScanStretch = (
  from: number,
  to: number,
) => { items: Float64Array; bytes: Uint8Array; reasons: string[]; next: number };

export function checkReadOptions(options: ReadOptions | undefined): ReadOptions {
  const { from, filter: given, signal } = readOptions(options, READ_OPTIONS);
  if (from !== undefined) checkOffset("options.from", from);
  const filter = given === undefined ? undefined : copyOfFilter(given);
  if (signal === undefined || isAbortSignal(signal)) return { from, filter, signal };
  throw argumentError("options.signal", `signal is ${shown(signal)}; it must be an AbortSignal`);
}

/** Whether a value can be asked if it is aborted: what only has the prototype of a signal throws at that. */
function isAbortSignal(value: unknown): boolean {
  try {
    return value instanceof AbortSignal && typeof value.aborted === "boolean";
  } catch {
    return false;
  }
}

/**
 * The messages of a queue from an offset to the end that it has at the first look. Between two stretches other work
 * of the process gets its turn.
 */
export async function* readQueue(
  get: GetStretch,
  from: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredMessage, void, undefined> {
  let offset = from;
  let end: number | undefined;
  for (;;) {
    throwIfAborted(signal);
    const result = get(offset);
    end ??= result.maxOffset;
    for (const message of result.messages) {
      if (message.queueOffset >= end) return;
      yield message;
      throwIfAborted(signal);
    }
    if (result.nextOffset <= offset || result.nextOffset >= end) return;
    offset = result.nextOffset;
    await setImmediate();
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new StoreError("STORE_ABORTED", "reading was ended by its signal", { cause: signal.reason });
}

export function checkScanOptions(options: ScanOptions | undefined): ScanOptions {
  const { from, to } = readOptions(options, SCAN_OPTIONS);
  if (from !== undefined) checkOffset("options.from", from);
  if (to !== undefined) checkOffset("options.to", to);
  return { from, to };
}

/** What stands in the log between two positions, in order. */
export function* scanLog(scan: ScanStretch, from: number, to: number): Generator<ScanItem, void, undefined> {
  let position = from;
  while (position < to) {
    const { items, bytes, reasons, next } = scan(position, to);
    const messages = messagesIn(bytes);
    let message = 0;
    let reason = 0;
    for (let i = 0; i + SCAN_STRIDE <= items.length; i += SCAN_STRIDE) {
      const physicalOffset = items[i + 1] as number;
      const size = items[i + 2] as number;
      switch (items[i]) {
        case ScanKind.message:
          yield { kind: "message", physicalOffset, size, message: messages[message++] as StoredMessage };
          break;
        case ScanKind.blank:
          yield { kind: "blank", physicalOffset, size };
          break;
        default:
          yield { kind: "damaged", physicalOffset, size, reason: reasons[reason++] ?? "" };
      }
    }
    if (next <= position) return;
    position = next;
  }
}
