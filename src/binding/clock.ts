/** The option `clock`, asked for the time. */
import { StoreError } from "../errors.ts";

export function readClock(clock: () => number): number {
  try {
    return clock();
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError("STORE_INVALID_ARGUMENT", "clock threw instead of returning milliseconds since the epoch", {
      details: { argument: "clock" },
      cause,
    });
  }
}
