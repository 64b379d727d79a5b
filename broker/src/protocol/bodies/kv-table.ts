import { readBody, readTextTable } from "./reading.ts";

export interface KVTable {
  readonly table: Readonly<Record<string, string>> | ReadonlyMap<string, string>;
}

/** The pairs of a body that is a `KVTable`; none where it is empty. */
export function readKVTable(bytes: Uint8Array): Map<string, string> {
  if (bytes.length === 0) return new Map();
  return new Map(Object.entries(readTextTable(readBody(bytes), "table")));
}
