// Which engines a packed package has.

/** How the name of the file begins that each needs. */
const ENGINES = { native: "prebuilds/moraine.", wasm: "wasm/moraine.wasm" };

/** Refuses names that no engine has. */
export function checkEngine(wanted) {
  if (wanted === undefined || Object.hasOwn(ENGINES, wanted)) return;
  throw new Error(`--engine is ${JSON.stringify(wanted)}; it must be ${Object.keys(ENGINES).join(" or ")}.`);
}

/** The one that is wanted, or all that there are among the paths of a tarball. */
export function enginesOf(packed, wanted) {
  const found = Object.keys(ENGINES).filter((name) => packed.some((path) => path.startsWith(ENGINES[name])));
  if (wanted === undefined && found.length > 0) return found;
  if (found.includes(wanted)) return [wanted];
  throw new Error(`--engine is ${wanted ?? "not given"}, and the package has ${found.join(" and ") || "no engine"}.`);
}
