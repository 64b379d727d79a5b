import { type Members, readLong, readMembers } from "./reading.ts";

/** Version of a table: it rises with every change. */
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
