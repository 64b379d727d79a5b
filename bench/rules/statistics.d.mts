export interface Summary {
  median: number;
  least: number;
  most: number;
  spread: number;
  count: number;
}
export function median(values: readonly number[]): number;
export function summary(values: readonly number[]): Summary;
export function percentile(sorted: ArrayLike<number>, share: number): number;
export function medians(runs: readonly Readonly<Record<string, unknown>>[]): Record<string, number>;
