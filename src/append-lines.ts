/**
 * The lines of all store objects by which this thread has a store open, as `Store.attach` of a token of the same thread makes
 * a second one: whoever uses one of them finds what was appended by the others before, in the order of the calls.
 */

/** What has messages gathered that are to be put. */
interface Line {
  putGathered(): void;
}

export class AppendLines {
  /** A new list for each change: who hears of a message may close a store. */
  #lines: readonly Line[] = [];

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  add(line: Line): void {
    this.#lines = [...this.#lines, line];
  }

  delete(line: Line): void {
    this.#lines = this.#lines.filter((other) => other !== line);
  }

  putAll(): void {
    const lines = this.#lines;
    for (let n = 0; n < lines.length; n++) (lines[n] as Line).putGathered();
  }

  putOthers(own: Line): void {
    const lines = this.#lines;
    if (lines.length < 2) return;
    for (const line of lines) if (line !== own) line.putGathered();
  }
}

const byPath = new Map<string, AppendLines>();

/** Those of the store in a directory. */
export function linesOf(path: string): AppendLines {
  for (const [known, lines] of byPath) if (lines.isEmpty) byPath.delete(known);
  const lines = byPath.get(path) ?? new AppendLines();
  byPath.set(path, lines);
  return lines;
}
