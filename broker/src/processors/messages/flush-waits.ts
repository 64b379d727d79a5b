/** Answers that wait for the disk, each no longer than `syncFlushTimeout`. */
import type { Store } from "moraine";
import type { BrokerConfig } from "../../config/broker-config.ts";

/** Settled ones at the front of the line that are not worth a copy of the rest. */
const SETTLED_KEPT = 1024;

interface Wait {
  /** Milliseconds of the monotonic clock. */
  readonly deadline: number;
  /** Undefined once it is settled. */
  settle: ((isDurable: boolean) => void) | undefined;
}

export class FlushWaits {
  readonly #store: Store;
  readonly #config: BrokerConfig;
  /** All wait equally long: the first is due first. */
  #line: Wait[] = [];
  #first = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, config: BrokerConfig) {
    this.#store = store;
    this.#config = config;
  }

  /**
   * Resolves with whether the log is durable up to an offset, `false` once that has taken too long. Rejects as
   * `Store.flush` does.
   */
  until(endOffset: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const wait: Wait = { deadline: performance.now() + this.#config.syncFlushTimeout, settle: resolve };
      this.#line.push(wait);
      this.#watch(wait);
      this.#store.flush(endOffset).then(
        () => this.#settle(wait, true),
        (error: unknown) => {
          wait.settle = undefined;
          this.#tidy();
          reject(error);
        },
      );
    });
  }

  #settle(wait: Wait, isDurable: boolean): void {
    wait.settle?.(isDurable);
    wait.settle = undefined;
    this.#tidy();
  }

  /** Takes those out at the front that are settled. */
  #tidy(): void {
    while (this.#first < this.#line.length && this.#line[this.#first]?.settle === undefined) this.#first++;
    if (this.#first < this.#line.length && (this.#first < SETTLED_KEPT || 2 * this.#first < this.#line.length)) return;
    this.#line = this.#line.slice(this.#first);
    this.#first = 0;
    // The timer stays as it is: the next one who waits finds it set, or it finds nobody.
  }

  #watch(wait: Wait): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#look(), Math.max(wait.deadline - performance.now(), 0) + 1);
    this.#timer.unref();
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (
      let wait = this.#line[this.#first];
      wait !== undefined && wait.deadline <= now;
      wait = this.#line[this.#first]
    ) {
      this.#settle(wait, false);
    }
    const next = this.#line[this.#first];
    if (next !== undefined) this.#watch(next);
  }
}
