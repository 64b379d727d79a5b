/**
 * A parser for what fastjson writes: JSON, with numbers or objects as keys, integers of 64 bits, and references (`$ref`) to
 * what stands elsewhere in the document. It also takes what fastjson reads: single quotes, comments, trailing commas.
 */
import { type Reference, resolveReferences } from "./json-references.ts";

/** Deeper than any body of the protocol, and nothing to the stack. */
const MAX_DEPTH = 100;
/** A frame of empty lists would be fifty times its size in memory. */
const MAX_VALUES = 2_000_000;
const MAX_REFERENCES = 10_000;
/** Of all references together. What bodies refer to is small: a data version, a queue. */
const MAX_REFERRED_VALUES = 100_000;

const WORD = /[^\s,:{}[\]"'/]+/y;
const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPACE_OR_COMMENT = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;

const ESCAPED: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "0": "\0",
  '"': '"',
  "'": "'",
  "/": "/",
  "\\": "\\",
};

/** Throws a `SyntaxError` for what is no JSON in this sense. */
export function parseJson(text: string): unknown {
  return new Parser(text).document();
}

class Parser {
  readonly #text: string;
  #at = 0;
  #values = 0;
  /** Where the next backslash is, as far as it has been looked for. */
  #escapeAt = -1;
  readonly #path: unknown[] = [];
  readonly #references: Reference[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    this.#skip();
    const root = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) this.#fail("an end");
    const maxValues = this.#values + MAX_REFERRED_VALUES;
    return resolveReferences(root, this.#references, { maxValues, maxDepth: MAX_DEPTH });
  }

  #value(): unknown {
    if (++this.#values > MAX_VALUES) throw new SyntaxError(`more than ${MAX_VALUES} values`);
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object();
      case "[":
        return this.#list();
      case '"':
      case "'":
        return this.#string();
      default:
        return scalar(this.#word(), () => this.#fail("a value"));
    }
  }

  #object(): unknown {
    const object: Record<string, unknown> = {};
    let map: Map<unknown, unknown> | undefined;
    this.#enter(object);
    this.#at++;
    for (;;) {
      this.#skip();
      if (this.#take("}")) break;
      const key = this.#key();
      this.#skip();
      if (!this.#take(":")) this.#fail("a colon");
      this.#skip();
      const value = this.#value();
      this.#place(value, key);
      if (typeof key === "string") setMember(object, key, value);
      else {
        map ??= new Map();
        map.set(key, value);
      }
      this.#skip();
      if (!this.#take(",") && this.#text[this.#at] !== "}") this.#fail("a comma or }");
    }
    this.#path.pop();
    if (map !== undefined) return withNamed(map, object);
    this.#note(object);
    return object;
  }

  #key(): unknown {
    switch (this.#text[this.#at]) {
      case '"':
      case "'":
        return this.#string();
      case "{":
        this.#values++;
        return this.#object();
      default:
        return this.#word();
    }
  }

  #list(): unknown[] {
    const list: unknown[] = [];
    this.#enter(list);
    this.#at++;
    for (;;) {
      this.#skip();
      if (this.#take("]")) break;
      const item = this.#value();
      this.#place(item, list.length);
      list.push(item);
      this.#skip();
      if (!this.#take(",") && this.#text[this.#at] !== "]") this.#fail("a comma or ]");
    }
    this.#path.pop();
    return list;
  }

  #string(): string {
    const quote = this.#text[this.#at] as string;
    let from = this.#at + 1;
    let end = this.#text.indexOf(quote, from);
    if (end < 0) this.#fail("the end of a string");
    let value = "";
    for (let backslash = this.#nextEscape(from); backslash < end; backslash = this.#nextEscape(from)) {
      value += this.#text.slice(from, backslash);
      this.#at = backslash + 1;
      value += this.#escaped();
      from = this.#at;
      if (end < from) end = this.#text.indexOf(quote, from);
      if (end < 0) this.#fail("the end of a string");
    }
    this.#at = end + 1;
    return value + this.#text.slice(from, end);
  }

  /** Looked for once: most documents have none, and many strings. */
  #nextEscape(from: number): number {
    if (this.#escapeAt < from) {
      const found = this.#text.indexOf("\\", from);
      this.#escapeAt = found < 0 ? this.#text.length : found;
    }
    return this.#escapeAt;
  }

  /** What stands for the escape behind a backslash. */
  #escaped(): string {
    const letter = this.#text[this.#at++] ?? "";
    const digits = letter === "u" ? 4 : letter === "x" ? 2 : 0;
    if (digits === 0) return ESCAPED[letter] ?? this.#fail("an escape");
    const hex = this.#text.slice(this.#at, this.#at + digits);
    if (hex.length < digits || !/^[0-9a-fA-F]+$/.test(hex)) this.#fail("hexadecimal digits");
    this.#at += digits;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  #word(): string {
    WORD.lastIndex = this.#at;
    const word = WORD.exec(this.#text)?.[0] ?? this.#fail("a value");
    this.#at += word.length;
    return word;
  }

  #skip(): void {
    const unit = this.#text.charCodeAt(this.#at);
    // Nearly always there is nothing to skip. 0x2f is where a comment starts.
    if (unit > 0x20 && unit !== 0x2f && unit < 0x80) return;
    SPACE_OR_COMMENT.lastIndex = this.#at;
    this.#at += SPACE_OR_COMMENT.exec(this.#text)?.[0].length ?? 0;
  }

  #take(letter: string): boolean {
    if (this.#text[this.#at] !== letter) return false;
    this.#at++;
    return true;
  }

  #enter(container: unknown): void {
    if (this.#path.length >= MAX_DEPTH) throw new SyntaxError(`nested more than ${MAX_DEPTH} levels`);
    this.#path.push(container);
  }

  /** Remembers an object that stands for another one. */
  #note(object: Record<string, unknown>): void {
    if (typeof object.$ref !== "string" || Object.keys(object).length !== 1) return;
    if (this.#references.length >= MAX_REFERENCES) throw new SyntaxError(`more than ${MAX_REFERENCES} references`);
    this.#references.push({ placeholder: object, path: object.$ref, within: [...this.#path], key: undefined });
  }

  /** Says where a value stands, in case that it is a reference. */
  #place(value: unknown, key: unknown): void {
    const last = this.#references.at(-1);
    if (last !== undefined && last.placeholder === value) last.key = key;
  }

  #fail(expected: string): never {
    throw new SyntaxError(`${expected} is missing at character ${this.#at}`);
  }
}

/** A map with objects as keys, and what else stands beside them. */
function withNamed(map: Map<unknown, unknown>, object: Readonly<Record<string, unknown>>): Map<unknown, unknown> {
  for (const [name, value] of Object.entries(object)) map.set(name, value);
  return map;
}

function setMember(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

function scalar(word: string, fail: () => never): unknown {
  switch (word) {
    case "true":
      return true;
    case "false":
      return false;
    case "null":
    case "undefined":
    case "NaN":
      return null;
  }
  if (INTEGER.test(word)) {
    const number = Number(word);
    return Number.isSafeInteger(number) ? number : BigInt(word.replace("+", ""));
  }
  // fastjson marks the types of numbers in some of its modes: 1L, 2.5D.
  const plain = /[LlSsBbFfDd]$/.test(word) ? word.slice(0, -1) : word;
  return NUMBER.test(plain) ? Number(plain) : fail();
}
