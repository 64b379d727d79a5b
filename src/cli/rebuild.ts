/** `moraine rebuild DIR`: derived files made again from the log. */
import { rebuildStore } from "../index.ts";
import { readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { countText } from "./readable.ts";

const USAGE = `usage: moraine rebuild DIR [--queues] [--index] [--json]

Makes consume queues, the index, or without an option both, again from the log. The store must not be open anywhere; ended
in the middle, the work is finished when it is next opened for writing.

  --queues  consume queues, batch queues and extension files
  --index   the key index
  --json    findings and the result as one object a line

What was noticed in the log is named on standard error; the exit code is then 2.`;

export const rebuild: Command = {
  summary: "make queues and index again from the log",
  usage: USAGE,
  async run(args: string[], output: Output): Promise<void> {
    const { dir, values } = readArguments(args, { queues: { type: "boolean" }, index: { type: "boolean" } });
    const isBoth = values.queues !== true && values.index !== true;
    const what = { queues: isBoth || values.queues === true, index: isBoth || values.index === true };
    const { messages, findings } = await rebuildStore(dir, what);
    for (const finding of findings) output.finding(finding);
    if (output.json) {
      output.line(JSON.stringify({ rebuilt: { ...what, messages } }));
    } else {
      const made = [what.queues ? "queues" : "", what.index ? "index" : ""].filter((name) => name !== "").join(" and ");
      output.line(`${made} made again from ${countText(messages, "message")}`);
    }
  },
};
