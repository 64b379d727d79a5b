/** What a consumer wants of a topic. */
import { ResponseCode } from "./codes.ts";
import { RequestError } from "./request-error.ts";

export const ALL = "*";
export const TAG_TYPE = "TAG";
export const SQL_TYPE = "SQL92";

/** As in heartbeats; printed as JSON its sets are lists. */
export interface SubscriptionData {
  readonly topic: string;
  readonly subString: string;
  readonly expressionType: string;
  readonly tagsSet: ReadonlySet<string>;
  /** Hash codes of the tags, 32 bits with sign. */
  readonly codeSet: ReadonlySet<number>;
  readonly classFilterMode: boolean;
  /** Milliseconds since 1970, when the consumer subscribed. */
  readonly subVersion: number;
}

export function isTagType(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === "" || expressionType === TAG_TYPE;
}

/**
 * A subscription of an expression. Tags are divided by `||`; nothing or `*` takes all. Throws a `RequestError` with
 * SUBSCRIPTION_PARSE_FAILED where there are only dividers.
 */
export function buildSubscription(
  topic: string,
  expression: string | undefined,
  expressionType: string | undefined = TAG_TYPE,
  subVersion: number = Date.now(),
): SubscriptionData {
  const subString = expression === undefined || expression === "" ? ALL : expression;
  const data = { topic, subString, expressionType, classFilterMode: false, subVersion };
  if (!isTagType(expressionType) || subString === ALL) return { ...data, tagsSet: new Set(), codeSet: new Set() };
  const tags = subString
    .split("||")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
  if (tags.length === 0) throw new RequestError(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "subString split error");
  return { ...data, expressionType: TAG_TYPE, tagsSet: new Set(tags), codeSet: new Set(tags.map(hashCode)) };
}

/** Java's `String.hashCode`. */
export function hashCode(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return hash;
}
