/** The tags a reader wants, as `get` and `read` take them and as the engine takes them. */
import { types } from "node:util";
import { isPlainObject } from "./arguments.ts";
import { argumentError, type StoreError, shown } from "./errors.ts";

/** Which messages of a queue are wanted. */
export interface MessageFilter {
  /**
   * Tags, separated by `||`: a message passes if its tags are one of them. Empty, null or `*`: every message does.
   * Spaces around a tag do not belong to it, and what is empty between two `||` is no tag (RocketMQ's FilterAPI).
   */
  readonly tags?: string | null | undefined;
}

/** Longest encoded filter. */
const MAX_FILTER_BYTES = 65_536;
/** Bytes in front of each tag: its length, big-endian. */
const LENGTH_BYTES = 2;
const ALL: Uint8Array = new Uint8Array(0);
/** What Java's `String.trim` takes off: fewer characters than JavaScript's does. */
const TRIMMED = /^[\0-\x20]+|[\0-\x20]+$/g;

/** Checks filters and encodes them; the last one is kept, because a reader asks with the same filter again and again. */
export class TagFilter {
  #tags: string | undefined;
  #bytes: Uint8Array = ALL;

  /** The filter for the engine: length and UTF-8 bytes of each tag; empty for every message. */
  encode(filter: MessageFilter | undefined): Uint8Array {
    if (filter === undefined) return ALL;
    const tags = tagsOf(filter);
    if (tags === undefined || tags === null || tags === "" || tags === "*") return ALL;
    if (tags !== this.#tags) {
      this.#bytes = encoded(tags);
      this.#tags = tags;
    }
    return this.#bytes;
  }
}

/** A copy of a filter, which is refused if it is none: what its owner does to it afterwards changes no reading. */
export function copyOfFilter(filter: MessageFilter): MessageFilter {
  const copy = { tags: tagsOf(filter) };
  new TagFilter().encode(copy);
  return copy;
}

function tagsOf(filter: MessageFilter): string | null | undefined {
  if (types.isProxy(filter) || !isPlainObject(filter)) {
    throw argumentError("options.filter", `filter is ${shown(filter)}; it must be an object like { tags: "a || b" }`);
  }
  for (const name of Object.keys(filter)) {
    if (name !== "tags") throw unknownMember(name);
  }
  const tags: unknown = read(filter);
  if (tags === undefined || tags === null || typeof tags === "string") return tags;
  throw argumentError("options.filter.tags", `tags is ${shown(tags)}; it must be a string like "a || b"`);
}

function read(filter: MessageFilter): unknown {
  try {
    return filter.tags;
  } catch (cause) {
    throw argumentError("options.filter.tags", "tags could not be read: a getter threw", cause);
  }
}

function unknownMember(name: string): StoreError {
  const why =
    name === "sql"
      ? "SQL92 expressions are a matter of the broker, this engine does not evaluate them"
      : "it is no kind of filter";
  return argumentError(`options.filter.${name}`, `filter has the member \`${name}\`: ${why}; known is tags`);
}

function encoded(text: string): Uint8Array {
  if (text.length > MAX_FILTER_BYTES) throw tooLong(text.length);
  const names = text.split("||").map((part) => part.replace(TRIMMED, ""));
  const tags = [...new Set(names)].filter((tag) => tag !== "").map((tag) => Buffer.from(tag));
  if (tags.length === 0) {
    throw argumentError(
      "options.filter.tags",
      `tags is ${shown(text)}, which names no tag; it must be like "a || b", or "*" for every message`,
    );
  }
  const total = tags.reduce((sum, tag) => sum + LENGTH_BYTES + tag.length, 0);
  if (total > MAX_FILTER_BYTES) throw tooLong(total);
  const bytes = Buffer.alloc(total);
  let at = 0;
  for (const tag of tags) {
    at = bytes.writeUInt16BE(tag.length, at);
    at += tag.copy(bytes, at);
  }
  return bytes;
}

function tooLong(bytes: number): StoreError {
  return argumentError(
    "options.filter.tags",
    `tags takes ${bytes} bytes or more; at most ${MAX_FILTER_BYTES} are allowed, with two bytes for each tag`,
  );
}
