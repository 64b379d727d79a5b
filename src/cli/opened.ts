/** The store as every command sees it: read-only, with what was noticed while it was opened. */
import { Store } from "../index.ts";
import type { Output } from "./output.ts";

/** Opens `dir` without changing it, reports what the opening noticed, runs `work`, closes. */
export async function withStore(dir: string, output: Output, work: (store: Store) => Promise<void>): Promise<void> {
  const store = await Store.open(dir, { readOnly: true });
  try {
    const { clean, findings } = store.health();
    if (!clean && !findings.some(({ file }) => file === "abort")) output.finding(NOT_CLOSED);
    for (const finding of findings) output.finding(finding);
    await work(store);
  } finally {
    await store.close();
  }
}

const NOT_CLOSED = {
  kind: "unclean",
  file: "abort",
  offset: 0,
  length: 0,
  message:
    "the store was not closed: a process crashed, or has it open; what its queue files lack is taken from the log",
};
