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
  const printer = new Printer(root);
  printer.value(root, 0);
  return printer.text;
}

/** Prints a document, or values of one. */
export class Printer {
  text = "";
  /** Of containers that do not bring their own. */
  readonly #layout: Layout;

  constructor(root: JsonNode) {
    this.#layout = root instanceof JsonObject && root.layout === COMPACT ? COMPACT : SPREAD;
  }

  /** `level`: how many containers it is in. */
  value(node: JsonNode, level: number): void {
    if (node === null || typeof node !== "object") this.text += scalar(node);
    else if (node instanceof JsonNumber) this.text += node.text;
    else if (node instanceof JsonObject) this.#object(node, level);
    else this.#array(node, level);
  }

  /** What stands in front of the entries of an object. */
  open(bracket: "{" | "[", level: number): void {
    if (level >= MAX_DEPTH) throw new RangeError(`it is nested more than ${MAX_DEPTH} deep`);
    this.text += bracket;
  }

  /** An entry of an object that is itself at `level`, without the comma that divides it from the one before. */
  entry({ entries, layout = this.#default(entries.size), bareKeys }: JsonObject, key: string, level: number): void {
    if (layout.spread) this.#line(level + 1);
    this.text += bareKeys && BARE_KEY.test(key) ? key : JSON.stringify(key);
    this.text += ":";
    this.value(entries.get(key) as JsonNode, level + 1);
  }

  /** What stands behind the entries of an object. */
  close({ entries, layout = this.#default(entries.size) }: JsonObject, level: number): void {
    this.#close("}", entries.size === 0, layout, level);
  }

  #object(object: JsonObject, level: number): void {
    this.open("{", level);
    let isFirst = true;
    for (const key of object.entries.keys()) {
      if (!isFirst) this.text += ",";
      isFirst = false;
      this.entry(object, key, level);
    }
    this.close(object, level);
  }

  #array({ items, layout = this.#default(items.length) }: JsonArray, level: number): void {
    this.open("[", level);
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
