// Reading a store of `messages` messages, which the first run of a contestant fills and the next ones find.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";
import { QUEUES, randomNumbers } from "./messages.mjs";

const FILL_BATCH = 64;

/** The contestant, with everything in it; filled in a process of its own, so that what it holds of that is not measured. */
async function opened(job) {
  const dir = join(job.dir, "store");
  mkdirSync(dir, { recursive: true });
  const contestant = await openContestant({ ...job, dir });
  if (contestant.volatile || !existsSync(join(job.dir, "filled"))) {
    await fill(contestant, job.messages);
    await contestant.flush?.();
    await contestant.verify(job.messages);
    writeFileSync(join(job.dir, "filled"), "");
  }
  return contestant;
}

async function fill(contestant, messages) {
  let n = 0;
  for (; n + FILL_BATCH <= messages; n += FILL_BATCH) await contestant.putBatch(n, FILL_BATCH);
  if (n < messages) await contestant.putBatch(n, messages - n);
}

/** A run that only fills. */
export async function prepare(job) {
  const contestant = await opened(job);
  await contestant.close();
  return {};
}

/** From front to back, again and again, `max` messages a call: raw bytes, or messages whose tags and body are touched. */
export async function read(job) {
  const { messages, max = 32, passes = 4 } = job;
  const contestant = await opened(job);
  const lengths = Array.from({ length: QUEUES }, (_, queue) => Math.floor((messages + QUEUES - 1 - queue) / QUEUES));
  const step = (job.touched ? contestant.readMessages : contestant.readRaw).bind(contestant);
  const pass = async () => {
    for (let queue = 0; queue < QUEUES; queue++)
      for (let offset = 0; offset < lengths[queue]; ) {
        const found = step(queue, offset, max);
        const count = typeof found === "number" ? found : await found;
        if (count < 1) throw new Error(`queue ${queue} ends at ${offset}`);
        offset += count;
      }
  };
  await pass();
  const figures = await measured(messages * passes, async () => {
    for (let n = 0; n < passes; n++) await pass();
  });
  await contestant.verify(messages);
  await contestant.close();
  return { ...figures, threads: 1 };
}

/** One message at a time, anywhere: by its place in a queue, by its key, or a place by time. */
export async function random(job) {
  const { messages, by } = job;
  const reads = messages * (job.passes ?? 1);
  const contestant = await opened(job);
  const next = randomNumbers(messages);
  const step = await stepOf(contestant, by, job.together ?? 1);
  const pass = async (count) => {
    for (let n = 0; n < count; n++) {
      const waiting = step(next);
      if (waiting) await waiting;
    }
  };
  const calls = Math.ceil(reads / (job.together ?? 1));
  await pass(Math.ceil(calls / 10));
  const figures = await measured(calls * (job.together ?? 1), () => pass(calls));
  await contestant.verify(messages);
  await contestant.close();
  return { ...figures, threads: 1 };
}

function stepOf(contestant, by, together) {
  if (together > 1) return (next) => contestant.lookupMany(Array.from({ length: together }, next));
  if (by === "offset") return (next) => contestant.readOne(next());
  if (by === "key") return (next) => contestant.lookup(next());
  const times = Array.from({ length: QUEUES }, (_, queue) => contestant.timesOf(queue));
  let turn = 0;
  return (next) => {
    const queue = turn++ % QUEUES;
    const [first, last] = times[queue];
    contestant.byTime(queue, first + (next() % (last - first + 1)));
  };
}
