/** Who of two begins changes from row to row, and for each row from round to round. */
export function inTurn<T>(brokers: readonly T[], round: number, row: number): readonly T[] {
  return (round + row) % 2 === 0 ? brokers : brokers.toReversed();
}
