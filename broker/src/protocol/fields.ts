import { ResponseCode } from "./codes.ts";
import type { ExtFields } from "./command.ts";
import { parseInt32, parseInt64 } from "./decimal.ts";
import { RequestError } from "./request-error.ts";

export type Boundary = "lower" | "upper";

/**
 * The fields of a request, read by type. One that is required and missing, or that is there and cannot be read, throws a
 * `RequestError` with INVALID_PARAMETER.
 */
export class Fields {
  readonly #ext: ExtFields;

  constructor(ext: ExtFields) {
    this.#ext = ext;
  }

  has(name: string): boolean {
    const value = this.#ext[name];
    return value !== undefined && value !== null;
  }

  text(name: string): string {
    return this.optionalText(name) ?? missing(name);
  }

  optionalText(name: string): string | undefined {
    const value = this.#ext[name];
    if (typeof value === "string") return value;
    if (value === undefined || value === null) return undefined;
    // Clients that write JSON of their own send numbers and booleans as such.
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    return unreadable(name, "text");
  }

  /** 32 bits. */
  int(name: string): number {
    return this.optionalInt(name) ?? missing(name);
  }

  optionalInt(name: string): number | undefined {
    const value = this.#ext[name];
    if (value === undefined || value === null) return undefined;
    return parseInt32(value) ?? unreadable(name, "an int");
  }

  /** 64 bits; behind 2^53 the nearest number. */
  long(name: string): number {
    return this.optionalLong(name) ?? missing(name);
  }

  optionalLong(name: string): number | undefined {
    const value = this.#ext[name];
    if (value === undefined || value === null) return undefined;
    return parseInt64(value) ?? unreadable(name, "a long");
  }

  /** Java's `Boolean.parseBoolean`: whatever is not `true` is false. */
  boolean(name: string, byDefault = false): boolean {
    const value = this.#ext[name];
    if (value === undefined || value === null) return byDefault;
    return value === true || (typeof value === "string" && (value === "true" || value.toLowerCase() === "true"));
  }

  boundary(name: string): Boundary {
    const value = this.#ext[name];
    return typeof value === "string" && value.toLowerCase() === "upper" ? "upper" : "lower";
  }
}

function missing(name: string): never {
  throw new RequestError(ResponseCode.INVALID_PARAMETER, `the field ${name} is missing`);
}

function unreadable(name: string, type: string): never {
  throw new RequestError(ResponseCode.INVALID_PARAMETER, `the field ${name} is not ${type}`);
}
