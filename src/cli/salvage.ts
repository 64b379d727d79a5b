/** `moraine salvage DIR OUT`: whole records of a damaged store into a new one. */
import { salvageStore } from "../index.ts";
import { readTwoDirectories } from "./arguments.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { bytesText, countText } from "./readable.ts";

const USAGE = `usage: moraine salvage DIR OUT [--json]

Saves every whole record of the store in DIR into a new store in OUT, which must be empty or not there. DIR is only read.
Messages keep their queue offsets and all they say; their places in the log change. config/ is copied.

  --json   findings and the result as one object a line

What was lost or left out is named on standard error; the exit code is then 2.`;

export const salvage: Command = {
  summary: "save every whole record of a damaged store into a new one",
  usage: USAGE,
  async run(args: string[], output: Output): Promise<void> {
    const { dir, out } = readTwoDirectories(args);
    const { findings, ...saved } = await salvageStore(dir, out);
    for (const finding of findings) output.finding(finding);
    if (output.json) {
      output.line(JSON.stringify({ salvaged: saved }));
      return;
    }
    const { messages, bytes, lostRanges, lostBytes } = saved;
    const lost =
      lostRanges === 0 ? "nothing was lost" : `${bytesText(lostBytes)} in ${countText(lostRanges, "place")} lost`;
    output.line(`${countText(messages, "message")} (${bytesText(bytes)}) saved; ${lost}`);
  },
};
