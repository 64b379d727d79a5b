/** The JSON header, which nearly everybody sends. */
import type { Command, ExtFields, FieldValues } from "./command.ts";
import { parseInt32 } from "./decimal.ts";
import { knownLanguage } from "./languages.ts";
import { ProtocolError } from "./protocol-error.ts";
import { OWN_VERSION } from "./versions.ts";

/** Of a header; requests have at most some twenty. */
export const MAX_FIELDS = 1000;

const NO_FIELDS: ExtFields = Object.freeze(Object.create(null));

/**
 * The command whose header is in `bytes` from `from` to `to`, as lenient as clients need it: numbers may be text, fields may be missing or
 * null, unknown ones are left alone.
 */
export function decodeJsonHeader(bytes: Buffer, from: number, to: number, body: Uint8Array): Command {
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString("utf8", from, to));
  } catch (cause) {
    throw new ProtocolError("a header is not JSON", { cause });
  }
  if (!isObject(header)) throw new ProtocolError("a header is no JSON object");
  const { extFields, remark } = header;
  return {
    code: readInt(header.code, "code"),
    language: knownLanguage(header.language),
    version: readInt(header.version, "version"),
    opaque: readInt(header.opaque, "opaque"),
    flag: readInt(header.flag, "flag"),
    remark: typeof remark === "string" ? remark : undefined,
    ext: isObject(extFields) ? scalarsOf(extFields) : NO_FIELDS,
    body,
    serialization: "json",
  };
}

/** Lists and objects are no fields of any request, and a few bytes of them become hundreds in memory. */
function scalarsOf(fields: Record<string, unknown>): ExtFields {
  let count = 0;
  for (const name in fields) {
    if (++count > MAX_FIELDS) throw new ProtocolError(`a header has more than ${MAX_FIELDS} fields`);
    const value = fields[name];
    if (typeof value === "object" && value !== null) delete fields[name];
  }
  return fields;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readInt(value: unknown, name: string): number {
  // What is an int is one already; a missing number is 0, as in Java.
  if (typeof value === "number" && (value | 0) === value) return value;
  if (value === undefined || value === null) return 0;
  const number = parseInt32(value);
  if (number === undefined) throw new ProtocolError(`the ${name} of a header is no int`);
  return number;
}

export interface JsonHeader {
  readonly code: number;
  readonly opaque: number;
  readonly flag: number;
  readonly remark: string | undefined;
  readonly ext: FieldValues | undefined;
}

const HEADER_END = `,"serializeTypeCurrentRPC":"JSON","version":${OWN_VERSION}}`;

/** Keys in fastjson's order. Put together by hand: of most headers only the numbers differ. */
export function encodeJsonHeader(header: JsonHeader): string {
  let text = `{"code":${header.code}`;
  let separator = ',"extFields":{';
  for (const name in header.ext) {
    const value = header.ext[name];
    if (value === undefined) continue;
    text += `${separator}${quoted(name)}:${typeof value === "string" ? quoted(value) : `"${value}"`}`;
    separator = ",";
  }
  if (separator === ",") text += "}";
  text += `,"flag":${header.flag},"language":"JAVA","opaque":${header.opaque}`;
  if (header.remark !== undefined) text += `,"remark":${quoted(header.remark)}`;
  return text + HEADER_END;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Longer text is left to JSON.stringify, which is faster for it. */
const SHORT = 64;

function quoted(text: string): string {
  if (text.length > SHORT) return JSON.stringify(text);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) return JSON.stringify(text);
  }
  return `"${text}"`;
}
