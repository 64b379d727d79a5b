/** Those who wait for something to become visible: told by each put, or by each sync where that makes it visible. */
import { type AppendListener, AppendListeners } from "./append-listeners.ts";
import { Arrivals } from "./arrivals.ts";
import type { EngineStore } from "./binding/contract.ts";
import type { StoreError } from "./errors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { LogWaiters } from "./log-waiters.ts";
import type { Waiter } from "./waiter.ts";

export class Waits {
  readonly arrivals: Arrivals;
  readonly listeners: AppendListeners;
  readonly #log: LogWaiters = new LogWaiters();
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  /** With `flush: "sync"` a sync makes visible what was put. */
  readonly #isSync: boolean;
  readonly #positions: Float64Array = new Float64Array(4);
  #follows = false;

  constructor(engine: EngineStore, lifecycle: Lifecycle, flush: "async" | "sync") {
    this.arrivals = new Arrivals(engine, lifecycle);
    this.listeners = new AppendListeners(engine, lifecycle, () => this.visibleOffset());
    this.#engine = engine;
    this.#lifecycle = lifecycle;
    this.#isSync = flush === "sync";
  }

  visibleOffset(): number {
    this.#engine.positions(this.#positions);
    return this.#positions[3] as number;
  }

  /** Waits until the visible end of the log is above a position. */
  wait(position: number, signal: AbortSignal | undefined): Waiter {
    this.#lifecycle.checkGrowing();
    this.#follow(true);
    return this.#log.wait(position, this.visibleOffset(), signal);
  }

  /** A put has stored something; `ready` watches of the engine are. */
  stored(ready: number): void {
    if (ready > 0) this.arrivals.take();
    if (!this.#isSync) this.#moved();
  }

  /** Another thread has put something. */
  arrived(): void {
    if (!this.#lifecycle.isReadable) return;
    this.arrivals.take();
    if (!this.#isSync) this.#moved();
  }

  /** A sync is done. */
  settled(): void {
    if (!this.#isSync || !this.#lifecycle.isReadable) return;
    if (this.arrivals.isWaitedFor) this.arrivals.take();
    this.#moved();
  }

  /** Nothing becomes visible any more. */
  end(error: StoreError): void {
    this.arrivals.end(error);
    this.#log.end(error);
  }

  /** As `Store.onAppend`. */
  onAppend(listener: AppendListener): () => void {
    this.#lifecycle.checkGrowing();
    this.#follow(true);
    return this.listeners.add(listener);
  }

  #moved(): void {
    if (this.#log.isWaitedFor) this.#log.moved(this.visibleOffset());
    if (this.listeners.count > 0) this.listeners.moved();
    this.#follow(this.#log.isWaitedFor || this.listeners.count > 0);
  }

  /** Whether other threads have to tell of what they put. */
  #follow(follows: boolean): void {
    if (follows === this.#follows || !this.#lifecycle.isReadable) return;
    this.#follows = follows;
    this.#engine.follow(follows);
  }
}
