/** The store as commands that show see it: read-only, with what was noticed while it was opened. */
import { Store } from "../index.ts";
import type { Output } from "./output.ts";

/** Opens `dir` without changing it, reports what the opening noticed, runs `work`, closes. */
export async function withStore(dir: string, output: Output, work: (store: Store) => Promise<void>): Promise<void> {
  const store = await Store.open(dir, { readOnly: true });
  try {
    for (const finding of store.health().findings) output.finding(finding);
    await work(store);
  } finally {
    await store.close();
  }
}
