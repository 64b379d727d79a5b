// Puts at fixed times, alone and beside a consumer on the same event loop that reads everything from the disk.
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { percentile } from "../rules/statistics.mjs";
import { openContestant } from "./contestants.mjs";
import { memory } from "./measure.mjs";
import { checkCount, QUEUES, TOPIC } from "./messages.mjs";

/** Puts a second, and for how long they are measured alone. */
const RATE = 1000;

export async function besideCold(job) {
  const contestant = await openContestant({ ...job, dir: join(job.dir, "store") });
  const { store } = contestant;
  const end = performance.now() + job.seconds * 1000;
  const alone = await putOnTime(store, contestant.body, () => performance.now() >= end);
  const tally = { bytes: 0, messages: 0, ended: false };
  const start = performance.now();
  const reading = readAll(store, tally);
  const beside = await putOnTime(store, contestant.body, () => tally.ended);
  await reading;
  const seconds = (performance.now() - start) / 1000;
  const expected = contestant.lengths().reduce((sum, length) => sum + length, 0);
  checkCount(tally.messages, expected);
  await contestant.close();
  return {
    riseMillis: beside.p99 - alone.p99,
    p99Micros: beside.p99 * 1000,
    mostMicros: beside.most * 1000,
    bytesPerSecond: tally.bytes / seconds,
    threads: 1,
    ...memory(),
  };
}

async function readAll(store, tally) {
  try {
    for (let queueId = 0; queueId < QUEUES; queueId++)
      for (let offset = 0; ; ) {
        const read = await store.fetch(TOPIC, queueId, offset, { max: 128, maxBytes: 1 << 20 });
        if (read.messages.length === 0) break;
        for (const { body } of read.messages) tally.bytes += body.length;
        tally.messages += read.messages.length;
        offset = read.nextOffset;
      }
  } finally {
    tally.ended = true;
  }
}

/** Puts at fixed times until `ended`; how late each of them was over, in milliseconds. */
async function putOnTime(store, body, ended) {
  const late = [];
  const start = performance.now();
  const dueAt = (n) => start + (n * 1000) / RATE;
  for (let n = 0; !ended(); ) {
    for (; performance.now() >= dueAt(n); n++) {
      store.put({ topic: "Other", queueId: 0, body });
      late.push(performance.now() - dueAt(n));
    }
    await turn();
  }
  const sorted = Float64Array.from(late).sort();
  return { p99: percentile(sorted, 0.99), most: percentile(sorted, 1) };
}
