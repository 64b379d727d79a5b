/** Walking the log, to its end or on and on. */
import { setImmediate } from "node:timers/promises";
import { checkSignal, throwIfAborted } from "./abort.ts";
import { checkOffset, readOptions } from "./arguments.ts";
import { SCAN_STRIDE, ScanKind } from "./binding/contract.ts";
import { Cursor, checkFollow, type Pause, STRETCHES_A_TURN } from "./cursor.ts";
import { messagesIn, type StoredMessage } from "./stored-message.ts";
import type { Waiter } from "./waiter.ts";

export interface ScanOptions {
  /** Physical offset to begin at, where a record or a blank starts. Default: the log's minimum, also for less. */
  readonly from?: number | undefined;
  /** Physical offset to end before. Default: the visible end of the log at the time of the call; with `follow` none. */
  readonly to?: number | undefined;
  /** Whether to wait for more at the end of the log: then the scan is an async iteration. */
  readonly follow?: boolean | undefined;
  /** Ends the scan with `STORE_ABORTED`, also while it waits. */
  readonly signal?: AbortSignal | undefined;
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

const SCAN_OPTIONS: readonly string[] = ["from", "to", "follow", "signal"];

/** Items and bytes that one call of a scan fetches. */
const STRETCH_ITEMS = 1024;
const STRETCH_BYTES = 1024 * 1024;

/** The log as a scan needs it. */
export interface LogSource {
  readonly minOffset: number;
  /** Throws where the store is closed. */
  visibleOffset(): number;
  scan(from: number, to: number, maxItems: number, maxBytes: number): Stretch;
  /** Waits until the visible end is above a position. */
  wait(position: number, signal: AbortSignal | undefined): Waiter;
}

/** What one call of the engine gives: see `EngineStore.scan`. */
export interface Stretch {
  readonly items: Float64Array;
  readonly bytes: Uint8Array;
  readonly reasons: string[];
  readonly next: number;
}

export function checkScanOptions(options: ScanOptions | undefined): ScanOptions {
  const { from, to, follow, signal } = readOptions(options, SCAN_OPTIONS);
  if (from !== undefined) checkOffset("options.from", from);
  if (to !== undefined) checkOffset("options.to", to);
  checkFollow(follow);
  checkSignal(signal);
  return { from, to, follow, signal };
}

/** What stands in the log up to `options.to`, in order. */
export function* scanLog(
  log: LogSource,
  options: ScanOptions & { readonly to: number },
): Generator<ScanItem, void, undefined> {
  const { signal, to } = options;
  let position = Math.max(options.from ?? 0, log.minOffset);
  throwIfAborted(signal);
  while (position < to) {
    const stretch = log.scan(position, to, STRETCH_ITEMS, STRETCH_BYTES);
    for (const item of itemsOf(stretch)) {
      yield item;
      throwIfAborted(signal);
    }
    if (stretch.next <= position) return;
    position = stretch.next;
  }
}

/** As `scanLog`, and on and on: at the end of the log it waits for more, up to `options.to` if there is one. */
export function followLog(log: LogSource, options: ScanOptions): AsyncIterableIterator<ScanItem> {
  return new Cursor((pause) => following(log, options, pause));
}

async function* following(
  log: LogSource,
  options: ScanOptions,
  pause: Pause,
): AsyncGenerator<ScanItem, void, undefined> {
  const { to = Number.POSITIVE_INFINITY, signal } = options;
  let position = Math.max(options.from ?? 0, log.minOffset);
  for (let turn = 1; position < to; turn++) {
    throwIfAborted(signal);
    const end = Math.min(to, log.visibleOffset());
    let next = position;
    if (position < end) {
      const stretch = log.scan(position, end, STRETCH_ITEMS, STRETCH_BYTES);
      next = stretch.next;
      for (const item of itemsOf(stretch)) {
        yield item;
        throwIfAborted(signal);
      }
    }
    const goesOn = next > position;
    position = Math.max(position, next);
    if (position >= to) return;
    if (!goesOn || position >= end) {
      if (!(await pause.until(log.wait(Math.max(position, end), signal)))) return;
      if (turn % STRETCHES_A_TURN !== 0) continue;
    }
    // Between two stretches other work of the process gets its turn.
    await setImmediate();
  }
}

function* itemsOf({ items, bytes, reasons }: Stretch): Generator<ScanItem, void, undefined> {
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
}
