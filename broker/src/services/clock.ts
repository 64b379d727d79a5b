/** Time, and waiting for it: the system's, or one that a test moves. */
import { setTimeout as sleep } from "node:timers/promises";

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after a time, or when the signal is aborted. Keeps no process alive. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Milliseconds since some time, for leases and expiry: a clock that is set, or a machine that slept, ends none of them. */
export function monotonicNow(): number {
  return performance.now();
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    sleep(ms, undefined, { signal, ref: false }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    }),
};
