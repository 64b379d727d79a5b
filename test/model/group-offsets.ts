/** Offsets of groups, by `group topic queueId`, as a store has them. */
import type { Store } from "../../src/index.ts";
import { GROUPS } from "./operations.ts";

export function offsetsOfGroups(store: Store): Map<string, number> {
  const all = GROUPS.flatMap((group) => store.groups.all(group).map((found) => ({ group, ...found })));
  return new Map(all.map(({ group, topic, queueId, offset }) => [`${group} ${topic} ${queueId}`, offset]));
}

export function sorted(groups: ReadonlyMap<string, number>): [string, number][] {
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
