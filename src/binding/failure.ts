/** A failure as it comes from an engine: a JSON text (native/core/src/crossing.rs). */
import { StoreError, type StoreErrorCode } from "../errors.ts";

export function failureFrom(json: string): StoreError {
  const { code, message, details } = JSON.parse(json) as {
    code: StoreErrorCode;
    message: string;
    details: Record<string, unknown>;
  };
  return new StoreError(code, message, { details });
}
