/** How much may be made because clients ask for what there is not: each time the whole table is written. */
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import { ResponseCode } from "../protocol/codes.ts";
import { RequestError } from "../protocol/request-error.ts";

export interface CreationLimitOptions {
  /** Asked each time, as it may change. */
  readonly config: Pick<BrokerConfig, "maxAutoCreated" | "autoCreateBurst" | "autoCreatePerSecond">;
  /** What is made, as sentences have it: `"topics"`. */
  readonly kind: string;
  /** Told when something is not made, once a minute. */
  readonly log?: Log | undefined;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: (() => number) | undefined;
}

const LOG_PERIOD_MS = 60_000;

export class CreationLimit {
  readonly #options: CreationLimitOptions;
  readonly #now: () => number;
  #left: number;
  #at: number;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(options: CreationLimitOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#left = options.config.autoCreateBurst;
    this.#at = this.#now();
  }

  /** Whether one more is made, where there are `size`; it counts then. */
  take(size: number): boolean {
    const isTaken = !this.#isFull(size) && this.#takeOne();
    if (!isTaken) this.#tell(size);
    return isTaken;
  }

  /** As `take`; throws RequestError where it is not made. */
  check(size: number): void {
    if (this.take(size)) return;
    const { kind } = this.#options;
    if (this.#isFull(size)) {
      const sentence = `there are ${size} ${kind}, and no more are made for clients; make it yourself, or delete some`;
      throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
    }
    throw new RequestError(ResponseCode.SYSTEM_BUSY, `too many ${kind} are made at once; try again later`);
  }

  #isFull(size: number): boolean {
    return size >= this.#options.config.maxAutoCreated;
  }

  #takeOne(): boolean {
    const { autoCreateBurst, autoCreatePerSecond } = this.#options.config;
    const now = this.#now();
    this.#left = Math.min(this.#left + ((now - this.#at) * autoCreatePerSecond) / 1000, autoCreateBurst);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  #tell(size: number): void {
    const now = this.#now();
    if (now - this.#loggedAt < LOG_PERIOD_MS) return;
    this.#loggedAt = now;
    const { config, kind, log } = this.#options;
    const { maxAutoCreated, autoCreateBurst, autoCreatePerSecond } = config;
    const why = this.#isFull(size) ? `there are ${size} (maxAutoCreated)` : "too many at once (autoCreateBurst)";
    const facts = { size, maxAutoCreated, autoCreateBurst, autoCreatePerSecond };
    log?.warn(facts, `${kind} that clients ask for are not made: ${why}`);
  }
}
