/** Values in RocketMQ's tables, which may have something else in a place than RocketMQ would write there. */
import type { JsonValue } from "moraine";

export type JsonEntry = Readonly<Record<string, JsonValue>>;

export class TableError extends Error {
  static {
    Object.defineProperty(TableError.prototype, "name", { value: "TableError" });
  }

  /** `place` is the file, and the keys that lead to the value. */
  constructor(place: string, reason: string, options?: ErrorOptions) {
    super(`${place}: ${reason}; mend it in the file, or take it out`, options);
  }
}

/** An object; an empty one where there is none. */
export function objectAt(place: string, value: JsonValue | undefined): JsonEntry {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as JsonEntry;
  throw new TableError(place, "it is no object");
}

export function integerAt(place: string, value: JsonValue | undefined): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new TableError(place, "it is no integer below 2^53");
}
