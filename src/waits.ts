/** Those who wait for something to become visible: told by each put, or by each sync where that makes it visible. */
import { Arrivals } from "./arrivals.ts";
import type { EngineStore } from "./binding/contract.ts";
import type { StoreError } from "./errors.ts";
import type { Lifecycle } from "./lifecycle.ts";

export class Waits {
  readonly arrivals: Arrivals;
  readonly #lifecycle: Lifecycle;
  /** With `flush: "sync"` a sync makes visible what was put. */
  readonly #isSync: boolean;

  constructor(engine: EngineStore, lifecycle: Lifecycle, flush: "async" | "sync") {
    this.arrivals = new Arrivals(engine, lifecycle);
    this.#lifecycle = lifecycle;
    this.#isSync = flush === "sync";
  }

  /** A put has stored something; `ready` watches of the engine are. Throws nothing. */
  stored(ready: number): void {
    if (ready > 0) this.arrivals.take();
  }

  /** A sync is done. */
  settled(): void {
    if (!this.#isSync || !this.#lifecycle.isReadable) return;
    if (this.arrivals.isWaitedFor) this.arrivals.take();
  }

  /** Nothing becomes visible any more. */
  end(error: StoreError): void {
    this.arrivals.end(error);
  }
}
