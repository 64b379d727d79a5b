// bench/results/ROW.json: every run of a row, and machines.json: where they were made.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withRun } from "../rules/resumption.mjs";

export class ResultsFiles {
  constructor(folder) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  runsOf(row) {
    return this.#read(`${row}.json`)?.runs ?? [];
  }

  /** Written after every run: what a run has cost is not lost. */
  add(row, run) {
    this.#write(`${row}.json`, { row, runs: withRun(this.runsOf(row), run) });
  }

  machines() {
    return this.#read("machines.json") ?? {};
  }

  addMachine({ id, ...described }) {
    const machines = this.machines();
    if (machines[id] === undefined) this.#write("machines.json", { ...machines, [id]: described });
  }

  #read(name) {
    const path = join(this.folder, name);
    if (!existsSync(path)) return undefined;
    try {
      return JSON.parse(readFileSync(path, "utf8"));
    } catch (error) {
      throw new Error(`${path} is no JSON (${error.message}): remove it, or take it back from git`);
    }
  }

  #write(name, value) {
    const path = join(this.folder, name);
    writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 1)}\n`);
    renameSync(`${path}.new`, path);
  }
}
