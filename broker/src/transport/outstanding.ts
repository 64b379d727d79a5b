import type { Command } from "../protocol/command.ts";
import { TransportError } from "./transport-error.ts";

/** Longest delay of a timer. */
const MAX_DELAY_MS = 2_147_483_647;

interface Waiting {
  readonly code: number;
  readonly timeoutMs: number;
  /** On the clock of `performance.now`. */
  readonly deadline: number;
  readonly resolve: (response: Command) => void;
  readonly reject: (error: TransportError) => void;
}

/** Requests of ours that the peer has not answered: found by their opaque, with one timer for the nearest deadline. */
export class Outstanding {
  readonly #waiting: Map<number, Waiting> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#waiting.size;
  }

  add(opaque: number, code: number, timeoutMs: number): Promise<Command> {
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + timeoutMs;
      this.#waiting.set(opaque, { code, timeoutMs, deadline, resolve, reject });
      this.#arm(deadline);
    });
  }

  /** Whether it is an answer to one of them. */
  settle(response: Command): boolean {
    const waiting = this.#waiting.get(response.opaque);
    if (waiting === undefined) return false;
    this.#waiting.delete(response.opaque);
    if (this.#waiting.size === 0) this.#disarm();
    waiting.resolve(response);
    return true;
  }

  /** Rejects all of them: the connection is closed. */
  abandon(reason: string): void {
    this.#disarm();
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { code, reject } of all) {
      reject(new TransportError("CONNECTION_CLOSED", `request ${code} has no answer: ${reason}`));
    }
  }

  #arm(deadline: number): void {
    if (deadline >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    // It keeps the process alive, as the socket does: whoever waits shall get the timeout.
    const delay = Math.max(1, Math.ceil(deadline - performance.now()));
    this.#timer = setTimeout(this.#expire, Math.min(delay, MAX_DELAY_MS));
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  readonly #expire = (): void => {
    this.#disarm();
    const now = performance.now();
    let nearest = Number.POSITIVE_INFINITY;
    for (const [opaque, { code, timeoutMs, deadline, reject }] of this.#waiting) {
      if (deadline > now) nearest = Math.min(nearest, deadline);
      else {
        this.#waiting.delete(opaque);
        reject(new TransportError("REQUEST_TIMEOUT", `request ${code} was not answered in ${timeoutMs} ms`));
      }
    }
    if (nearest < Number.POSITIVE_INFINITY) this.#arm(nearest);
  };
}
