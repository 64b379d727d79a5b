/** A client program (README.md) under control of a test: what it is told, what it answers, what its consumers were given. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";

/** A message as a client shows it; times in ms, `body` only if short. */
export interface Received {
  topic: string;
  queueId: number;
  queueOffset: number;
  msgId: string;
  tags: string | null;
  keys: string | null;
  reconsumeTimes: number;
  properties: Record<string, string>;
  body?: string;
  bodyLength: number;
  bodySha256: string;
  sysFlag: number;
  bornTimestamp: number;
  storeTimestamp: number;
  [field: string]: unknown;
}

/** What a consumer was given, and what it said. */
export interface Consumed {
  consumer: string;
  /** Whether the listener was content. */
  good: boolean;
  /** Messages of the same call of the listener. */
  of: number;
  /** When, in ms. */
  at: number;
  message: Received;
}

/** RocketMQ's exception and its causes, outermost first. */
export interface Failure {
  type: string;
  code?: number;
  message: string;
}

/** One send. */
export interface Sent {
  status?: string;
  msgId?: string;
  offsetMsgId?: string;
  queueId?: number;
  queueOffset?: number;
  error?: Failure[];
  [field: string]: unknown;
}

/** The client threw. */
export class ClientFailure extends Error {
  readonly failures: readonly Failure[];

  constructor(command: object, failures: readonly Failure[]) {
    super(
      `${JSON.stringify(command)} failed: ${failures.map((f) => `${f.type}(${f.code ?? ""}) ${f.message}`).join(" ← ")}`,
    );
    this.name = "ClientFailure";
    this.failures = failures;
  }
}

interface Waiting {
  command: object;
  resolve(answer: never): void;
  reject(error: Error): void;
}

export class Driver {
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #log: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #consumed: Consumed[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #ready: Promise<void>;
  readonly #closed: Promise<unknown>;
  #commands = 0;

  /** Starts the program; what it prints besides its answers goes to the file `log`. */
  constructor(command: readonly string[], log: string, env: NodeJS.ProcessEnv = process.env) {
    const [program = "", ...args] = command;
    this.#log = log;
    const errors = openSync(log, "a");
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", errors], env });
    closeSync(errors);
    const { stdin, stdout } = this.#child;
    if (stdin === null || stdout === null) throw new Error("a pipe is missing");
    this.#input = stdin;
    this.#input.on("error", () => {
      // It is gone; whoever waits is told by `close`.
    });
    let ready: () => void = () => {};
    this.#ready = new Promise((resolve, reject) => {
      ready = resolve;
      this.#child.once("error", reject);
      this.#child.once("close", (code) => reject(new Error(`the client ended with ${code} (${log})`)));
    });
    this.#ready.catch(() => {
      // Said by `ready()`.
    });
    createInterface({ input: stdout }).on("line", (text) => this.#take(text, ready));
    this.#closed = once(this.#child, "close").then(([code]) => {
      for (const { reject, command: asked } of this.#waiting.values()) {
        reject(new Error(`the client ended with ${code} at ${JSON.stringify(asked)} (${this.#log})`));
      }
    });
  }

  /** Settles when it takes commands. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Carries out a command; throws ClientFailure if the client threw. */
  ask<Answer = Record<string, unknown>>(command: object): Promise<Answer> {
    const id = this.#commands;
    this.#commands += 1;
    return new Promise<Answer>((resolve, reject) => {
      this.#waiting.set(id, { command, resolve: resolve as (answer: never) => void, reject });
      this.#input.write(`${JSON.stringify({ id, ...command })}\n`);
    });
  }

  /** What consumers of these names were given so far. */
  consumed(...consumers: readonly string[]): Consumed[] {
    return this.#consumed.filter(({ consumer }) => consumers.includes(consumer));
  }

  /** Waits until what these consumers were given is enough; throws what came instead after `withinMs`. */
  async until(
    consumers: readonly string[],
    enough: (consumed: Consumed[]) => boolean,
    withinMs: number,
  ): Promise<Consumed[]> {
    return new Promise((resolve, reject) => {
      let soon: NodeJS.Timeout | undefined;
      // A burst of messages is looked at once.
      const hint = (): void => {
        soon ??= setTimeout(look, 20);
      };
      const look = (): void => {
        soon = undefined;
        const consumed = this.consumed(...consumers);
        if (!enough(consumed)) return;
        clearTimeout(timer);
        this.#listeners.delete(hint);
        resolve(consumed);
      };
      const timer = setTimeout(() => {
        clearTimeout(soon);
        this.#listeners.delete(hint);
        const came = this.consumed(...consumers).map(
          ({ consumer, good, message: m }) =>
            `${consumer} ${good} ${m.topic}/${m.queueId}/${m.queueOffset} ${m.tags} ${m.body ?? m.bodyLength} ${m.reconsumeTimes}`,
        );
        reject(
          new Error(
            `${consumers.join(", ")} got in ${withinMs} ms no more than ${came.length} messages:\n${came.join("\n")}`,
          ),
        );
      }, withinMs);
      this.#listeners.add(hint);
      look();
    });
  }

  /** Lets it end by itself: its consumers and producers that still run are not shut down. */
  async end(): Promise<void> {
    this.#input.end();
    await this.#closed;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }

  #take(text: string, ready: () => void): void {
    // Libraries print to standard output as they like.
    if (!text.startsWith('{"')) return;
    const line = JSON.parse(text) as { kind: string; id: number; error: Failure[] };
    if (line.kind === "ready") ready();
    else if (line.kind === "message") {
      this.#consumed.push(line as unknown as Consumed);
      for (const listener of [...this.#listeners]) listener();
    } else {
      const waiting = this.#waiting.get(line.id);
      this.#waiting.delete(line.id);
      if (line.kind === "done") waiting?.resolve(line as never);
      else waiting?.reject(new ClientFailure(waiting.command, line.error));
    }
  }

  /** The end of what it printed besides, for a failed test. */
  get printed(): string {
    return readFileSync(this.#log, "utf8").slice(-2000);
  }
}
