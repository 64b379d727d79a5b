/** `moraine verify DIR`: everything in a store held against everything else. */
import { verifyStore } from "../index.ts";
import { readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { countText } from "./readable.ts";

const USAGE = `usage: moraine verify DIR [--deep] [--json]

Records, queue entries, index, checkpoint, sidecar and tables, each against the others. Nothing in DIR changes; also where
the store cannot be opened.

  --deep   every byte; else structure, sizes, the ends of log and queues, and samples
  --json   findings and the result as one object a line

Findings go to standard error, each with what mends it; the exit code is then 2.`;

export const verify: Command = {
  summary: "everything in the store against everything else: what is damaged, missing or stale, and what mends it",
  usage: USAGE,
  async run(args: string[], output: Output): Promise<void> {
    const { dir, values } = readArguments(args, { deep: { type: "boolean" } });
    const deep = values.deep === true;
    const findings = await verifyStore(dir, { deep });
    for (const finding of findings) output.finding(finding);
    const count = output.findings;
    output.line(output.json ? JSON.stringify({ verified: { deep, findings: count } }) : result(deep, count));
  },
};

function result(deep: boolean, count: number): string {
  const looked = deep ? "every byte was looked at" : "structure and samples were looked at (--deep: every byte)";
  return `${count === 0 ? "no findings" : countText(count, "finding")}: ${looked}`;
}
