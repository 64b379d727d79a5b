import { type Members, readLong, readMembers } from "./reading.ts";

/** Version of a table: it rises with every change, and who has a copy sees by it whether there is a newer one. */
export interface DataVersion {
  readonly counter: number;
  readonly stateVersion: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

export function readDataVersion(value: unknown): DataVersion {
  const members: Members = value === undefined || value === null ? {} : readMembers(value, "a data version");
  return {
    counter: readLong(members, "counter"),
    stateVersion: readLong(members, "stateVersion"),
    timestamp: readLong(members, "timestamp"),
  };
}

export function sameDataVersion(left: DataVersion, right: DataVersion): boolean {
  return (
    left.counter === right.counter && left.stateVersion === right.stateVersion && left.timestamp === right.timestamp
  );
}

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
