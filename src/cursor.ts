/** Going on and on through what may still grow: an async iteration that waits at the end, and can be left while it does. */
import { argumentError, shown } from "./errors.ts";
import type { Waiter } from "./waiter.ts";

/** Stretches between two turns of the event loop, where every one was waited for: two that feed each other starve nobody. */
export const STRETCHES_A_TURN = 32;

/** The wait of a cursor, for whoever leaves it. */
export class Pause {
  #waiter: Waiter | undefined;
  #isOver = false;

  /** Waits; false where the cursor was left meanwhile. */
  async until(waiter: Waiter): Promise<boolean> {
    this.#waiter = waiter;
    // Left before there was anything to wait for.
    if (this.#isOver) waiter.settle(false);
    try {
      await waiter.promise;
    } finally {
      this.#waiter = undefined;
    }
    return !this.#isOver;
  }

  end(): void {
    this.#isOver = true;
    this.#waiter?.settle(false);
  }
}

export class Cursor<T> implements AsyncIterableIterator<T> {
  readonly #pause: Pause = new Pause();
  readonly #steps: AsyncGenerator<T, void, undefined>;

  constructor(walk: (pause: Pause) => AsyncGenerator<T, void, undefined>) {
    this.#steps = walk(this.#pause);
  }

  next(): Promise<IteratorResult<T, void>> {
    return this.#steps.next();
  }

  /** Leaves the cursor. A `next` that waits gets the end. */
  return(): Promise<IteratorResult<T, void>> {
    this.#pause.end();
    return this.#steps.return();
  }

  throw(error?: unknown): Promise<IteratorResult<T, void>> {
    this.#pause.end();
    return this.#steps.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** The option `follow`. */
export function checkFollow(follow: unknown): void {
  if (follow === undefined || typeof follow === "boolean") return;
  throw argumentError("options.follow", `follow is ${shown(follow)}; it must be true or false`);
}
