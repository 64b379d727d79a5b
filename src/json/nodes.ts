/**
 * A JSON document in memory, such that it can be written again as it was read: the order of keys, numbers to the last
 * digit, which keys had quotes, and how lines were broken. (A plain JavaScript object keeps none of these.)
 */

export type JsonNode = null | boolean | number | bigint | string | JsonNumber | JsonArray | JsonObject;

/** How a container is laid out in lines; RocketMQ's writers differ by version and type. */
export interface Layout {
  /** A line for each entry. */
  readonly spread: boolean;
  /** A line for the closing bracket. */
  readonly closed: boolean;
}

/** One line an entry: what new containers get, unless the document has no lines at all. */
export const SPREAD: Layout = { spread: true, closed: true };
/** No line breaks. */
export const COMPACT: Layout = { spread: false, closed: false };
/** Entries behind each other, the bracket on its own line: fastjson 1 does so with maps whose keys are numbers. */
const INLINE: Layout = { spread: false, closed: true };
/** No tool is known to do so. */
const OPEN: Layout = { spread: true, closed: false };

export function layoutOf(spread: boolean, closed: boolean): Layout {
  if (spread) return closed ? SPREAD : OPEN;
  return closed ? INLINE : COMPACT;
}

export const MIN_INT64: bigint = -(2n ** 63n);
export const MAX_INT64: bigint = 2n ** 63n - 1n;

/** A number whose text says more than a JavaScript number can: `1.10`, `1e400`, integers of more than 64 bits. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  get value(): number {
    return Number(this.text);
  }
}

export class JsonArray {
  readonly items: JsonNode[];
  /** As read; undefined for one that was made here, or was read as `[]`. */
  readonly layout: Layout | undefined;

  constructor(items: JsonNode[] = [], layout?: Layout) {
    this.items = items;
    this.layout = layout;
  }
}

export class JsonObject {
  readonly entries: Map<string, JsonNode>;
  readonly layout: Layout | undefined;
  /** Keys that are integers are written without quotes, as RocketMQ does in maps by queue id, level or offset. */
  readonly bareKeys: boolean;

  constructor(entries: Map<string, JsonNode> = new Map(), layout?: Layout, bareKeys = false) {
    this.entries = entries;
    this.layout = layout;
    this.bareKeys = bareKeys;
  }
}

/** Deepest nesting that is read, taken and written. */
export const MAX_DEPTH = 256;
