import type { Contestant } from "../rules/judgement.mjs";

export interface Row {
  readonly number: number;
  readonly name: string;
  readonly title: string;
  readonly main?: boolean;
  /** What its contestants survive. */
  readonly class: string;
  readonly messages: number;
  /** Messages by family of contestants, where they differ. */
  readonly amounts?: Readonly<Record<string, number>>;
  readonly metric?: string;
  readonly lessIsBetter?: boolean;
  /** What grows, where it is a row of one thing over another. */
  readonly curve?: string;
  readonly leavesOut: string;
  readonly contestants: readonly Contestant[];
}
export const ROWS: readonly Row[];
