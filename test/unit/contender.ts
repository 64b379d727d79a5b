/** Processes and threads that take stores: see test/faults/contender.mjs. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { onTestFinished } from "vitest";
import { loadEngine } from "../../src/binding/load.ts";

export type EngineName = "wasm" | "native";

/** An error as it crosses. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly details?: Record<string, unknown>;
}

export interface Counts {
  taken: number;
  refused: number;
  /** How often another had the store at the same time. */
  together: number;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: Refusal;
}

const program = new URL("../faults/contender.mjs", import.meta.url);

export class Contender {
  readonly #end: ChildProcess | Worker;
  readonly #waiting: Map<number, (answer: Answer) => void> = new Map();
  #last = 0;

  private constructor(end: ChildProcess | Worker) {
    this.#end = end;
    end.on("message", (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    end.on("exit", () => {
      const error = { code: "ended", message: "the contender has ended" };
      for (const [id, settle] of this.#waiting) settle({ id, error });
      this.#waiting.clear();
    });
    onTestFinished(() => this.kill());
  }

  static process(env: Record<string, string> = {}): Contender {
    return new Contender(
      fork(program, { env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit", "ipc"] }),
    );
  }

  static thread(): Contender {
    return new Contender(new Worker(program));
  }

  /** What the call answers with, be it an error. */
  ask(deed: string, ...given: unknown[]): Promise<{ result?: unknown; error?: Refusal }> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      if (this.#end instanceof Worker) this.#end.postMessage({ id, deed, given });
      else this.#end.send({ id, deed, given });
    });
  }

  async call<T>(deed: string, ...given: unknown[]): Promise<T> {
    const { result, error } = await this.ask(deed, ...given);
    if (error !== undefined) throw Object.assign(new Error(error.message), error);
    return result as T;
  }

  /** What `take` is refused with; undefined where it is not. */
  async refusal(engine: EngineName, root: string): Promise<Refusal | undefined> {
    return (await this.ask("take", engine, root)).error;
  }

  /** Ends it wherever it is. */
  async kill(): Promise<void> {
    if (this.#end instanceof Worker) {
      await this.#end.terminate();
      return;
    }
    const child = this.#end;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
}

/** An empty directory, by a path without links. */
export function emptyRoot(): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "moraine-lock-")));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

/** Whether this machine has the addon; where it has not, there is nobody to compare with. */
export function hasNative(): boolean {
  try {
    loadEngine("native");
    return true;
  } catch {
    return false;
  }
}
