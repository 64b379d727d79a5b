/** Many deadlines, one timer: for the nearest. It keeps no process alive, and there is none while nothing has a deadline. */
import { Heap } from "./heap.ts";

/** Longest delay of a timer. */
const MAX_DELAY_MS = 2_147_483_647;

interface Deadline<T> {
  readonly item: T;
  /** On the clock of `performance.now`. */
  readonly at: number;
}

export class Deadlines<T> {
  readonly #expire: (item: T) => void;
  readonly #nearest: Heap<Deadline<T>> = new Heap(({ at }) => at);
  readonly #deadlines: Map<T, Deadline<T>> = new Map();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** `expire` is called with an item, which is not here any more, when its deadline has passed. */
  constructor(expire: (item: T) => void) {
    this.#expire = expire;
  }

  /** The item has `ms` milliseconds from now on. */
  add(item: T, ms: number): void {
    const deadline = { item, at: performance.now() + ms };
    this.#deadlines.set(item, deadline);
    this.#nearest.add(deadline);
    this.#arm();
  }

  delete(item: T): void {
    const deadline = this.#deadlines.get(item);
    if (deadline === undefined) return;
    this.#deadlines.delete(item);
    this.#nearest.delete(deadline);
    // A timer that is early now finds nothing to do and is set again; without any deadline there is none.
    if (this.#nearest.size === 0) this.#disarm();
  }

  #arm(): void {
    const nearest = this.#nearest.first;
    if (nearest === undefined || nearest.at >= this.#timerAt) return;
    this.#disarm();
    this.#timerAt = nearest.at;
    const delay = Math.min(Math.max(1, Math.ceil(nearest.at - performance.now())), MAX_DELAY_MS);
    this.#timer = setTimeout(this.#fire, delay);
    this.#timer.unref();
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  readonly #fire = (): void => {
    this.#disarm();
    const now = performance.now();
    for (let next = this.#nearest.first; next !== undefined && next.at <= now; next = this.#nearest.first) {
      this.delete(next.item);
      this.#expire(next.item);
    }
    this.#arm();
  };
}
