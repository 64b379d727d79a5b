/** The delay that a message asks for. */
import { ResponseCode } from "../../protocol/codes.ts";
import { parseInt32 } from "../../protocol/decimal.ts";
import { RequestError } from "../../protocol/request-error.ts";

/** The level that a property DELAY says, at most the last one; 0 without a delay. Throws where it is no number, as RocketMQ. */
export function delayLevelOf(delay: string | undefined, levels: number): number {
  if (delay === undefined) return 0;
  const level = parseInt32(delay);
  if (level !== undefined) return Math.max(Math.min(level, levels), 0);
  throw new RequestError(
    ResponseCode.SYSTEM_ERROR,
    `the property DELAY is ${JSON.stringify(delay)}; it must be an int`,
  );
}
