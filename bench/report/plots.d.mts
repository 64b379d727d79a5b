export interface Bar {
  readonly label: string;
  readonly kind: "ours" | "peer" | "apart" | "floor";
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly text: string;
}
export interface Point {
  readonly x: number;
  readonly median: number;
  readonly least: number;
  readonly most: number;
}
export function barPlot(title: string, bars: readonly Bar[]): string;
export function curvePlot(
  title: string,
  xTitle: string,
  points: readonly Point[],
  said: (value: number) => string,
): string;
