// Reading everything from front to back after the system has let go of what it had in memory.
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { putAll } from "./consume.mjs";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";
import { QUEUES, TOPIC } from "./messages.mjs";

/** Makes the store that is read, once. */
export async function fillBytes(job) {
  if (existsSync(join(job.dir, "filled"))) return {};
  const contestant = await openContestant(storeOf(job));
  const bytes = job.gigabytes * 1e9;
  const messages = await putAll(contestant, () => contestant.store.log.endOffset >= bytes);
  await contestant.flush();
  await contestant.close();
  writeFileSync(join(job.dir, "filled"), String(messages));
  return {};
}

const storeOf = (job) => ({ ...job, dir: join(job.dir, "store") });

/** Raw records of every queue, as a consumer takes them that has fallen behind. */
export async function readCold(job) {
  const contestant = await openContestant(storeOf(job));
  const { store } = contestant;
  const lengths = contestant.lengths();
  const messages = lengths.reduce((sum, length) => sum + length, 0);
  const bytes = store.log.endOffset;
  const into = Buffer.alloc(1 << 20);
  const offsets = lengths.map(() => 0);
  const figures = await measured(messages, async () => {
    // By turns, as the queues lie in the log.
    for (let left = messages; left > 0; )
      for (let queue = 0; queue < QUEUES; queue++) {
        if (offsets[queue] === lengths[queue]) continue;
        const { nextOffset } = await store.fetch(TOPIC, queue, offsets[queue], { max: 128, into });
        if (nextOffset === offsets[queue]) throw new Error(`queue ${queue} ends at ${nextOffset}`);
        left -= nextOffset - offsets[queue];
        offsets[queue] = nextOffset;
      }
  });
  await contestant.close();
  return { ...figures, bytesPerSecond: bytes / figures.seconds, threads: 1 };
}

/** The same bytes of the log's files, read one behind the other. */
export async function readDevice(job) {
  const folder = join(job.dir, "store", "commitlog");
  const piece = Buffer.alloc(1 << 20);
  let bytes = 0;
  const figures = await measured(1, () => {
    for (const name of readdirSync(folder).sort()) {
      const file = openSync(join(folder, name), "r");
      // The last file has its full size from the start: what was never written is no reading from a device.
      const end = Math.min(fstatSync(file).blocks * 512, job.gigabytes * 1e9 - bytes);
      for (let at = 0; at < end; at += piece.length) bytes += readSync(file, piece, 0, piece.length, at);
      closeSync(file);
    }
  });
  return { seconds: figures.seconds, bytesPerSecond: bytes / figures.seconds, threads: 1 };
}
