import type { Row } from "../rows/rows.mjs";
import type { SizedContestant, SizedRow } from "../rules/amounts.mjs";
import type { ResultsFiles } from "./results-file.mjs";

export interface RunnableContestant extends SizedContestant {
  /** Where it takes long, fewer than the others have. */
  readonly rounds?: number;
  readonly out?: string;
  readonly needs?: string;
  readonly run?: (dir: string, messages: number) => Record<string, unknown>;
}
export interface RunnableRow extends Row, Pick<SizedRow, "smoke" | "gigabytes" | "bodyBytes"> {
  readonly kept?: boolean;
  readonly contestants: readonly RunnableContestant[];
}
export interface RowSettings {
  readonly dir: string;
  readonly rounds: number;
  readonly messages: number | undefined;
  readonly gigabytes: number;
  readonly again: boolean;
  readonly smoke: boolean;
  readonly commit: string | undefined;
  readonly machine: string;
  readonly results: ResultsFiles;
  /** Has so many bytes of memory touched, and answers with how many those are. */
  readonly warm?: (bytes: number) => Promise<number>;
  readonly signal?: AbortSignal;
  readonly told?: (row: RunnableRow, contestant: RunnableContestant, round: number) => void;
}
export interface RowResult {
  readonly row: Row;
  readonly rounds: number;
  readonly amount: string;
  /** What all runs took, starts and checks among it. */
  readonly wholeSeconds: number;
  readonly out: Record<string, string>;
  readonly failed: Record<string, string>;
  readonly figures: Record<string, Record<string, unknown>[]>;
}
export function runRow(row: RunnableRow, settings: RowSettings): Promise<RowResult>;
