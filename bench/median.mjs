/** The middle one of several figures; of an even number of them the higher one. */
export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
