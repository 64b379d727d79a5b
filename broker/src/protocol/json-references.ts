/** fastjson writes an object that it has written before as `{"$ref":"$.path"}`. */

export interface Reference {
  /** The object that stands in the place. */
  readonly placeholder: object;
  readonly path: string;
  /** What it stands in, from the root on. */
  readonly within: readonly unknown[];
  /** Its name, index or key there. */
  key: unknown;
}

const STEP = /\.([^.[\]]+)|\["([^"]*)"\]|\['([^']*)'\]|\[(\d+)\]/y;

export interface ReferenceLimits {
  /** Values that there may be when each reference stands for a copy of what it means. */
  readonly maxValues: number;
  readonly maxDepth: number;
}

/**
 * The root, with what the references mean in their places. One that leads nowhere becomes null. Throws a `SyntaxError` where
 * they lead in a circle, or multiply what there is: a few levels that each refer twice to the one before are millions.
 */
export function resolveReferences(root: unknown, references: readonly Reference[], limits: ReferenceLimits): unknown {
  if (references.length === 0) return root;
  let result = root;
  for (const reference of references) {
    const value = target(result, reference);
    const holder = reference.within.at(-1);
    if (holder === undefined) result = value;
    else replace(holder, reference.key, value);
  }
  new Expansion(limits).count(result, 0);
  return result;
}

/** Counts values as whoever walks through them meets them. */
class Expansion {
  readonly #limits: ReferenceLimits;
  #values = 0;

  constructor(limits: ReferenceLimits) {
    this.#limits = limits;
  }

  count(value: unknown, depth: number): void {
    const { maxValues, maxDepth } = this.#limits;
    if (++this.#values > maxValues) throw new SyntaxError("its references multiply what there is");
    if (typeof value !== "object" || value === null) return;
    if (depth >= maxDepth) throw new SyntaxError("its references lead in a circle, or too deep");
    if (Array.isArray(value)) for (const item of value) this.count(item, depth + 1);
    else if (value instanceof Map) {
      for (const [key, member] of value) {
        this.count(key, depth + 1);
        this.count(member, depth + 1);
      }
    } else for (const name in value) this.count((value as Record<string, unknown>)[name], depth + 1);
  }
}

function target(root: unknown, { path, within, placeholder }: Reference): unknown {
  if (path === "@") return within.at(-1) ?? null;
  if (path === ".." || path.startsWith("../")) return within.at(-1 - path.split("/").length) ?? null;
  if (!path.startsWith("$")) return null;
  let value = root;
  let at = 1;
  while (at < path.length) {
    STEP.lastIndex = at;
    const step = STEP.exec(path);
    if (step === null) return null;
    value = member(value, step[1] ?? step[2] ?? step[3] ?? step[4] ?? "");
    at = STEP.lastIndex;
  }
  return value === placeholder ? null : value;
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return null;
  return (value as Record<string, unknown>)[name];
}

function replace(holder: unknown, key: unknown, value: unknown): void {
  if (Array.isArray(holder)) {
    if (typeof key === "number") holder[key] = value;
  } else if (typeof key === "string") {
    (holder as Record<string, unknown>)[key] = value;
  }
}
