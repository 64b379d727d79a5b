// Memory after many messages, and pauses for garbage meanwhile.
import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import { openContestant } from "./contestants.mjs";
import { measured, memory } from "./measure.mjs";

const BATCH = 64;

export async function memoryAfter(job) {
  const messages = Math.ceil(job.messages / BATCH) * BATCH;
  const contestant = await openContestant(job);
  let longestPauseMillis = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longestPauseMillis = Math.max(longestPauseMillis, duration);
  });
  observer.observe({ entryTypes: ["gc"] });
  let mostPrivate = 0;
  const figures = await measured(messages, async () => {
    for (let n = 0; n < messages; n += BATCH) {
      const waiting = contestant.putBatch(n, BATCH);
      if (waiting) await waiting;
      if (n % (BATCH * 1000) !== 0) continue;
      await turn();
      mostPrivate = Math.max(mostPrivate, memory().privateBytes);
    }
  });
  await turn(); // the observer is told
  observer.disconnect();
  const privateBytes = Math.max(mostPrivate, memory().privateBytes);
  await contestant.flush?.();
  await contestant.verify(messages);
  await contestant.close();
  return { ...figures, privateBytes, longestPauseMillis, threads: 1 };
}
