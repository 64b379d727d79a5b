/** Stores in directories of their own, connections without sockets, and a clock that tests move. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Store, type StoreOptions } from "moraine";
import { afterEach } from "vitest";
import type { Log } from "../../../src/log.ts";
import type { Command, FieldValues } from "../../../src/protocol/command.ts";
import type { Clock } from "../../../src/services/clock.ts";
import type { Connection } from "../../../src/transport/connection.ts";

const SIZES = { segmentBytes: 1_048_576, queueFileEntries: 1000, indexSlots: 100, indexEntries: 1000 };
const folders: string[] = [];
const stores = new Set<Store>();

afterEach(async () => {
  await Promise.all([...stores].map((store) => store.close()));
  stores.clear();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "broker-services-"));
  folders.push(folder);
  return join(folder, "store");
}

export async function open(folder: string = newFolder(), options: StoreOptions = {}): Promise<Store> {
  const store = await Store.open(folder, { ...SIZES, ...options });
  stores.add(store);
  return store;
}

/** What was logged: level and sentence. */
export class Logged implements Log {
  readonly lines: string[] = [];
  debug(_: object, sentence: string): void {
    this.lines.push(`debug: ${sentence}`);
  }
  info(_: object, sentence: string): void {
    this.lines.push(`info: ${sentence}`);
  }
  warn(_: object, sentence: string): void {
    this.lines.push(`warn: ${sentence}`);
  }
  error(_: object, sentence: string): void {
    this.lines.push(`error: ${sentence}`);
  }
}

/** The broker's end of a connection. */
export class FakeConnection implements Connection {
  static #ids = 0;
  readonly id: number = ++FakeConnection.#ids;
  readonly remote: { address: string; port: number } = { address: "127.0.0.1", port: 40_000 };
  readonly isSameMachine = true;
  isOpen = true;
  /** Codes and fields that were sent one-way. */
  readonly notices: [code: number, ext: FieldValues][] = [];
  closedBecause: string | undefined;
  readonly #listeners: Set<() => void> = new Set();

  get listeners(): number {
    return this.#listeners.size;
  }

  /** What has to happen before large answers are read. */
  waiting: Promise<void> | undefined;

  writable(): Promise<void> | undefined {
    return this.waiting;
  }

  notify(code: number, ext: FieldValues = {}): void {
    this.notices.push([code, ext]);
  }

  invoke(): Promise<Command> {
    return Promise.reject(new Error("nobody answers here"));
  }

  onClose(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.closedBecause = reason;
    for (const listener of [...this.#listeners]) listener();
  }
}

interface Sleeper {
  readonly at: number;
  wake(): void;
}

/** Time that goes on only when a test says so. */
export class ManualClock implements Clock {
  #now: number;
  readonly #sleepers: Set<Sleeper> = new Set();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** Times at which somebody wants to be woken. */
  get wanted(): number[] {
    return [...this.#sleepers].map(({ at }) => at).sort((a, b) => a - b);
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        this.#sleepers.delete(sleeper);
        resolve();
      };
      const sleeper: Sleeper = { at: this.#now + ms, wake };
      this.#sleepers.add(sleeper);
      signal.addEventListener("abort", wake);
    });
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const sleeper of [...this.#sleepers]) if (sleeper.at <= this.#now) sleeper.wake();
  }
}
