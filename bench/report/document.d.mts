import type { Row } from "../rows/rows.mjs";
import type { Target } from "../rules/judgement.mjs";
import type { Run } from "../rules/resumption.mjs";

export type KeptRun = Run & { readonly at: string };
export function latest(runs: readonly KeptRun[]):
  | {
      figures: Record<string, Record<string, unknown>[]>;
      rounds: number;
      commit: string | undefined;
      machine: string;
      amount: string;
      at: string;
    }
  | undefined;
export function filled(template: string, parts: Readonly<Record<string, string>>): string;
export function rowPart(
  row: Row,
  targets: readonly Target[],
  runs: readonly KeptRun[],
): { text: string; plot?: string | undefined };
export function summaryTable(
  rows: readonly Row[],
  targetsOf: (row: Row) => readonly Target[],
  runsOf: (row: Row) => readonly KeptRun[],
): string;
export function peersTable(
  peers: Readonly<Record<string, { title: string; process: string; power: string; rest: string }>>,
): string;
export function machinesTable(
  machines: Readonly<
    Record<string, { processors: string; memoryBytes: number; system: string; fileSystem: string; node: string }>
  >,
): string;
