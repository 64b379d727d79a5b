/** Lines of a stream of bytes, as they come. */

const LINE_END = 0x0a;
const RETURN = 0x0d;

/** A line that is longer than anything that could be made of it. */
export class LineTooLong extends Error {
  /** Counted from 1. */
  readonly line: number;

  constructor(line: number, maximum: number) {
    super(`line ${line} is longer than ${maximum} bytes, the longest body`);
    this.line = line;
  }
}

/**
 * Lines without their ends (LF or CR LF), several at a time: all that one piece of the stream completes. What follows
 * the last line end is a line where it is not empty. Never holds more than a piece and `maximum` bytes.
 */
export async function* readLines(stream: AsyncIterable<Uint8Array>, maximum: number): AsyncGenerator<Uint8Array[]> {
  let pieces: Uint8Array[] = [];
  let held = 0;
  let count = 0;
  for await (const piece of stream) {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let end = piece.indexOf(LINE_END); end >= 0; end = piece.indexOf(LINE_END, from)) {
      lines.push(trimmed([...pieces, piece.subarray(from, end)]));
      pieces = [];
      held = 0;
      from = end + 1;
    }
    count += lines.length;
    if (lines.length > 0) yield lines;
    if (from < piece.length) {
      pieces.push(piece.subarray(from));
      held += piece.length - from;
    }
    // One more for a CR that may still turn out to belong to the line end.
    if (held > maximum + 1) throw new LineTooLong(count + 1, maximum);
  }
  if (held > 0) yield [Buffer.concat(pieces)];
}

function trimmed(pieces: readonly Uint8Array[]): Uint8Array {
  const line = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
  return line.at(-1) === RETURN ? line.subarray(0, -1) : line;
}
