/** Tokens of shared stores, as text: which copy of the addon knows the store, and under which number. */
import { argumentError, shown } from "../errors.ts";

/** Of a copy: its process, when it was loaded, and where; then the number, which is a handle of the addon. */
const TOKEN = /^moraine:(\d{1,10}-[\da-f]{1,32}-[\da-f]{1,16}):(\d{1,10})$/;
const GREATEST_HANDLE = 0xffff_ffff;

/** What is of use to `numberIn` in threads that have the same copy loaded. */
export function tokenOf(copy: string, share: number): string {
  return `moraine:${copy}:${share}`;
}

/** The number in a token, which is one of this copy of the addon, in this process. */
export function numberIn(token: unknown, copy: string): number {
  const [, other, share] = (typeof token === "string" && TOKEN.exec(token)) || [];
  if (other === undefined || Number(share) > GREATEST_HANDLE) {
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
