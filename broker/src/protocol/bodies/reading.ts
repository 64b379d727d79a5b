/** Checked reading of what `parseBody` gives. A body of another shape throws a `RequestError` with SYSTEM_ERROR, as in Java. */
import { ResponseCode } from "../codes.ts";
import { parseInt32, parseInt64 } from "../decimal.ts";
import { parseBody } from "../json.ts";
import { RequestError } from "../request-error.ts";

export type Members = Readonly<Record<string, unknown>>;

export function wrongBody(sentence: string): never {
  throw new RequestError(ResponseCode.SYSTEM_ERROR, `the body is not as expected: ${sentence}`);
}

/** The members of a body that has to be an object. */
export function readBody(bytes: Uint8Array): Members {
  if (bytes.length === 0) wrongBody("it is empty");
  return readMembers(parseBody(bytes), "it");
}

export function readMembers(value: unknown, what: string): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Map) {
    return wrongBody(`${what} is no object`);
  }
  return value as Members;
}

/** Absent and null are the same everywhere. */
function member(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? (members[name] ?? undefined) : undefined;
}

export function readText(members: Members, name: string): string {
  return readOptionalText(members, name) ?? wrongBody(`${name} is missing`);
}

export function readOptionalText(members: Members, name: string): string | undefined {
  const value = member(members, name);
  if (value === undefined || typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  return wrongBody(`${name} is no text`);
}

/** 32 bits. */
export function readInt(members: Members, name: string, byDefault = 0): number {
  const value = member(members, name);
  return value === undefined ? byDefault : (parseInt32(value) ?? wrongBody(`${name} is no int`));
}

/** 64 bits; behind 2^53 the nearest number. */
export function readLong(members: Members, name: string, byDefault = 0): number {
  const value = member(members, name);
  return value === undefined ? byDefault : (parseInt64(value) ?? wrongBody(`${name} is no long`));
}

export function readBoolean(members: Members, name: string, byDefault = false): boolean {
  const value = member(members, name);
  if (value === undefined) return byDefault;
  return value === true || (typeof value === "string" && value.toLowerCase() === "true");
}

/** [] where there is none. */
export function readList<T>(members: Members, name: string, item: (value: unknown) => T): T[] {
  const value = member(members, name);
  if (value === undefined) return [];
  if (!Array.isArray(value)) return wrongBody(`${name} is no list`);
  return value.map(item);
}

export function readTexts(members: Members, name: string): string[] {
  return readList(members, name, (value) =>
    typeof value === "string" ? value : wrongBody(`${name} has what is no text`),
  );
}

/** Name and value of each member of the object of this name, in its order; nothing where there is none. */
export function readEntries(members: Members, name: string): [name: string, value: unknown][] {
  const value = member(members, name);
  return value === undefined ? [] : Object.entries(readMembers(value, name));
}

/** An object of text; null values are left out. */
export function readTextTable(members: Members, name: string): Record<string, string> {
  const table: Record<string, string> = {};
  for (const [key, value] of readEntries(members, name)) {
    if (value === null) continue;
    Object.defineProperty(table, key, { value: String(value), enumerable: true, configurable: true, writable: true });
  }
  return table;
}

/** A Java enum: its name, or its ordinal, as some native clients send it. Anything else is the default. */
export function readEnum<T extends string>(members: Members, name: string, names: readonly T[], byDefault: T): T {
  const value = member(members, name);
  if (typeof value === "string") return names.find((known) => known === value.toUpperCase()) ?? byDefault;
  if (typeof value === "number") return names[value] ?? byDefault;
  return byDefault;
}
