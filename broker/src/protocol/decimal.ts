/** Whole numbers in text, as Java's `Integer.parseInt` and `Long.parseLong` take them: digits, perhaps with a sign. */

export const MAX_INT = 2_147_483_647;
export const MIN_INT = -2_147_483_648;
const MAX_LONG = 2n ** 63n - 1n;
const MIN_LONG = -(2n ** 63n);

const ZERO = 0x30;
const NINE = 0x39;
const PLUS = 0x2b;
const MINUS = 0x2d;

/** As many digits as a double holds whatever they are. */
const EXACT_DIGITS = 15;
/** Digits of the longest 64-bit integer. */
const LONG_DIGITS = 19;

/** A 32-bit integer; `undefined` where there is none. */
export function parseInt32(value: unknown): number | undefined {
  const number = typeof value === "string" ? parseDecimal(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number)) return undefined;
  return number >= MIN_INT && number <= MAX_INT ? number : undefined;
}

/** A 64-bit integer; behind 2^53 the nearest number. `undefined` where there is none. */
export function parseInt64(value: unknown): number | undefined {
  if (typeof value === "string") return parseDecimal(value);
  if (typeof value === "number" && Number.isInteger(value)) return Math.abs(value) <= 2 ** 63 ? value : undefined;
  if (typeof value === "bigint" && value >= MIN_LONG && value <= MAX_LONG) return Number(value);
  return undefined;
}

function parseDecimal(text: string): number | undefined {
  const first = text.charCodeAt(0);
  const from = first === MINUS || first === PLUS ? 1 : 0;
  const digits = text.length - from;
  if (digits === 0) return undefined;
  let number = 0;
  for (let at = from; at < text.length; at++) {
    const digit = text.charCodeAt(at);
    if (digit < ZERO || digit > NINE) return undefined;
    number = number * 10 + (digit - ZERO);
  }
  if (digits > EXACT_DIGITS) return parseLarge(text, from);
  // Not -0: it would be another value than 0 to a Map.
  return first === MINUS && number !== 0 ? -number : number;
}

function parseLarge(text: string, from: number): number | undefined {
  let start = from;
  while (start < text.length - 1 && text.charCodeAt(start) === ZERO) start++;
  if (text.length - start > LONG_DIGITS) return undefined;
  const magnitude = BigInt(text.slice(start));
  const value = text.charCodeAt(0) === MINUS ? -magnitude : magnitude;
  return value >= MIN_LONG && value <= MAX_LONG ? Number(value) : undefined;
}
