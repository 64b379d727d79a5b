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

/** The root, with what the references mean in their places. One that leads nowhere becomes null. */
export function resolveReferences(root: unknown, references: readonly Reference[]): unknown {
  let result = root;
  for (const reference of references) {
    const value = target(result, reference);
    const holder = reference.within.at(-1);
    if (holder === undefined) result = value;
    else replace(holder, reference.key, value);
  }
  return result;
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
