/** Tokens of shared stores, as text: which copy of the addon knows the store, and under which number. */
import { argumentError, shown } from "../errors.ts";

/** What is of use to `numberIn` in threads that have the same copy loaded. */
export function tokenOf(copy: string, share: number): string {
  return `moraine:${copy}:${share}`;
}

/** The number in a token, which is one of this copy of the addon, in this process. */
export function numberIn(token: unknown, copy: string): number {
  const [, other, share] = (typeof token === "string" && /^moraine:([^:]+):(\d{1,10})$/.exec(token)) || [];
  if (other === undefined) {
    throw argumentError("token", `token is ${shown(token)}; it must be what share() of an open store has returned`);
  }
  if (other === copy) return Number(share);
  const [ours, theirs] = [copy, other].map((name) => name.split("-")[0]);
  const reason =
    ours === theirs
      ? "is of another copy of moraine in this process, and no copy knows the stores of the other; load one in all threads"
      : `is of process ${theirs}; a store is shared by threads of one process, and this is process ${ours}`;
  throw argumentError("token", `token ${shown(token)} ${reason}`);
}
