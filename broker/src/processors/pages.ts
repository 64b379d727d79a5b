/** Tables that are answered a page at a time. */

import { type DataVersion, readDataVersion, sameDataVersion } from "../protocol/bodies/data-version.ts";
import type { Command } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { parseJson } from "../protocol/json-parse.ts";
import { RequestError } from "../protocol/request-error.ts";

export interface PageOptions {
  readonly isPaged: boolean;
  /** Names of the fields for the first item and for how many. */
  readonly from: string;
  readonly max: string;
  /** Most items of a page. */
  readonly largest: number;
  readonly version: DataVersion;
}

/**
 * The items of the page that a request asks for, in order of their names; all where it asks for none, as older clients do.
 * Who has come with another version of the table begins with the first page again.
 */
export function pageOf<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  request: Command,
  options: PageOptions,
): readonly T[] {
  const fields = new Fields(request.ext);
  const version = fields.optionalText("dataVersion");
  const from = fields.optionalInt(options.from);
  const max = fields.optionalInt(options.max);
  if (!options.isPaged || (version === undefined && from === undefined && max === undefined)) return items;
  const start = version !== undefined && isCurrent(version, options.version) ? Math.max(from ?? 0, 0) : 0;
  const size = Math.min(options.largest, Math.max(max ?? options.largest, 0));
  const sorted = [...items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  return sorted.slice(start, start + size);
}

function isCurrent(text: string, version: DataVersion): boolean {
  try {
    return sameDataVersion(readDataVersion(parseJson(text)), version);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RequestError) return false;
    throw error;
  }
}
