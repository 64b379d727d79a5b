/** One who waits for a position to be passed, and is told once: of that, of a signal, or of why it never will be. */
import { abortError, onAbort } from "./abort.ts";
import type { StoreError } from "./errors.ts";

export class Waiter {
  /** What is waited for lies above. */
  readonly position: number;
  /** Resolves with whether the position was passed; false where the wait was given up. */
  readonly promise: Promise<boolean>;
  #resolve!: (passed: boolean) => void;
  #reject!: (error: StoreError) => void;
  #leave: (() => void) | undefined;
  #unlisten: (() => void) | undefined;

  /** `leave` is called once, before the promise settles. `signal` is not aborted yet. */
  constructor(position: number, signal: AbortSignal | undefined, leave: (waiter: Waiter) => void) {
    this.position = position;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#leave = () => leave(this);
    if (signal !== undefined) this.#unlisten = onAbort(signal, () => this.fail(abortError(signal)));
  }

  get isSettled(): boolean {
    return this.#leave === undefined;
  }

  settle(passed: boolean): void {
    if (this.#end()) this.#resolve(passed);
  }

  fail(error: StoreError): void {
    if (this.#end()) this.#reject(error);
  }

  /** Whether this is the end, and not one behind it. */
  #end(): boolean {
    const leave = this.#leave;
    if (leave === undefined) return false;
    this.#leave = undefined;
    this.#unlisten?.();
    leave();
    return true;
  }
}
