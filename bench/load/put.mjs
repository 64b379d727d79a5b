// Putting: so many messages, after a warm-up of a quarter of them.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";

/** Whole batches, at most 200,000 messages. */
export function warmUpOf(messages, batch) {
  return Math.floor(Math.min(messages / 4, 200_000) / batch) * batch;
}

/** In batches of `batch` a call, or one a call. Each is as safe as the contestant was opened for before the next is put. */
export async function put(job) {
  const { batch } = job;
  const messages = Math.ceil(job.messages / batch) * batch;
  const dir = job.firstLap ? join(job.dir, "store") : job.dir;
  mkdirSync(dir, { recursive: true });
  const contestant = await openContestant({ ...job, dir });
  const putAll = batch === 1 ? one : batches;
  let warmUp = warmUpOf(messages, batch);
  // In a store of its own, so that what is measured goes to files that nobody has touched.
  if (job.firstLap) warmUp = await putElsewhere(job, putAll, warmUp);
  else await putAll(contestant, 0, warmUp, batch);
  const figures = await measured(messages, () => putAll(contestant, warmUp, messages, batch));
  await contestant.flush?.();
  await contestant.verify(warmUp + messages);
  await contestant.close();
  return { ...figures, threads: 1 };
}

/** Answers with the messages that are in the job's own store afterwards: none. */
async function putElsewhere(job, putAll, count) {
  const dir = join(job.dir, "elsewhere");
  mkdirSync(dir);
  const other = await openContestant({ ...job, dir });
  await putAll(other, 0, count, job.batch);
  await other.close();
  return 0;
}

async function batches(contestant, from, count, batch) {
  for (let n = from; n < from + count; n += batch) {
    const waiting = contestant.putBatch(n, batch);
    if (waiting) await waiting;
  }
}

async function one(contestant, from, count) {
  for (let n = from; n < from + count; n++) {
    const waiting = contestant.put(n);
    if (waiting) await waiting;
  }
}

/** A promise a message, `waiting` of them outstanding. */
export async function append(job) {
  const { messages, waiting } = job;
  const contestant = await openContestant(job);
  contestant.unordered = true;
  const warmUp = warmUpOf(messages, 1);
  await appendAll(contestant, 0, warmUp, waiting);
  const figures = await measured(messages, () => appendAll(contestant, warmUp, messages, waiting));
  await contestant.flush?.();
  await contestant.verify(warmUp + messages);
  await contestant.close();
  return { ...figures, threads: 1 };
}

async function appendAll(contestant, from, count, waiting) {
  let next = from;
  const producer = async () => {
    while (next < from + count) await contestant.append(next++);
  };
  await Promise.all(Array.from({ length: Math.min(waiting, count) }, producer));
}
