/** Where a command writes: results to standard output, what it noticed to standard error. */
import type { Writable } from "node:stream";
import type { Finding } from "../index.ts";
import { findingText, safeText } from "./readable.ts";

/** Characters gathered before a write. */
const CHUNK = 1 << 16;

/** The reader of standard output has gone, as `head` does: nothing is left to do, and nothing is wrong. */
export class OutputClosed extends Error {}

/** Lines to standard output, in chunks, never ahead of who reads them. */
export class Output {
  readonly json: boolean;
  readonly #out: Writable;
  readonly #err: Writable;
  readonly #noticed = new Set<string>();
  #lines: string[] = [];
  #length = 0;

  constructor(out: Writable, err: Writable, json: boolean) {
    this.#out = out;
    this.#err = err;
    this.json = json;
    // Every write has a callback that gets the error; without a listener the same error would end the process.
    for (const stream of [out, err]) if (stream.listenerCount("error") === 0) stream.on("error", () => {});
  }

  /** Findings written so far. */
  get findings(): number {
    return this.#noticed.size;
  }

  /** Takes one line. Returns a promise when a chunk is full: wait for it before the next line. */
  line(text: string): Promise<void> | undefined {
    this.#lines.push(text);
    this.#length += text.length + 1;
    return this.#length < CHUNK ? undefined : this.flush();
  }

  /** Writes what was gathered. Rejects with OutputClosed when nobody reads any more. */
  async flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const chunk = `${this.#lines.join("\n")}\n`;
    this.#lines = [];
    this.#length = 0;
    await new Promise<void>((resolve, reject) => {
      this.#out.write(chunk, (error) => {
        if (error == null) resolve();
        else reject((error as NodeJS.ErrnoException).code === "EPIPE" ? new OutputClosed() : error);
      });
    });
  }

  /** One finding, one line on standard error; the same place is named once. */
  finding(finding: Finding): void {
    const place = `${finding.kind}\n${finding.file}\n${finding.offset}`;
    if (this.#noticed.has(place)) return;
    this.#noticed.add(place);
    this.#err.write(`${this.json ? JSON.stringify({ finding }) : findingText(finding)}\n`);
  }

  /** Why the command failed, on standard error. `code` is the one of a StoreError. */
  failure(message: string, code: string | undefined): void {
    const text = code === undefined || message.startsWith(code) ? message : `${code}: ${message}`;
    // Names of files stand in it as they are on the disk.
    const lines = text.split("\n").map(safeText).join("\n");
    this.#err.write(`${this.json ? JSON.stringify({ error: { code, message } }) : `moraine: ${lines}`}\n`);
  }
}
