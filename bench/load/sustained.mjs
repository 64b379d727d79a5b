// A minute of puts with the last sync counted: ours with retention, and what the device takes in the same time.
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { putAll } from "./consume.mjs";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";
import { bodyOf, checkCount } from "./messages.mjs";

const FILE_BYTES = 2 ** 30;
const PIECE_BYTES = 2 ** 20;

export async function sustained(job) {
  const options = { retention: { maxBytes: Math.ceil(job.gigabytes * 1e9) } };
  const contestant = await openContestant({ ...job, options });
  let messages = 0;
  const begin = contestant.store.log.endOffset;
  const end = performance.now() + job.seconds * 1000;
  const figures = await measured(1, async () => {
    messages = await putAll(contestant, () => performance.now() >= end);
    await contestant.flush();
  });
  const bytes = contestant.store.log.endOffset - begin;
  const found = contestant.lengths().reduce((sum, length) => sum + length, 0);
  checkCount(found, messages);
  await contestant.close();
  const { seconds, cpuSecondsPerMillion } = figures;
  return {
    ...figures,
    messages,
    messagesPerSecond: messages / seconds,
    bytesPerSecond: bytes / seconds,
    cpuSecondsPerMillion: cpuSecondsPerMillion / messages,
    threads: 1,
  };
}

/** Files of 1 GiB one behind the other, of which as many stay as retention would keep. */
export async function device(job) {
  const piece = bodyOf(PIECE_BYTES);
  const end = performance.now() + job.seconds * 1000;
  const keep = Math.max(1, Math.floor((job.gigabytes * 1e9) / FILE_BYTES));
  let bytes = 0;
  const nameOf = (n) => join(job.dir, `file-${n}`);
  const figures = await measured(1, () => {
    for (let n = 0; performance.now() < end; n++) {
      const file = openSync(nameOf(n), "w");
      for (let at = 0; at < FILE_BYTES && performance.now() < end; at += PIECE_BYTES) bytes += writeSync(file, piece);
      fdatasyncSync(file);
      closeSync(file);
      if (n >= keep) rmSync(nameOf(n - keep));
    }
  });
  const { seconds, residentBytes, privateBytes } = figures;
  return { seconds, residentBytes, privateBytes, bytesPerSecond: bytes / seconds, threads: 1 };
}
