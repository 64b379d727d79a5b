/**
 * Writes JSON as RocketMQ does: tabs, no blank behind a colon, what was read in the lines in which it was read. A
 * document of RocketMQ's that was read and not changed is written byte by byte the same.
 */
import {
  COMPACT,
  type JsonArray,
  type JsonNode,
  JsonNumber,
  JsonObject,
  type Layout,
  MAX_DEPTH,
  SPREAD,
} from "./nodes.ts";

/** An integer that both lines of fastjson read as a key without quotes. */
const BARE_KEY = /^(?:0|-?[1-9]\d{0,18})$/;
/** Line ends with as many tabs as the document is deep. */
const LINES: readonly string[] = Array.from({ length: MAX_DEPTH + 2 }, (_, level) => `\n${"\t".repeat(level)}`);

/** The document as text. Throws a RangeError for one that would not be read again: it is nested too deep. */
export function printJson(root: JsonNode): string {
  const isCompact = root instanceof JsonObject && root.layout === COMPACT;
  const printer = new Printer(isCompact ? COMPACT : SPREAD);
  printer.value(root, 0);
  return printer.text;
}

class Printer {
  text = "";
  readonly #layout: Layout;

  /** `layout` is for containers that do not bring their own. */
  constructor(layout: Layout) {
    this.#layout = layout;
  }

  value(node: JsonNode, level: number): void {
    if (node === null || typeof node !== "object") this.text += scalar(node);
    else if (node instanceof JsonNumber) this.text += node.text;
    else if (node instanceof JsonObject) this.#object(node, level);
    else this.#array(node, level);
  }

  #object({ entries, layout = this.#default(entries.size), bareKeys }: JsonObject, level: number): void {
    this.#open("{", level);
    let isFirst = true;
    for (const [key, value] of entries) {
      if (!isFirst) this.text += ",";
      isFirst = false;
      if (layout.spread) this.#line(level + 1);
      this.text += bareKeys && BARE_KEY.test(key) ? key : JSON.stringify(key);
      this.text += ":";
      this.value(value, level + 1);
    }
    this.#close("}", isFirst, layout, level);
  }

  #array({ items, layout = this.#default(items.length) }: JsonArray, level: number): void {
    this.#open("[", level);
    let isFirst = true;
    for (const value of items) {
      if (!isFirst) this.text += ",";
      isFirst = false;
      if (layout.spread) this.#line(level + 1);
      this.value(value, level + 1);
    }
    this.#close("]", isFirst, layout, level);
  }

  #default(size: number): Layout {
    return size === 0 ? COMPACT : this.#layout;
  }

  #open(bracket: string, level: number): void {
    if (level >= MAX_DEPTH) throw new RangeError(`it is nested more than ${MAX_DEPTH} deep`);
    this.text += bracket;
  }

  #close(bracket: string, isEmpty: boolean, { spread, closed }: Layout, level: number): void {
    if (isEmpty && spread) this.#line(level + 1);
    if (closed) this.#line(level);
    this.text += bracket;
  }

  #line(level: number): void {
    this.text += LINES[level];
  }
}

/** JSON.stringify writes half a surrogate pair, which has no UTF-8, as an escape. */
function scalar(value: null | boolean | number | bigint | string): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
