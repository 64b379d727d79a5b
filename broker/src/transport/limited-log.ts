import type { Log } from "../log.ts";

/** Lines of an interval; what is more is counted. */
const LINES = 20;
const INTERVAL_MS = 10_000;

/**
 * A log for what peers can cause as often as they like: of warnings and errors only so many are written in ten seconds. How many
 * were left out is said with the next one that is written.
 */
export function limitedLog(log: Log): Log {
  let startedAt = Number.NEGATIVE_INFINITY;
  let lines = 0;
  let leftOut = 0;
  const limited =
    (write: Log["warn"]): Log["warn"] =>
    (facts, sentence) => {
      const now = performance.now();
      if (now - startedAt >= INTERVAL_MS) {
        startedAt = now;
        lines = 0;
      }
      if (lines >= LINES) {
        leftOut++;
        return;
      }
      lines++;
      write.call(log, leftOut === 0 ? facts : { ...facts, leftOut }, sentence);
      leftOut = 0;
    };
  return {
    debug: (facts, sentence) => log.debug(facts, sentence),
    info: (facts, sentence) => log.info(facts, sentence),
    warn: limited(log.warn),
    error: limited(log.error),
  };
}
