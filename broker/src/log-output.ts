/** Where the commands write: their logs, and what they say to whoever started them. */
import { writeFileSync } from "node:fs";
import { type DestinationStream, destination } from "pino";

export const STANDARD_OUTPUT = 1;
export const STANDARD_ERROR = 2;

/** What could not be written is kept up to this, and tried again with the next line; more is left out. */
const KEPT_BYTES = 1_048_576;

/** A log that cannot be written, as on a disk that is full, is no reason for anything else to fail. */
export function logOutput(descriptor: number): DestinationStream {
  const output = destination({ dest: descriptor, sync: true, maxLength: KEPT_BYTES });
  output.on("error", () => {});
  return output;
}

/**
 * Says something to whoever started the command. Output that cannot be written, on a full disk or as nobody reads it any more, ends
 * nothing, as an error of `process.stdout` that nobody listens to would.
 */
export function say(descriptor: number, text: string): void {
  try {
    writeFileSync(descriptor, text);
  } catch {
    // There is nobody to tell.
  }
}

/** For Commander, which says by itself what the options are, and what is wrong with them. */
export const COMMAND_OUTPUT = {
  writeOut: (text: string): void => say(STANDARD_OUTPUT, text),
  writeErr: (text: string): void => say(STANDARD_ERROR, text),
};
