/** Bodies as JSON: read as leniently as fastjson does, written strictly or as fastjson writes by default. */
import { ResponseCode } from "./codes.ts";
import { parseJson } from "./json-parse.ts";
import { type JsonStyle, printJson } from "./json-print.ts";
import { RequestError } from "./request-error.ts";

/**
 * The value of a body. Whole numbers behind 2^53 are bigints; an object with objects as keys is a `Map`, every other one
 * an object, numeric keys included; `$ref` is resolved. Throws a `RequestError` where it is no JSON.
 */
export function parseBody(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  try {
    return parseJson(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `the body is not JSON: ${cause.message}`, { cause });
  }
}

/**
 * Standard JSON: all keys quoted, those of objects sorted, non-ASCII escaped. A `Map` with objects as keys is the
 * exception that RocketMQ's clients demand: its keys stand as objects.
 */
export function printBody(value: unknown): Buffer {
  return print(value, "strict");
}

/** As fastjson writes by default: numeric keys of a `Map` are bare, which old native clients expect in a route. */
export function printFastjson(value: unknown): Buffer {
  return print(value, "fastjson");
}

function print(value: unknown, style: JsonStyle): Buffer {
  return Buffer.from(printJson(value, style), "utf8");
}
