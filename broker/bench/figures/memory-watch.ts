/** Memory of another process while it runs. */
import { readFileSync } from "node:fs";

/** Between two looks. One costs the process nothing: the system keeps these counts. */
const PERIOD_MS = 250;

export interface Memory {
  /** The most of anonymous memory: what is no page of a file. */
  readonly privateBytes: number;
  /** The most that was resident, pages of files among it. */
  readonly residentBytes: number;
}

/** Bytes of a line of `/proc/PID/status` or `smaps_rollup`. */
export function bytesOf(text: string, field: string): number {
  const [, kibibytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(text) ?? [];
  if (kibibytes === undefined) throw new Error(`there is no line ${field}`);
  return Number(kibibytes) * 1024;
}

export class MemoryWatch {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #privateBytes = 0;
  #residentBytes = 0;

  constructor(pid: number) {
    this.#pid = pid;
    this.#look();
    this.#timer = setInterval(() => this.#look(), PERIOD_MS);
  }

  stop(): Memory {
    clearInterval(this.#timer);
    this.#look();
    return { privateBytes: this.#privateBytes, residentBytes: this.#residentBytes };
  }

  /** Memory that would be free if the process ended now and nobody read its files: of mappings, too, what is not written back. */
  dirtyBytes(): number {
    return bytesOf(this.#read("smaps_rollup"), "Private_Dirty");
  }

  #look(): void {
    const status = this.#read("status");
    // Without these lines it is a zombie.
    if (!status.includes("RssAnon:")) return;
    this.#privateBytes = Math.max(this.#privateBytes, bytesOf(status, "RssAnon"));
    this.#residentBytes = Math.max(this.#residentBytes, bytesOf(status, "VmRSS"));
  }

  /** Empty where there is no such process any more, which others notice. */
  #read(name: string): string {
    try {
      return readFileSync(`/proc/${this.#pid}/${name}`, "latin1");
    } catch {
      return "";
    }
  }
}
