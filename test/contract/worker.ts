/** Threads that share a store with the test: see worker.mjs. */
import { Worker } from "node:worker_threads";
import { onTestFinished } from "vitest";
import type { StoreErrorCode } from "../../src/index.ts";

interface Answer {
  readonly id?: number;
  readonly listening?: true;
  readonly result?: unknown;
  readonly error?: { code: StoreErrorCode; message: string; details: Record<string, unknown> };
}

/** What a thread's call rejects with: the error as it crosses. */
export class Refused extends Error {
  readonly code: StoreErrorCode;
  readonly details: Record<string, unknown>;

  constructor({ code, message, details }: NonNullable<Answer["error"]>) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

export class Thread {
  readonly #worker: Worker;
  readonly #calls: Map<number, { resolve(value: unknown): void; reject(error: Error): void }> = new Map();
  readonly #listening: (() => void)[] = [];
  #last = 0;

  constructor(token: unknown) {
    this.#worker = new Worker(new URL("./worker.mjs", import.meta.url), { workerData: token });
    this.#worker.on("message", (answer: Answer) => this.#arrive(answer));
    this.#worker.on("error", (error) => {
      for (const { reject } of this.#calls.values()) reject(error);
    });
    onTestFinished(async () => void (await this.#worker.terminate()));
  }

  call<T>(deed: string, ...given: unknown[]): Promise<T> {
    this.#last += 1;
    const id = this.#last;
    const done = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    this.#worker.postMessage({ id, deed, given });
    return done as Promise<T>;
  }

  /** Starts a deed that says when it has begun. */
  async begin<T>(deed: string, ...given: unknown[]): Promise<{ done: Promise<T> }> {
    const begun = new Promise<void>((resolve) => this.#listening.push(resolve));
    const done = this.call<T>(deed, ...given);
    await begun;
    return { done };
  }

  /** Ends the thread wherever it is. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #arrive({ id, listening, result, error }: Answer): void {
    if (listening) {
      this.#listening.shift()?.();
      return;
    }
    const call = this.#calls.get(id ?? 0);
    this.#calls.delete(id ?? 0);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Refused(error));
  }
}

/** A thread that has the store of a token open. */
export async function attached(token: string): Promise<Thread> {
  const thread = new Thread(token);
  await thread.call("attach");
  return thread;
}

/** The code that a thread's call is refused with. */
export async function refusal(call: Promise<unknown>): Promise<StoreErrorCode | "ok"> {
  try {
    await call;
    return "ok";
  } catch (error) {
    return (error as Refused).code;
  }
}
