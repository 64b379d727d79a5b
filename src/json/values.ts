/** Between JSON documents and JavaScript values. Values are copied on the way, so neither side sees changes of the other. */
import { types } from "node:util";
import { isPlainObject } from "../arguments.ts";
import { argumentError, type StoreError, shown } from "../errors.ts";
import { JsonArray, type JsonNode, JsonNumber, JsonObject, MAX_DEPTH, MAX_INT64, MIN_INT64 } from "./nodes.ts";

/**
 * A value of JSON. Integers beyond 2^53 - 1 come as BigInt, to the last digit; those of more than 64 bits as numbers, though
 * the file keeps their digits.
 */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** A copy of a node as a value of JavaScript. */
export function valueFrom(node: JsonNode): JsonValue {
  if (node === null || typeof node !== "object") return node;
  if (node instanceof JsonNumber) return node.value;
  if (node instanceof JsonArray) return node.items.map(valueFrom);
  const object: Record<string, JsonValue> = {};
  for (const [key, value] of node.entries) {
    if (key === "__proto__") {
      Object.defineProperty(object, key, {
        value: valueFrom(value),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } else object[key] = valueFrom(value);
  }
  return object;
}

/**
 * A copy of a value as a node. Throws STORE_INVALID_ARGUMENT, with the path from `argument`, for what JSON cannot say.
 * `bareKeys` tells of the keys on the way to an object whether its own are written without quotes.
 */
export function nodeFrom(argument: string, value: unknown, keys: readonly string[], bareKeys: BareKeys): JsonNode {
  return new Copy(bareKeys, keys.length).node(argument, value, [...keys]);
}

export type BareKeys = (keys: readonly string[]) => boolean;

class Copy {
  readonly #bareKeys: BareKeys;
  /** Objects that one may be nested in here. */
  readonly #room: number;
  /** Objects that are being copied, to notice one that contains itself. */
  readonly #open: Set<object> = new Set();

  /** For a value so deep in its document. */
  constructor(bareKeys: BareKeys, depth: number) {
    this.#bareKeys = bareKeys;
    this.#room = MAX_DEPTH - depth;
  }

  node(path: string, value: unknown, keys: string[]): JsonNode {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        if (Number.isFinite(value)) return asRead(value);
        throw wrong(path, value, "numbers must be finite");
      case "bigint":
        if (isInt64(value)) return Number.isSafeInteger(Number(value)) ? Number(value) : value;
        throw wrong(path, value, "integers must have at most 64 bits");
      case "object":
        return value === null ? null : this.#container(path, value, keys);
      default:
        throw wrong(path, value, "it must be null, a boolean, number, string, array or plain object");
    }
  }

  #container(path: string, value: object, keys: string[]): JsonNode {
    if (this.#open.has(value)) throw wrong(path, value, "it must not contain itself");
    if (this.#open.size >= this.#room) throw wrong(path, value, `it must not be nested more than ${MAX_DEPTH} deep`);
    if (types.isProxy(value) || !(Array.isArray(value) || isPlainObject(value))) {
      throw wrong(path, value, "it must be an array or a plain object");
    }
    this.#open.add(value);
    const node = Array.isArray(value) ? this.#array(path, value, keys) : this.#object(path, value, keys);
    this.#open.delete(value);
    return node;
  }

  #array(path: string, value: readonly unknown[], keys: string[]): JsonArray {
    const items: JsonNode[] = [];
    keys.push("");
    // A getter may make it longer, and longer.
    for (let i = 0, count = value.length; i < count; i++)
      items.push(this.node(`${path}[${i}]`, read(`${path}[${i}]`, value, i), keys));
    keys.pop();
    return new JsonArray(items);
  }

  #object(path: string, value: Record<string, unknown>, keys: string[]): JsonObject {
    const entries = new Map<string, JsonNode>();
    for (const key of Object.keys(value)) {
      const at = /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${shown(key)}]`;
      keys.push(key);
      entries.set(key, this.node(at, read(at, value, key), keys));
      keys.pop();
    }
    return new JsonObject(entries, undefined, this.#bareKeys(keys));
  }
}

/** A number as it will be read again: what has the digits of an integer beyond 2^53 - 1 is one. */
function asRead(value: number): number | bigint {
  if (Object.is(value, -0)) return 0;
  if (Number.isSafeInteger(value) || !Number.isInteger(value)) return value;
  return isInt64(BigInt(value)) ? BigInt(value) : value;
}

function isInt64(value: bigint): boolean {
  return value >= MIN_INT64 && value <= MAX_INT64;
}

function read(path: string, container: object, key: string | number): unknown {
  try {
    return (container as Record<string | number, unknown>)[key];
  } catch (cause) {
    throw argumentError(path, `${path} could not be read: a getter threw`, cause);
  }
}

function wrong(path: string, value: unknown, right: string): StoreError {
  return argumentError(path, `${path} is ${shown(value)}; ${right}`);
}
