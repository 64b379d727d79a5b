export interface RunKey {
  readonly contestant: string;
  readonly round: number;
  readonly commit: string | undefined;
  readonly machine: string;
  readonly amount: string;
}
export interface Run extends RunKey {
  readonly figures?: Readonly<Record<string, unknown>>;
  readonly failed?: string;
  /** Bytes of memory that were touched before. */
  readonly warmBytes?: number;
  /** From its start to its end, with checks. */
  readonly wholeSeconds?: number;
}
export function isSame(kept: Run, wanted: RunKey): boolean;
export function isKept(runs: readonly Run[], wanted: RunKey): boolean;
export function withRun(runs: readonly Run[], run: Run): Run[];
export function figuresOf(
  runs: readonly Run[],
  of: Pick<RunKey, "commit" | "machine" | "amount">,
  rounds?: number,
): Record<string, Record<string, unknown>[]>;
