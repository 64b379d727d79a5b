export interface RowName {
  readonly name: string;
  readonly number: number;
  readonly main?: boolean;
  /** Other workloads that it measures. */
  readonly also?: readonly number[];
}
export interface Settings<T> {
  rounds: number;
  messages: number | undefined;
  gigabytes: number;
  dir: string;
  results: string | undefined;
  again: boolean;
  smoke: boolean;
  report: boolean;
  micro: boolean;
  list: boolean;
  help: boolean;
  rows: T[];
}
export class UsageError extends Error {}
export const HELP: string;
export function parse<T extends RowName>(words: readonly string[], rows: readonly T[]): Settings<T>;
