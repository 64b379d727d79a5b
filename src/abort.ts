/** Abort signals: checked as options, and listened to once each, however many wait for them. */
import { argumentError, StoreError, shown } from "./errors.ts";

/** Refuses what is given as the option `signal` and is none. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || isAbortSignal(signal)) return;
  throw argumentError("options.signal", `signal is ${shown(signal)}; it must be an AbortSignal`);
}

/** Whether a value can be asked if it is aborted: what only has the prototype of a signal throws at that. */
function isAbortSignal(value: unknown): boolean {
  try {
    return value instanceof AbortSignal && typeof value.aborted === "boolean";
  } catch {
    return false;
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

export function abortError(signal: AbortSignal): StoreError {
  return new StoreError("STORE_ABORTED", "the call was ended by its signal", { cause: signal.reason });
}

/** Those who are told of one signal, by one listener: the runtime takes many listeners for a leak, and warns. */
class Audience {
  readonly #signal: AbortSignal;
  readonly #calls: Set<() => void> = new Set();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#tell);
  }

  add(call: () => void): void {
    this.#calls.add(call);
  }

  delete(call: () => void): void {
    this.#calls.delete(call);
    if (this.#calls.size === 0) this.#leave();
  }

  readonly #tell = (): void => {
    this.#leave();
    for (const call of this.#calls) call();
  };

  #leave(): void {
    this.#signal.removeEventListener("abort", this.#tell);
    if (audiences.get(this.#signal) === this) audiences.delete(this.#signal);
  }
}

const audiences: WeakMap<AbortSignal, Audience> = new WeakMap();

/** Calls `call`, which throws nothing, when a signal is aborted that is not yet. Returns what ends this. */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  let audience = audiences.get(signal);
  if (audience === undefined) {
    audience = new Audience(signal);
    audiences.set(signal, audience);
  }
  audience.add(call);
  return () => audience.delete(call);
}
