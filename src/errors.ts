import { types } from "node:util";

/** Every code that a `StoreError` can carry; docs/errors.md has a heading for each. */
export type StoreErrorCode =
  | "STORE_LOCKED"
  | "STORE_CLOSED"
  | "STORE_POISONED"
  | "STORE_CORRUPT"
  | "STORE_IO"
  | "STORE_FULL"
  | "STORE_READ_ONLY"
  | "STORE_MESSAGE_TOO_LARGE"
  | "STORE_INVALID_ARGUMENT"
  | "STORE_OFFSET_OUT_OF_RANGE"
  | "STORE_UNSUPPORTED_FORMAT"
  | "STORE_UNSUPPORTED"
  | "STORE_NO_ENGINE"
  | "STORE_ABORTED"
  | "STORE_BUSY";

/** Facts of an error that a program can use. Which of them are there depends on the code: docs/errors.md. */
export interface StoreErrorDetails {
  /** The wrong argument, as a path: `topic`, `messages[3].tags`, `options.max`. */
  readonly argument?: string;
  /** Messages that a failed `putBatch` had stored. */
  readonly stored?: number;
  /** File concerned, relative to the store directory. */
  readonly file?: string;
  /** Where in the file or the log. */
  readonly offset?: number;
  readonly reason?: string;
  /** Queue offset at which reading can go on behind a damaged record. */
  readonly nextOffset?: number;
  readonly errno?: number;
  readonly syscall?: string;
  readonly path?: string;
  readonly engine?: string;
  readonly [name: string]: unknown;
}

export interface StoreErrorOptions {
  readonly cause?: unknown;
  readonly details?: StoreErrorDetails;
}

/** Codes after which the same call can succeed without the caller changing it. */
const RETRIABLE: ReadonlySet<StoreErrorCode> = new Set(["STORE_BUSY", "STORE_FULL", "STORE_LOCKED"]);

/** The one class of error that this package throws and rejects with. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  /** Whether the same call can succeed later: once there is room, the lock is released, the load has passed. */
  readonly retriable: boolean;
  readonly details: StoreErrorDetails;

  static {
    Object.defineProperty(StoreError.prototype, "name", { value: "StoreError", configurable: true, writable: true });
  }

  constructor(code: StoreErrorCode, message: string, options: StoreErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retriable = RETRIABLE.has(code);
    this.details = options.details ?? {};
  }
}

/** A wrong argument. `argument` is its path from the call, such as `message.tags` or `messages[3].tags`. */
export function argumentError(argument: string, message: string, cause?: unknown): StoreError {
  return new StoreError("STORE_INVALID_ARGUMENT", message, { cause, details: { argument } });
}

/** The same error with further details. */
export function withDetails(error: StoreError, details: StoreErrorDetails): StoreError {
  return new StoreError(error.code, error.message, { cause: error.cause, details: { ...error.details, ...details } });
}

const SHOWN_CHARACTERS = 64;

/** A value as a message shows it: short, and without running any code that belongs to the value. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value.length <= SHOWN_CHARACTERS
        ? JSON.stringify(value)
        : `${JSON.stringify(value.slice(0, SHOWN_CHARACTERS))}… (${value.length} characters)`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "boolean":
    case "undefined":
      return String(value);
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    default:
      if (value === null) return "null";
      // A revoked proxy throws at Array.isArray.
      return !types.isProxy(value) && Array.isArray(value) ? "an array" : "an object";
  }
}
