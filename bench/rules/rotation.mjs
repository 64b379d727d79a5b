// In what order contestants run.

/**
 * Every round begins with another one, and every second round goes backwards: nobody always runs on a warm or a tired
 * machine, or always behind the same neighbour.
 */
export function rotated(contestants, round) {
  const order = contestants.map((_, i) => contestants[(i + round) % contestants.length]);
  return round % 2 === 0 ? order : order.toReversed();
}
