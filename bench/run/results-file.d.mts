import type { Run } from "../rules/resumption.mjs";

export class ResultsFiles {
  constructor(folder: string);
  runsOf(row: string): Run[];
  add(row: string, run: Run): void;
  machines(): Record<string, Record<string, unknown>>;
  addMachine(machine: { readonly id: string }): void;
}
