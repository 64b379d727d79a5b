import type { Contestant, Figures } from "../rules/judgement.mjs";
import type { KeptRun } from "./document.mjs";

export interface BrokerContestant extends Contestant {
  readonly id: "moraine-broker" | "rocketmq";
  readonly title: string;
}
export const BROKERS: readonly BrokerContestant[];
export interface BrokerRow {
  readonly name: string;
  readonly title: string;
  readonly flush: "ASYNC_FLUSH" | "SYNC_FLUSH";
  readonly mode: "async" | "sync";
  readonly threads: number;
  readonly outstanding: number;
  readonly consumer: boolean;
}
export const BROKER_ROWS: readonly BrokerRow[];
export interface BrokerVerdict {
  readonly metric: string;
  readonly title: string;
  readonly bound: string;
  readonly met: boolean | undefined;
  readonly value?: number;
}
export function verdicts(row: BrokerRow, figures: Figures): BrokerVerdict[];
export function verdictText(verdict: BrokerVerdict): string;
export function shown(row: BrokerRow, runs: readonly Readonly<Record<string, unknown>>[]): string[];
export const HEADINGS: readonly string[];
/** A run with what it was run by. */
export type BrokerRun = KeptRun & { readonly java?: string };
export function brokerPart(results: {
  readonly runsOf: (row: string) => readonly BrokerRun[];
  readonly machines: Parameters<typeof import("./document.mjs").machinesTable>[0];
}): string;
