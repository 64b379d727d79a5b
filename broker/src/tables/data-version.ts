/** The version of a table, as RocketMQ counts it: who has a copy sees by it whether there is a newer one. */
import { type DataVersion, readDataVersion } from "../protocol/bodies/data-version.ts";

export function firstVersion(now: number): DataVersion {
  return { counter: 0, stateVersion: 0, timestamp: now };
}

export function nextVersion({ counter, stateVersion }: DataVersion, now: number): DataVersion {
  return { counter: counter < Number.MAX_SAFE_INTEGER ? counter + 1 : 0, stateVersion, timestamp: now };
}

/** The version that a table has; a first one where it has none. */
export function versionFrom(value: unknown, now: number): DataVersion {
  return value === undefined || value === null ? firstVersion(now) : readDataVersion(value);
}
