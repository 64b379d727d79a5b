/** The option `retention`: which files of the log go by themselves. */
import { checkInteger, isPlainObject } from "./arguments.ts";
import { argumentError, shown } from "./errors.ts";

/** When a file of the log may go: as soon as one of the rules given says so. The file that is written to never goes. */
export interface RetentionOptions {
  /** When its newest message, and its last change on disk, are at least so old. */
  readonly maxAgeMs?: number | undefined;
  /** When the newest so many bytes of the log all lie behind it. */
  readonly maxBytes?: number | undefined;
  /** Hour of the day, local time, from 0 to 23, in which alone `maxAgeMs` counts; without it always. */
  readonly deleteHour?: number | undefined;
  /** When more than this part of the disk is in use, above 0 and at most 1: as many files as it takes to come down to it. */
  readonly diskRatio?: number | undefined;
}

/** The rules that were given. */
export interface RetentionRules {
  readonly maxAgeMs?: number;
  readonly maxBytes?: number;
  readonly deleteHour?: number;
  readonly diskRatio?: number;
}

const NAMES: readonly string[] = ["maxAgeMs", "maxBytes", "deleteHour", "diskRatio"];
const LAST_HOUR = 23;

/** Checks the option; undefined where it names no rule. */
export function retentionRules(given: unknown): RetentionRules | undefined {
  if (given === undefined) return undefined;
  const options = ownOptions(given);
  const { maxAgeMs, maxBytes, deleteHour, diskRatio } = options;
  const rules: RetentionRules = {
    ...(maxAgeMs === undefined ? {} : { maxAgeMs: whole("maxAgeMs", maxAgeMs, Number.MAX_SAFE_INTEGER) }),
    ...(maxBytes === undefined ? {} : { maxBytes: whole("maxBytes", maxBytes, Number.MAX_SAFE_INTEGER) }),
    ...(deleteHour === undefined ? {} : { deleteHour: whole("deleteHour", deleteHour, LAST_HOUR) }),
    ...(diskRatio === undefined ? {} : { diskRatio: ratio(diskRatio) }),
  };
  if (rules.deleteHour !== undefined && rules.maxAgeMs === undefined) {
    throw argumentError(
      "options.retention.deleteHour",
      `deleteHour is ${rules.deleteHour}, but maxAgeMs is not given, and it is the hour for that alone; give both, or neither`,
    );
  }
  return Object.keys(rules).length === 0 ? undefined : rules;
}

/** Each option read once. */
function ownOptions(given: unknown): Record<string, unknown> {
  const must = "it must be a plain object with maxAgeMs, maxBytes, deleteHour or diskRatio";
  if (!isPlainObject(given)) throw argumentError("options.retention", `option retention is ${shown(given)}; ${must}`);
  let own: Record<string, unknown>;
  try {
    own = { ...given };
  } catch (cause) {
    throw argumentError("options.retention", "option retention could not be read: a getter threw", cause);
  }
  for (const name of Object.keys(own)) {
    if (NAMES.includes(name)) continue;
    throw argumentError(`options.retention.${name}`, `unknown option \`${name}\`; known are ${NAMES.join(", ")}`);
  }
  return own;
}

function whole(name: string, value: unknown, maximum: number): number {
  return checkInteger(`options.retention.${name}`, value, 0, maximum);
}

function ratio(value: unknown): number {
  if (typeof value === "number" && value > 0 && value <= 1) return value;
  throw argumentError(
    "options.retention.diskRatio",
    `diskRatio is ${shown(value)}; it must be a number above 0 and at most 1, such as 0.75`,
  );
}
