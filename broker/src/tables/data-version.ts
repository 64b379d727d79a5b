/** The version of a table, as RocketMQ counts it: who has a copy sees by it whether there is a newer one. */
import type { JsonValue } from "moraine";

export interface DataVersion {
  readonly counter: number;
  /** Of a state machine, which there is none of: 0. */
  readonly stateVersion: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
}

export function firstVersion(now: number): DataVersion {
  return { counter: 0, stateVersion: 0, timestamp: now };
}

export function nextVersion(version: DataVersion, now: number): DataVersion {
  const counter = version.counter < Number.MAX_SAFE_INTEGER ? version.counter + 1 : 0;
  return { counter, stateVersion: version.stateVersion, timestamp: now };
}

/** Whether two versions are the same in all that they say. */
export function isSameVersion(one: DataVersion, other: DataVersion): boolean {
  return one.counter === other.counter && one.stateVersion === other.stateVersion && one.timestamp === other.timestamp;
}

/** The version that a table has; a first one where it has none that could be counted on. */
export function versionFrom(value: JsonValue | undefined, now: number): DataVersion {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return firstVersion(now);
  const { counter, stateVersion, timestamp } = value as Record<string, JsonValue>;
  return { counter: whole(counter, 0), stateVersion: whole(stateVersion, 0), timestamp: whole(timestamp, now) };
}

function whole(value: JsonValue | undefined, otherwise: number): number {
  return typeof value === "number" && Number.isSafeInteger(value) ? value : otherwise;
}
