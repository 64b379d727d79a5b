/** What ends a store: closing it, or a sync that failed; and what each sync means to those who wait. */
import type { AppendLine } from "./append-line.ts";
import type { EngineStore } from "./binding/contract.ts";
import { type FlushDiagnostics, flushChannel } from "./diagnostics.ts";
import type { StoreError } from "./errors.ts";
import type { Fetches } from "./fetches.ts";
import type { FlushWaiters } from "./flush-waiters.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Positions } from "./log-positions.ts";
import type { Tables } from "./tables.ts";
import type { Waits } from "./waits.ts";

/** What has to do with the end of a store. */
export interface Ends {
  readonly engine: EngineStore;
  readonly lifecycle: Lifecycle;
  readonly flush: "async" | "sync";
  readonly positions: Positions;
  readonly waiters: FlushWaiters;
  readonly waits: Waits;
  readonly appends: AppendLine;
  readonly fetches: Fetches;
  readonly tables: Tables;
}

export class Ending {
  readonly #ends: Ends;
  /** What ends the verifying that goes on. */
  readonly verifying: Set<() => void> = new Set();
  #closing: Promise<void> | undefined;

  constructor(ends: Ends) {
    this.#ends = ends;
  }

  /** As `Store.close`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { engine, lifecycle, waiters, waits, appends, fetches, tables } = this.#ends;
    appends.putGathered();
    lifecycle.close();
    for (const stop of this.verifying) stop();
    waits.end(lifecycle.closedError());
    appends.end(lifecycle.closedError());
    fetches.end(lifecycle.closedError());
    // While the lock is still ours.
    const unwritten = await tables.close();
    const untold = await this.#showAll();
    await waits.listeners.drain();
    let failure: StoreError | undefined;
    try {
      await engine.close();
    } catch (error) {
      failure = error as StoreError;
    } finally {
      lifecycle.closed();
    }
    if (lifecycle.isPoisoned) failure = lifecycle.unreportedPoison ?? untold;
    // A close that went well has synced everything, whatever the last message about it said.
    if (failure === undefined) waiters.settleAll();
    else waiters.fail(failure);
    failure ??= unwritten;
    if (failure !== undefined) throw failure;
  }

  /**
   * Before the last delivery to listeners: in a synchronous store closing makes visible what waits for its sync. Returns
   * the failure of a sync that nobody else waited for.
   */
  async #showAll(): Promise<StoreError | undefined> {
    const { lifecycle, flush, positions, waiters, waits } = this.#ends;
    if (flush !== "sync" || waits.listeners.count === 0 || lifecycle.isPoisoned) return;
    const { endOffset, durableOffset } = positions.read();
    const isTold = waiters.waiting > 0;
    try {
      if (durableOffset < endOffset) await waiters.wait(endOffset);
    } catch (error) {
      if (!isTold) return error as StoreError;
    }
    return;
  }

  /** The engine has synced up to here, or a sync has failed. */
  settled(durableOffset: number, error: StoreError | undefined): void {
    if (error !== undefined) {
      this.poison(error);
      return;
    }
    const { lifecycle, waiters, waits } = this.#ends;
    const moved = durableOffset > waiters.durableOffset;
    waiters.settle(durableOffset);
    waits.settled();
    if (moved && flushChannel.hasSubscribers) {
      flushChannel.publish({ path: lifecycle.path, durableOffset } satisfies FlushDiagnostics);
    }
  }

  poison(cause: StoreError): void {
    const { lifecycle, waiters, waits, appends } = this.#ends;
    const error = lifecycle.poison(cause, waiters.waiting + appends.waiting > 0);
    appends.end(error);
    waiters.fail(error);
    waits.end(error);
  }
}
