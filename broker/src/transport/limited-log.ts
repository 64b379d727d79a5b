import type { Log } from "../log.ts";

/** Lines of a level in an interval; what is more is counted. */
const LINES = 20;
const INTERVAL_MS = 10_000;

/**
 * A log for what peers can cause as often as they like: only so many warnings, and so many errors, are written in ten seconds, so
 * that no number of the ones hides the others. How many were left out is said with the next one of the level that is written.
 */
export function limitedLog(log: Log): Log {
  return {
    debug: (facts, sentence) => log.debug(facts, sentence),
    info: (facts, sentence) => log.info(facts, sentence),
    warn: limited((facts, sentence) => log.warn(facts, sentence)),
    error: limited((facts, sentence) => log.error(facts, sentence)),
  };
}

function limited(write: Log["warn"]): Log["warn"] {
  let startedAt = Number.NEGATIVE_INFINITY;
  let lines = 0;
  let leftOut = 0;
  return (facts, sentence) => {
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
    write(leftOut === 0 ? facts : { ...facts, leftOut }, sentence);
    leftOut = 0;
  };
}
