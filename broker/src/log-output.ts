/** Where the commands write: their logs, and what they say to whoever started them. */
import { type DestinationStream, destination } from "pino";

/** What could not be written is kept up to this, and tried again with the next line; more is left out. */
const KEPT_BYTES = 1_048_576;

/** A log that cannot be written, as on a disk that is full, is no reason for anything else to fail. */
export function logOutput(descriptor: number): DestinationStream {
  const output = destination({ dest: descriptor, sync: true, maxLength: KEPT_BYTES });
  output.on("error", () => {});
  return output;
}

/** Standard output and standard error that cannot be written, on a full disk or as nobody reads them any more, end nothing either. */
export function goOnWithoutOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}
