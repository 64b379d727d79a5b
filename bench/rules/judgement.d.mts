import type { Summary } from "./statistics.mjs";

export interface Contestant {
  readonly id: string;
  readonly kind: "ours" | "peer" | "floor";
  readonly family?: string;
  readonly apart?: boolean;
}
export interface Target {
  readonly number: number;
  readonly row: string;
  readonly of: string;
  readonly metric?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly against?: string;
  readonly inverse?: boolean;
  readonly unit?: string;
  readonly not?: string;
}
export type Figures = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
export interface Verdict {
  readonly target: Target;
  readonly met: boolean | undefined;
  readonly why?: string;
  readonly value?: number;
  readonly ours?: Contestant;
  readonly against?: Contestant | undefined;
}
export function summaries(
  contestants: readonly Contestant[],
  figures: Figures,
  metric: string,
): (Summary & { contestant: Contestant })[];
export function bestOf<T extends { contestant: Contestant; median: number }>(
  all: readonly T[],
  name: string,
  lessIsBetter?: boolean,
): T | undefined;
export function judge(target: Target, contestants: readonly Contestant[], figures: Figures): Verdict;
