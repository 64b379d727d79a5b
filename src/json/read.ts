/**
 * Reads JSON as RocketMQ writes it (fastjson 1.2.83 and 2: integer keys without quotes, store-format chapter 1.2), and
 * what else fastjson takes, so that a file that an operator has edited is read as RocketMQ reads it: single quotes, bare
 * words as keys, comments, superfluous commas. Of a key that is there twice the last value counts.
 */
import {
  JsonArray,
  type JsonNode,
  JsonNumber,
  JsonObject,
  type Layout,
  layoutOf,
  MAX_DEPTH,
  MAX_INT64,
  MIN_INT64,
} from "./nodes.ts";

/** Longest number: reading one takes time that grows with the square of its digits. */
const MAX_NUMBER_CHARACTERS = 1000;
const NUMBER = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
/** Digits of a number that is below 2^53 in any case, and what stands behind one that has no more to it. */
const SHORT_DIGITS = 15;
const BEHIND_SHORT: ReadonlySet<string> = new Set([",", "}", "]", "\n"]);
const WORD = /[A-Za-z_$][\w$]*/y;
/** Behind numbers of types that fastjson marks. */
const NUMBER_TYPE = /[LSBFD]/y;
const BLANK = /[ \t\r\n\f\v\b]*/y;
const HEXADECIMAL = /^[0-9a-fA-F]+$/;
const SPACE = 0x20;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  F: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Text that is no JSON document. */
export class JsonError extends Error {
  /** Place in the text, in UTF-16 units. */
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

/** Reads a whole document. Throws JsonError. */
export function readJson(text: string): JsonNode {
  const reader = new Reader(text);
  return reader.document();
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonNode {
    if (this.#text.charCodeAt(0) === 0xfeff) this.#at = 1;
    this.#skipBlank();
    const value = this.#value();
    this.#skipBlank();
    // A file system may leave zeros behind what was written; RocketMQ reads over them.
    while (this.#text[this.#at] === "\0") this.#at++;
    if (this.#at < this.#text.length) throw this.#expected("the end");
    return value;
  }

  #value(): JsonNode {
    const character = this.#text[this.#at];
    switch (character) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
      case "'":
        return this.#string();
      default:
        return this.#shortInteger() ?? this.#number() ?? this.#constant();
    }
  }

  #constant(): JsonNode {
    const start = this.#at;
    switch (this.#match(WORD)) {
      case "null":
        return null;
      case "true":
        return true;
      case "false":
        return false;
      default:
        this.#at = start;
        throw this.#expected("a value");
    }
  }

  #object(): JsonObject {
    const entries = new Map<string, JsonNode>();
    let bareKeys = false;
    const layout = this.#container("}", () => {
      const bare = this.#isQuote() ? undefined : this.#bareKey();
      const key = bare ?? this.#string();
      if (bare !== undefined) bareKeys = true;
      this.#skipBlank();
      if (this.#text[this.#at] !== ":") throw this.#expected('":" behind a key');
      this.#at++;
      this.#skipBlank();
      entries.set(key, this.#value());
    });
    return new JsonObject(entries, layout, bareKeys);
  }

  #array(): JsonArray {
    const items: JsonNode[] = [];
    const layout = this.#container("]", () => {
      items.push(this.#value());
    });
    return new JsonArray(items, layout);
  }

  /** From bracket to bracket; says how the lines were broken, nothing for a bare pair of brackets. */
  #container(close: "}" | "]", entry: () => void): Layout | undefined {
    if (++this.#depth > MAX_DEPTH) throw this.#error(`nested more than ${MAX_DEPTH} deep`);
    this.#at++;
    let closed = this.#skipToEntry();
    const spread = closed;
    const isEmpty = this.#text[this.#at] === close;
    while (this.#text[this.#at] !== close) {
      entry();
      closed = this.#skipBlank();
      if (this.#text[this.#at] === close) break;
      if (this.#text[this.#at] !== ",") throw this.#expected(`"," or "${close}"`);
      closed = this.#skipToEntry();
    }
    this.#at++;
    this.#depth--;
    return isEmpty && !spread ? undefined : layoutOf(spread, closed);
  }

  #bareKey(): string {
    const start = this.#at;
    const number = this.#match(NUMBER);
    if (number !== "") return number;
    const word = this.#match(WORD);
    if (word !== "") return word;
    this.#at = start;
    throw this.#expected("a key");
  }

  /** Digits as most numbers of tables are, read without more ado; undefined for anything else. */
  #shortInteger(): number | undefined {
    let value = 0;
    let at = this.#at;
    for (let code = this.#text.charCodeAt(at); code >= 0x30 && code <= 0x39; code = this.#text.charCodeAt(++at)) {
      value = 10 * value + code - 0x30;
    }
    const digits = at - this.#at;
    if (digits === 0 || digits > SHORT_DIGITS || !BEHIND_SHORT.has(this.#text.charAt(at))) return undefined;
    this.#at = at;
    return value;
  }

  #number(): JsonNode | undefined {
    const text = this.#match(NUMBER);
    if (text === "") return undefined;
    if (text.length > MAX_NUMBER_CHARACTERS) throw this.#error(`a number of ${text.length} characters`, text.length);
    this.#match(NUMBER_TYPE);
    const number = Number(text);
    if (/^[+-]?\d+$/.test(text)) {
      if (Number.isSafeInteger(number) && !Object.is(number, -0)) return number;
      const integer = BigInt(text.startsWith("+") ? text.slice(1) : text);
      if (integer !== 0n && integer >= MIN_INT64 && integer <= MAX_INT64) return integer;
    }
    return String(number) === text ? number : new JsonNumber(normalized(text));
  }

  #isQuote(): boolean {
    const character = this.#text[this.#at];
    return character === '"' || character === "'";
  }

  #string(): string {
    const start = this.#at;
    const quote = this.#text.charCodeAt(this.#at++);
    let result = "";
    let from = this.#at;
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === quote) return result + this.#text.slice(from, this.#at++);
      if (code === BACKSLASH) {
        result += this.#text.slice(from, this.#at++);
        result += this.#escape();
        from = this.#at--;
      }
    }
    this.#at = start;
    throw this.#error("a string without an end");
  }

  /** What stands behind a backslash. */
  #escape(): string {
    const letter = this.#text.charAt(this.#at++);
    if (letter === "u") return this.#hexadecimal(4);
    if (letter === "x") return this.#hexadecimal(2);
    if (letter >= "0" && letter <= "7") return String.fromCharCode(Number(letter));
    const character = ESCAPES[letter];
    if (character !== undefined) return character;
    this.#at--;
    throw this.#expected("an escape such as \\n or \\u0041");
  }

  #hexadecimal(digits: number): string {
    const text = this.#text.slice(this.#at, this.#at + digits);
    if (text.length < digits || !HEXADECIMAL.test(text)) throw this.#expected(`${digits} hexadecimal digits`);
    this.#at += digits;
    return String.fromCharCode(Number.parseInt(text, 16));
  }

  /** Over blanks, comments and commas. Says whether a line ended in between. */
  #skipToEntry(): boolean {
    let broken = this.#skipBlank();
    while (this.#text[this.#at] === ",") {
      this.#at++;
      broken = this.#skipBlank() || broken;
    }
    return broken;
  }

  /** Over blanks and comments. Says whether a line ended in between. */
  #skipBlank(): boolean {
    const code = this.#text.charCodeAt(this.#at);
    if (code > SPACE && code !== SLASH) return false;
    const start = this.#at;
    this.#match(BLANK);
    while (this.#text[this.#at] === "/") {
      const kind = this.#text[this.#at + 1];
      if (kind !== "/" && kind !== "*") break;
      const end = kind === "/" ? this.#text.indexOf("\n", this.#at) : this.#text.indexOf("*/", this.#at + 2);
      if (end < 0 && kind === "*") throw this.#error("a comment without an end");
      this.#at = end < 0 ? this.#text.length : end + (kind === "/" ? 1 : 2);
      this.#match(BLANK);
    }
    return this.#text.slice(start, this.#at).includes("\n");
  }

  /** What matches at this place, skipped; "" for nothing. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #expected(what: string): JsonError {
    const code = this.#text.codePointAt(this.#at);
    const found = code === undefined ? "the end" : JSON.stringify(String.fromCodePoint(code));
    return this.#error(`${what} is expected, found ${found}`);
  }

  #error(message: string, back = 0): JsonError {
    return new JsonError(message, this.#at - back);
  }
}

/** A number that fastjson reads, as JSON allows it: `+5`, `.5`, `1.` and `007` are no JSON. */
function normalized(text: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = ""] =
    /^([+-]?)(\d*)(?:\.(\d*))?((?:[eE].*)?)$/.exec(text) ?? [];
  const digits = whole.replace(/^0+(?=\d)/, "") || "0";
  return `${sign === "-" ? "-" : ""}${digits}${fraction === "" ? "" : `.${fraction}`}${exponent}`;
}
