// How long a durable append takes at half of what can be had, from when it was due: open-loop, so that whoever is late
// makes everybody behind him late, and is counted so.
import { setImmediate as turn } from "node:timers/promises";
import { percentile } from "../rules/statistics.mjs";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";

const IN_FLIGHT = 64;

export async function durableLatency(job) {
  const contestant = await openContestant(job);
  contestant.unordered = true;
  // All code is compiled before the rate is known, and the rate goes on for a while before anybody counts.
  const before = Math.ceil(job.messages / 4);
  await closedLoop(contestant, 0, before);
  const rate = (await closedLoop(contestant, before, before)) / 2;
  await onTime(contestant, 2 * before, rate, new Float64Array(before));
  const late = new Float64Array(job.messages);
  const figures = await measured(job.messages, () => onTime(contestant, 3 * before, rate, late));
  await contestant.verify(3 * before + job.messages);
  await contestant.close();
  return { ...figures, ...percentiles(late), threads: 1 };
}

/** The floor's: one sync behind the other. */
export async function syncLatency(job) {
  const contestant = await openContestant(job);
  const count = Math.min(job.messages, 5000);
  const took = new Float64Array(count);
  const figures = await measured(count, () => {
    for (let n = 0; n < count; n++) {
      const start = process.hrtime.bigint();
      contestant.put(n);
      took[n] = Number(process.hrtime.bigint() - start) / 1000;
    }
  });
  await contestant.verify(count);
  await contestant.close();
  return { ...figures, ...percentiles(took), threads: 1 };
}

function percentiles(micros) {
  const sorted = micros.sort();
  const at = (share) => percentile(sorted, share);
  return { p50Micros: at(0.5), p99Micros: at(0.99), p999Micros: at(0.999), mostMicros: at(1) };
}

/** Messages a second with 64 in flight. */
async function closedLoop(contestant, from, count) {
  let next = from;
  const producer = async () => {
    while (next < from + count) await contestant.append(next++);
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, producer));
  return (count * 1000) / (performance.now() - start);
}

/** `late.length` messages at a fixed rate; `late` gets the microseconds from when each was due to when it was safe. */
async function onTime(contestant, from, rate, late) {
  let open = late.length;
  const { promise: all, resolve: settledAll, reject } = withResolvers();
  const start = performance.now();
  const dueAt = (n) => start + (n * 1000) / rate;
  for (let n = 0; n < late.length; ) {
    for (; n < late.length && performance.now() >= dueAt(n); n++) {
      const number = n;
      // No promise is kept: the collector would have more of them to move at each of its turns.
      contestant.append(from + n).then(() => {
        late[number] = (performance.now() - dueAt(number)) * 1000;
        if (--open === 0) settledAll();
      }, reject);
    }
    await turn();
  }
  await all;
}

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
