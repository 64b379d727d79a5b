/** Waiting for the visible end of the log to move. */
import { throwIfAborted } from "./abort.ts";
import type { StoreError } from "./errors.ts";
import { Heap } from "./heap.ts";
import { Waiter } from "./waiter.ts";

export class LogWaiters {
  readonly #waiters: Heap<Waiter> = new Heap(({ position }) => position);

  get isWaitedFor(): boolean {
    return this.#waiters.size > 0;
  }

  /** Waits until the visible end, which is `visible` now, is above a position. */
  wait(position: number, visible: number, signal: AbortSignal | undefined): Waiter {
    throwIfAborted(signal);
    const waiter = new Waiter(position, signal, (gone) => this.#waiters.delete(gone));
    this.#waiters.add(waiter);
    if (visible > position) waiter.settle(true);
    return waiter;
  }

  moved(visible: number): void {
    const waiters = this.#waiters;
    for (let first = waiters.first; first !== undefined && first.position < visible; first = waiters.first) {
      first.settle(true);
    }
  }

  /** Nothing becomes visible any more. */
  end(error: StoreError): void {
    for (let first = this.#waiters.first; first !== undefined; first = this.#waiters.first) first.fail(error);
  }
}
