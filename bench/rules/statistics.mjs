// What is said of several figures.

/** The middle one; of an even number of them the higher one. */
export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** `spread` is the distance between the least and the most as a share of the median. */
export function summary(values) {
  if (values.length === 0) throw new Error("there is nothing to sum up");
  const middle = median(values);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return { median: middle, least, most, spread: middle === 0 ? 0 : (most - least) / middle, count: values.length };
}

/** The value that a `share` of `sorted` does not exceed. */
export function percentile(sorted, share) {
  if (sorted.length === 0) throw new Error("there is nothing to sum up");
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

/** Medians of every number that the figures of several runs have in common. */
export function medians(runs) {
  const names = Object.keys(runs[0] ?? {}).filter((name) => runs.every((run) => Number.isFinite(run[name])));
  return Object.fromEntries(names.map((name) => [name, median(runs.map((run) => run[name]))]));
}
