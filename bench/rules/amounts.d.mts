import type { Contestant } from "./judgement.mjs";

export interface Job {
  readonly messages?: number;
  readonly bodyBytes?: number;
}
export interface SizedContestant extends Contestant {
  readonly job?: Job | readonly Job[];
  /** What its store comes to, where messages do not say it. */
  readonly bytes?: number;
}
export interface SizedRow {
  readonly messages: number;
  /** Messages by family of contestants, where they differ from the row's. */
  readonly amounts?: Readonly<Record<string, number>>;
  readonly smoke?: number;
  readonly gigabytes?: boolean;
  readonly kept?: boolean;
  readonly bodyBytes?: number;
  readonly contestants: readonly SizedContestant[];
}
export interface Sizes {
  readonly messages: number | undefined;
  readonly gigabytes: number;
  readonly smoke: boolean;
}
export function messagesOf(row: SizedRow, settings: Sizes, contestant?: SizedContestant): number;
export function amountFor(job: Job, messages: number, smoke: boolean): number;
export function amountOf(row: SizedRow, settings: Sizes): string;
export function bytesOf(row: SizedRow, contestant: SizedContestant, settings: Sizes): number;
export function bytesToWarm(row: SizedRow, settings: Sizes): number;
export function boundedBy(wanted: number, memory: { readonly free: number; readonly available: number }): number;
export function roomLacking(
  row: SizedRow,
  contestant: SizedContestant,
  settings: Sizes,
  free: number,
): string | undefined;
