// Reading with a tag filter that drops 99 of 100 messages: what counts are the queue entries passed.
import { existsSync } from "node:fs";
import { openContestant } from "./contestants.mjs";
import { measured } from "./measure.mjs";
import { checkCount, QUEUES, RARE_TAG, TOPIC } from "./messages.mjs";

export async function filtered(job) {
  const { messages } = job;
  const dir = `${job.dir}/store`;
  if (!existsSync(dir)) throw new Error("there is no store to read");
  const contestant = await openContestant({ ...job, dir });
  const filter = job.filtered ? { tags: `${RARE_TAG} || TagC` } : undefined;
  const lengths = contestant.lengths();
  let found = 0;
  const pass = () => {
    for (let queue = 0; queue < QUEUES; queue++)
      for (let offset = 0; offset < lengths[queue]; ) {
        const answer = contestant.store.get(TOPIC, queue, offset, { max: 32, filter });
        found += answer.messages.length;
        offset = answer.nextOffset;
      }
  };
  pass();
  const passes = job.filtered ? 40 : 2;
  found = 0;
  const figures = await measured(messages * passes, () => {
    for (let n = 0; n < passes; n++) pass();
  });
  const expected = lengths.reduce((sum, length) => sum + (job.filtered ? Math.floor(length / 100) : length), 0);
  checkCount(found, expected * passes);
  await contestant.close();
  return { ...figures, threads: 1 };
}
