// A store whose process ends in the middle of its work, and opening it again. The programs of all but `rebuildStore` kill
// themselves.
import { existsSync } from "node:fs";
import { Store } from "../../dist/index.js";
import { putAll } from "./consume.mjs";
import { openContestant } from "./contestants.mjs";
import { memory } from "./measure.mjs";

export async function fillAndDie(job) {
  if (existsSync(`${job.dir}/commitlog`)) return {};
  const contestant = await openContestant(job);
  const bytes = job.gigabytes * 1e9;
  await putAll(contestant, () => contestant.store.log.endOffset >= bytes);
  return die();
}

/** Opens, says how long that took, puts something, and dies again. */
export async function openAndDie({ dir }) {
  const start = performance.now();
  const store = await Store.open(dir, { create: false });
  const openMillis = performance.now() - start;
  store.put({ topic: "BenchTopic", queueId: 0, body: new Uint8Array(10) });
  await new Promise((resolve) => process.stdout.write(`${JSON.stringify({ openMillis, ...memory() })}\n`, resolve));
  return die();
}

export async function openAndClose({ dir }) {
  const start = performance.now();
  const store = await Store.open(dir, { create: false });
  const openMillis = performance.now() - start;
  await store.close();
  return { openMillis, ...memory() };
}

function die() {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {}); // nothing comes behind
}
