/** Attributes of topics: what there are, and how a request changes them (`+name=value,-name`). */
import { ResponseCode } from "../protocol/codes.ts";
import { RequestError } from "../protocol/request-error.ts";

export type Attributes = Readonly<Record<string, string>>;

interface AttributeRule {
  /** Whether it may be given to, taken from or changed of a topic that is there. */
  readonly isChangeable: boolean;
  /** Undefined: none of them can be had here, for the reason that follows. */
  readonly values: ReadonlySet<string> | undefined;
  readonly refusal?: string;
}

/** By RocketMQ's names. */
const RULES: ReadonlyMap<string, AttributeRule> = new Map<string, AttributeRule>([
  ["queue.type", { isChangeable: false, values: new Set(["SimpleCQ", "BatchCQ"]) }],
  // COMPACTION is RocketMQ's other one: a topic that says so and keeps all would be a lie.
  ["cleanup.policy", { isChangeable: false, values: new Set(["DELETE"]) }],
  [
    "message.type",
    { isChangeable: true, values: new Set(["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "MIXED"]) },
  ],
  ["reserve.time", { isChangeable: true, values: undefined, refusal: "Update topic reserveTime not supported" }],
]);

/** Changes as a request header has them: keys with their sign, and values. */
export function parseAttributes(text: string | undefined): Attributes {
  if (text === undefined || text === "") return {};
  const found = new Map<string, string>();
  for (const item of text.split(",")) {
    const [key = "", value] = item.split("=");
    if (item.includes("=")) {
      if (!key.includes("+") || value === undefined || value === "")
        refuse(`add/alter attribute format is wrong: ${key}`);
    } else if (!key.includes("-")) {
      refuse(`delete attribute format is wrong: ${key}`);
    }
    if (found.has(key)) refuse(`key duplication: ${key}`);
    found.set(key, value ?? "");
  }
  return Object.fromEntries(found);
}

/**
 * The attributes that something has after a change; `current` is undefined where it is made by it. Throws a
 * `RequestError` for what there is not, or what may not be changed.
 */
export function alterAttributes(
  current: Attributes | undefined,
  changes: Attributes,
  rules: ReadonlyMap<string, AttributeRule> = RULES,
): Attributes {
  const altered = new Map(Object.entries(current ?? {}));
  const seen = new Set<string>();
  for (const [key, value] of Object.entries(changes)) {
    const name = key.slice(1);
    if (name === "" || /[+-]/.test(name)) refuse("kv string format wrong.");
    if (seen.has(name)) refuse(`alter duplication key. key: ${name}`);
    seen.add(name);
    const isAdded = key.startsWith("+");
    if (current === undefined && !isAdded) refuse(`only add attribute is supported while creating topic. key: ${name}`);
    if (!isAdded && !key.startsWith("-")) refuse(`wrong format key: ${name}`);
    if (!isAdded && !altered.has(name)) refuse(`attempt to delete a nonexistent key: ${name}`);
    check(name, isAdded ? value : undefined, current === undefined, rules);
    if (isAdded) altered.set(name, value);
    else altered.delete(name);
  }
  return Object.fromEntries(altered);
}

/** Groups have none in RocketMQ: whatever is asked for is refused. */
export const NO_ATTRIBUTES: ReadonlyMap<string, AttributeRule> = new Map();

function check(
  name: string,
  value: string | undefined,
  isNew: boolean,
  rules: ReadonlyMap<string, AttributeRule>,
): void {
  const rule = rules.get(name) ?? refuse(`unsupported key: ${name}`);
  if (!isNew && !rule.isChangeable) refuse(`attempt to update an unchangeable attribute. key: ${name}`);
  if (rule.values === undefined) refuse(rule.refusal ?? `unsupported key: ${name}`);
  if (value !== undefined && !rule.values.has(value)) refuse(`value is not in set: [${[...rule.values].join(", ")}]`);
}

function refuse(sentence: string): never {
  throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
}
