/** The system's number of an error that `node:fs` reports. */
import { constants } from "node:os";

/**
 * Above 0, as the system counts; undefined where the error is none of the system's. Node and Bun say it with the sign
 * turned; Deno of some calls says the name alone.
 */
export function errnoOf(error: unknown): number | undefined {
  const { code, errno } = error as NodeJS.ErrnoException;
  if (typeof errno === "number") return Math.abs(errno);
  const known: Readonly<Record<string, number>> = constants.errno;
  return code === undefined ? undefined : known[code];
}
