/** A child process whose output is kept in a file, and how it is waited for and ended. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";

export class Process {
  readonly child: ChildProcess;
  readonly #log: string;
  readonly #name: string;

  private constructor(name: string, child: ChildProcess, log: string) {
    this.#name = name;
    this.child = child;
    this.#log = log;
  }

  /** Starts `command`; both its outputs are appended to the file `log`. */
  static start(name: string, command: readonly string[], log: string, env: NodeJS.ProcessEnv = process.env): Process {
    const [program = "", ...args] = command;
    const out = openSync(log, "a");
    try {
      const child = spawn(program, args, { stdio: ["ignore", out, out], env });
      live.add(child);
      child.once("close", () => live.delete(child));
      return new Process(name, child, log);
    } finally {
      closeSync(out);
    }
  }

  /** Waits until its output, from byte `from` on, matches. */
  async printed(pattern: RegExp, withinMs: number, from = 0): Promise<void> {
    const until = Date.now() + withinMs;
    for (;;) {
      const text = readFileSync(this.#log, "utf8").slice(from);
      if (pattern.test(text)) return;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw this.#failure("ended before it was ready", text);
      if (Date.now() > until) throw this.#failure(`was not ready after ${withinMs} ms`, text);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Sends a signal and waits for the end; a process that does not follow within `withinMs` is killed, and that is an error. */
  async end(signal: "SIGTERM" | "SIGKILL", withinMs = 30_000): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const closed = once(this.child, "close");
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), withinMs);
    await closed;
    clearTimeout(timer);
    if (signal === "SIGTERM" && this.child.signalCode === "SIGKILL") {
      throw this.#failure(`did not end within ${withinMs} ms of SIGTERM`, readFileSync(this.#log, "utf8"));
    }
  }

  #failure(what: string, text: string): Error {
    return new Error(`${this.#name} ${what}; its output (${this.#log}) ends with:\n${text.slice(-3000)}`);
  }
}

const live = new Set<ChildProcess>();
// A run that breaks off must not leave brokers behind.
process.once("exit", () => {
  for (const child of live) child.kill("SIGKILL");
});
