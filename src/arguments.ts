/** Checks of what callers pass to methods: each says the name, the value and what would be right. */
import { types } from "node:util";
import { argumentError, shown } from "./errors.ts";

/** Greatest queue id, and greatest number of a signed 32-bit field. */
export const MAX_INT32 = 2_147_483_647;
const MIN_INT32 = -2_147_483_648;

/** Refuses what is not an integer from `minimum` to `maximum`. `argument` is its path from the call. */
export function checkInteger(argument: string, value: unknown, minimum: number, maximum: number): number {
  if (isInteger(value, minimum, maximum)) return value;
  throw integerError(argument, value, minimum, maximum);
}

export function isInteger(value: unknown, minimum: number, maximum: number): value is number {
  return typeof value === "number" && value >= minimum && value <= maximum && Number.isInteger(value);
}

export function integerError(argument: string, value: unknown, minimum: number, maximum: number): Error {
  const name = argument.slice(argument.lastIndexOf(".") + 1);
  return argumentError(argument, `${name} is ${shown(value)}; it must be an integer ${rangeText(minimum, maximum)}`);
}

function rangeText(minimum: number, maximum: number): string {
  const top = maximum === Number.MAX_SAFE_INTEGER ? "2^53 - 1" : maximum;
  const bottom = minimum === Number.MIN_SAFE_INTEGER ? "-(2^53 - 1)" : minimum;
  return `from ${bottom} to ${top}`;
}

export function isInt32(value: unknown): value is number {
  return typeof value === "number" && (value | 0) === value;
}

export function int32Error(argument: string, value: unknown): Error {
  return integerError(argument, value, MIN_INT32, MAX_INT32);
}

export function checkQueueId(queueId: number): void {
  checkInteger("queueId", queueId, 0, MAX_INT32);
}

/** A queue offset, physical offset or time: an integer from 0 to 2^53 - 1. */
export function checkOffset(argument: string, value: number): number {
  return checkInteger(argument, value, 0, Number.MAX_SAFE_INTEGER);
}

/** What stands for no options. */
const NO_OPTIONS = {};

/**
 * A copy of named options, each read once. Options that nobody knows are refused by name, so that a misspelt
 * one is not taken for its default.
 */
export function readOptions<T extends object>(options: T | undefined, known: readonly string[]): Partial<T> {
  if (options === undefined) return NO_OPTIONS;
  if (types.isProxy(options) || !isPlainObject(options)) {
    throw argumentError("options", `options is ${shown(options)}; it must be a plain object`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw argumentError(`options.${name}`, `unknown option \`${name}\`; known are ${known.join(", ")}`);
    }
  }
  try {
    return { ...options };
  } catch (cause) {
    throw argumentError("options", "options could not be read: a getter threw", cause);
  }
}

/** Whether a value is an object of its own names only, made in this or another realm. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * The elements of an array, each read once, by its place: neither an iterator of its own nor what a getter does to it decides
 * how many they are. Undefined where they are more than `most`.
 */
export function elementsOf(argument: string, values: readonly unknown[], most: number): unknown[] | undefined {
  try {
    const count = Number(values.length);
    if (count > most) return undefined;
    const elements: unknown[] = [];
    for (let i = 0; i < count; i++) elements.push(values[i]);
    return elements;
  } catch (cause) {
    throw argumentError(argument, `${argument} could not be read: a getter threw`, cause);
  }
}

const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype);
/** What typed arrays answer, whatever a subclass makes of it. */
export const lengthOf: (this: unknown) => number = getter("length");
export const byteOffsetOf: (this: unknown) => number = getter("byteOffset");
export const bufferOf: (this: unknown) => ArrayBuffer = getter("buffer");

function getter<T>(name: "byteOffset" | "buffer" | "length"): (this: unknown) => T {
  return Object.getOwnPropertyDescriptor(typedArray, name)?.get as (this: unknown) => T;
}

/** Length of a Uint8Array whatever a subclass says about it. 0 for one whose buffer was detached or shrunk away. */
export function byteLength(bytes: Uint8Array): number {
  return lengthOf.call(bytes);
}

/** The same bytes without what a subclass makes of them: its `subarray` may answer anything. */
export function plainView(bytes: Uint8Array): Uint8Array {
  const length = byteLength(bytes);
  return length === 0 ? new Uint8Array(0) : new Uint8Array(bufferOf.call(bytes), byteOffsetOf.call(bytes), length);
}

/** Whether bytes can be handed out to be written: not shared with other threads, of a size that cannot change. */
export function isPlainMemory(bytes: Uint8Array): boolean {
  return !types.isSharedArrayBuffer(bytes.buffer) && (bytes.buffer as { resizable?: boolean }).resizable !== true;
}
