import type { Contestant } from "../rules/judgement.mjs";

export interface Row {
  readonly number: number;
  readonly name: string;
  readonly title: string;
  readonly main?: boolean;
  /** What its contestants survive. */
  readonly class: string;
  readonly messages: number;
  readonly metric?: string;
  readonly lessIsBetter?: boolean;
  readonly leavesOut: string;
  readonly contestants: readonly Contestant[];
}
export const ROWS: readonly Row[];
