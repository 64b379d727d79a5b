/** Failed calls of `node:fs` as a WebAssembly instance is told of them: Linux's number, the call, the system's words. */
import { StoreError } from "../errors.ts";
import { errnoOf, reasonOf } from "./wasm-errno.ts";

export interface FailedCall {
  /** Linux's number, or one of the two below. */
  readonly errno: number;
  readonly syscall: string;
  readonly path: string;
  readonly reason: string;
}

/** Something is not of the type it has to be: no call has failed. */
const WRONG_TYPE = 9999;
/** A failure without a number. */
const UNNUMBERED = 9998;

/** Another call than the one that was asked for. */
class InCall extends Error {
  readonly syscall: string;
  override readonly cause: unknown;

  constructor(syscall: string, cause: unknown) {
    super(syscall);
    this.syscall = syscall;
    this.cause = cause;
  }
}

/** Runs a call of the system under its own name. */
export function inCall<T>(syscall: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new InCall(syscall, error);
  }
}

/** `syscall` is what was asked for. */
export function failedCall(error: unknown, syscall: string, path: string): FailedCall {
  if (error instanceof InCall) return failedCall(error.cause, error.syscall, path);
  if (error instanceof StoreError) return toldBefore(error, syscall, path);
  const errno = errnoOf(error);
  if (errno !== 0) return { errno, syscall, path, reason: reasonOf(errno) };
  return { errno: UNNUMBERED, syscall, path, reason: (error as Error).message };
}

/** A failure that has its words already. */
function toldBefore(error: StoreError, syscall: string, path: string): FailedCall {
  const { errno = 0, syscall: told = syscall } = error.details;
  const reason = /failed: (.*)$/s.exec(error.message)?.[1] ?? error.message;
  return { errno: errno === 0 ? WRONG_TYPE : errno, syscall: told, path, reason };
}
