/** Apache RocketMQ as a judge of many stores at once: one Java process that carries out commands (oracle/README.md, `serve`). */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** The program. */
export const ORACLE: string = join(import.meta.dirname, "oracle/oracle");

interface EndLine {
  kind: "end";
  id: number;
  code: number;
  error?: string;
}

/** RocketMQ leaves threads behind at every closing: after so many commands another process takes over. */
const COMMANDS_OF_A_PROCESS = 120;

/** What became of a command. */
export interface Answer {
  /** Exit code (oracle/README.md). */
  code: number;
  lines: { kind: string }[];
  error?: string;
}

interface Asked {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  what: string;
}

/** One Java process. */
class Process {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #asked = new Map<number, Asked>();
  readonly #closed: Promise<unknown>;
  #commands = 0;
  #lines: { kind: string }[] = [];
  #err = "";

  constructor(rocketmq: string) {
    this.#child = spawn(ORACLE, ["serve", "--rocketmq", rocketmq], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdin.on("error", () => {
      // It is gone; `close` tells everybody who waits.
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#err += text;
    });
    createInterface({ input: this.#child.stdout }).on("line", (text) => this.#take(JSON.parse(text)));
    this.#closed = once(this.#child, "close").then(([code]) => {
      for (const { what, reject } of this.#asked.values()) {
        reject(new Error(`the oracle ended with ${code} while it did ${what}: ${this.#err}`));
      }
    });
  }

  get isUsedUp(): boolean {
    return this.#commands >= COMMANDS_OF_A_PROCESS || this.#child.exitCode !== null;
  }

  ask(words: readonly string[]): Promise<Answer> {
    const id = this.#commands;
    this.#commands += 1;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject, what: words.join(" ") });
      this.#child.stdin.write(`${JSON.stringify({ id, command: words })}\n`);
    });
  }

  /** Lets it finish what it was asked for, and waits for its end. */
  async end(): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
  }

  #take(line: { kind: string }): void {
    if (line.kind !== "end") {
      this.#lines.push(line);
      return;
    }
    const { id, code, error } = line as EndLine;
    const lines = this.#lines;
    this.#lines = [];
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    asked?.resolve({ code, lines, ...(error === undefined ? {} : { error }) });
  }
}

/** RocketMQ's releases, each in a process that is started when it is first asked. */
export class ServedOracle {
  readonly #running = new Map<string, Process>();
  readonly #usedUp: Promise<void>[] = [];

  /** The lines that a command prints; rejects if it does not succeed. */
  async ask(rocketmq: string, ...words: string[]): Promise<{ kind: string }[]> {
    const { code, lines, error } = await this.attempt(rocketmq, ...words);
    if (code === 0) return lines;
    throw new Error(`the oracle answered ${words.join(" ")} with ${code}: ${error ?? JSON.stringify(lines.at(-1))}`);
  }

  /** What becomes of a command, whatever that is. */
  attempt(rocketmq: string, ...words: string[]): Promise<Answer> {
    let process = this.#running.get(rocketmq);
    if (process?.isUsedUp) {
      this.#usedUp.push(process.end());
      process = undefined;
    }
    if (process === undefined) {
      process = new Process(rocketmq);
      this.#running.set(rocketmq, process);
    }
    return process.ask(words);
  }

  async end(): Promise<void> {
    await Promise.all([...this.#usedUp, ...[...this.#running.values()].map((process) => process.end())]);
  }
}
