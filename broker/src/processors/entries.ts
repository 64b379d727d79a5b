/** Configurations that come in bodies of requests, read as those of tables are. */
import type { JsonValue } from "moraine";
import { ResponseCode } from "../protocol/codes.ts";
import { RequestError } from "../protocol/request-error.ts";
import { objectAt, TableError } from "../tables/entry-reader.ts";

/** A list that is a member of a body; an empty one where there is none. */
export function listIn(body: unknown, name: string): readonly unknown[] {
  const list = membersOf(body)[name] ?? [];
  if (Array.isArray(list)) return list;
  throw new RequestError(ResponseCode.INVALID_PARAMETER, `${name} of the body is not a list`);
}

/** The members of a body that is an object. */
export function membersOf(body: unknown): Readonly<Record<string, unknown>> {
  if (body !== null && typeof body === "object" && !Array.isArray(body) && !(body instanceof Map)) {
    return body as Record<string, unknown>;
  }
  throw new RequestError(ResponseCode.INVALID_PARAMETER, "the body is not an object");
}

/** The text of a member; an empty one where there is none. */
export function textIn(body: unknown, name: string): string {
  const value = membersOf(body)[name] ?? "";
  if (typeof value === "string") return value;
  throw new RequestError(ResponseCode.INVALID_PARAMETER, `${name} of the body is not a text`);
}

/** A configuration whose name is its member `nameField`; `read` is that of the table it goes to. */
export function readEntry<T>(entry: unknown, nameField: string, read: (name: string, entry: JsonValue) => T): T {
  const json = entry as JsonValue;
  try {
    const name = objectAt("the body", json)[nameField];
    return read(typeof name === "string" ? name : "", json);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    const [sentence = error.message] = error.message.split(";");
    throw new RequestError(ResponseCode.INVALID_PARAMETER, sentence, { cause: error });
  }
}
