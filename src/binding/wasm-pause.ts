/** A short rest of a thread whose call must not return before. */
const nothing: Int32Array = new Int32Array(new SharedArrayBuffer(4));

/** Waits so many milliseconds; the thread does nothing else meanwhile. */
export function pause(ms: number): void {
  Atomics.wait(nothing, 0, 0, ms);
}
