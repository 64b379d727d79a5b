/** What `main.ts` knows of a command. */
import type { Output } from "./output.ts";

export interface Command {
  /** Half a line for the list of commands. */
  summary: string;
  /** What `--help` prints. */
  usage: string;
  /** Carries the command out; throws UsageError, StoreError, OutputClosed. */
  run(args: string[], output: Output): Promise<void>;
}
