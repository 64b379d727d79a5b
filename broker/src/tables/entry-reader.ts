/** Fields of an entry of one of RocketMQ's tables: what is missing has a default, what is something else is refused. */
import type { JsonValue } from "moraine";

export type JsonEntry = Readonly<Record<string, JsonValue>>;

/** A table that has something else in a place than RocketMQ would write there. */
export class TableError extends Error {
  static {
    Object.defineProperty(TableError.prototype, "name", { value: "TableError" });
  }
}

export class EntryReader {
  readonly #place: string;
  readonly #entry: JsonEntry;

  /** `place` names the entry in errors: the file, and the keys that lead to it. */
  constructor(place: string, entry: JsonValue) {
    this.#place = place;
    this.#entry = objectAt(place, entry);
  }

  integer(name: string, byDefault: number): number {
    const value = this.#entry[name] ?? byDefault;
    if (typeof value === "number" && Number.isSafeInteger(value)) return value;
    throw this.#wrong(name, "an integer");
  }

  boolean(name: string, byDefault: boolean): boolean {
    const value = this.#entry[name] ?? byDefault;
    if (typeof value === "boolean") return value;
    throw this.#wrong(name, "true or false");
  }

  choice<const T extends string>(name: string, byDefault: T, ...others: readonly T[]): T {
    const value = this.#entry[name] ?? byDefault;
    const found = [byDefault, ...others].find((one) => one === value);
    if (found !== undefined) return found;
    throw this.#wrong(name, [byDefault, ...others].join(" or "));
  }

  /** Texts by name; none where there are none. */
  texts(name: string): Readonly<Record<string, string>> {
    const value = this.#entry[name] ?? {};
    const texts = objectAt(`${this.#place} → ${name}`, value);
    for (const [key, text] of Object.entries(texts)) {
      if (typeof text !== "string") throw this.#wrong(`${name} → ${key}`, "a text");
    }
    return texts as Readonly<Record<string, string>>;
  }

  /** Whatever there is. */
  value(name: string): JsonValue | undefined {
    return this.#entry[name] ?? undefined;
  }

  #wrong(name: string, right: string): TableError {
    return new TableError(`${this.#place} → ${name} is not ${right}; mend it in the file, or take it out`);
  }
}

/** An object of a table; none is an empty one. */
export function objectAt(place: string, value: JsonValue | undefined): JsonEntry {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as JsonEntry;
  throw new TableError(`${place} is not an object; mend it in the file, or take it out`);
}
