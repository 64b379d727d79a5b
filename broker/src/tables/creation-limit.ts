/** How much may be made because clients ask for what there is not: each time the whole table is written. */
import { ResponseCode } from "../protocol/codes.ts";
import { RequestError } from "../protocol/request-error.ts";

export interface CreationLimitOptions {
  /** How many there may be, with those that were made otherwise, for one more to be made for a client. */
  readonly maximum?: number | undefined;
  /** How many are made at once, and in a second on and on. */
  readonly burst?: number | undefined;
  readonly perSecond?: number | undefined;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: (() => number) | undefined;
}

/** Fewer than an administrator may make, and than fit into a registration with name servers. */
const MAXIMUM = 20_000;
const BURST = 1000;
const PER_SECOND = 100;

export class CreationLimit {
  readonly #maximum: number;
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  #left: number;
  #at: number;

  constructor({ maximum = MAXIMUM, burst = BURST, perSecond = PER_SECOND, now }: CreationLimitOptions = {}) {
    this.#maximum = maximum;
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#now = now ?? (() => performance.now());
    this.#left = burst;
    this.#at = this.#now();
  }

  /** Whether one more is made, where there are `size`; it counts then. */
  take(size: number): boolean {
    if (size >= this.#maximum) return false;
    const now = this.#now();
    this.#left = Math.min(this.#left + ((now - this.#at) * this.#perSecond) / 1000, this.#burst);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /** As `take`; throws RequestError where it is not made. */
  check(size: number, kind: string): void {
    if (size >= this.#maximum) {
      const sentence = `there are ${size} ${kind}, and no more are made for clients; make it yourself, or delete some`;
      throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
    }
    if (this.take(size)) return;
    throw new RequestError(ResponseCode.SYSTEM_BUSY, `too many ${kind} are made at once; try again later`);
  }
}
