/** What goes wrong in the store while the broker runs, told in its log: by itself the store tells those alone who ask. */
import { type Finding, type Store, StoreError } from "moraine";
import type { Log } from "../log.ts";
import { monotonicNow } from "./clock.ts";

export interface StoreHealthParts {
  readonly store: Store;
  readonly log: Log;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: (() => number) | undefined;
}

/** The same refusal is told once in so long. */
const REFUSAL_MS = 60_000;
/** What is wrong with a message, or too much at once, and nothing with the store. */
const NOT_OF_STORE: ReadonlySet<string> = new Set(["STORE_BUSY", "STORE_MESSAGE_TOO_LARGE", "STORE_INVALID_ARGUMENT"]);

interface Refusals {
  toldAt: number;
  untold: number;
}

export class StoreHealth {
  readonly #store: Store;
  readonly #log: Log;
  readonly #now: () => number;
  /** What is told, as long as it is so. */
  #told: ReadonlyMap<string, Finding>;
  /** By the code of the error. */
  readonly #refusals: Map<string, Refusals> = new Map();

  /** What was found when the store was opened is told elsewhere. */
  constructor({ store, log, now = monotonicNow }: StoreHealthParts) {
    this.#store = store;
    this.#log = log;
    this.#now = now;
    this.#told = this.#found();
  }

  /** Tells what is wrong since the last look, and what is not any more. */
  look(): void {
    const found = this.#found();
    for (const [key, finding] of found) {
      if (!this.#told.has(key)) this.#log.error({ finding }, `the store is not well: ${finding.message}`);
    }
    for (const [key, { kind, file }] of this.#told) {
      if (!found.has(key)) this.#log.info({ kind, file }, "what was wrong with the store is right again");
    }
    this.#told = found;
  }

  /** A message was not taken. */
  refused(error: unknown): void {
    if (!(error instanceof StoreError) || NOT_OF_STORE.has(error.code)) return;
    const now = this.#now();
    const known = this.#refusals.get(error.code);
    if (known !== undefined && now - known.toldAt < REFUSAL_MS) {
      known.untold++;
      return;
    }
    this.#refusals.set(error.code, { toldAt: now, untold: 0 });
    this.#log.error({ err: error, before: known?.untold ?? 0 }, "the store does not take messages");
  }

  #found(): ReadonlyMap<string, Finding> {
    const { findings } = this.#store.health();
    return new Map(findings.map((finding) => [`${finding.kind}\n${finding.file}\n${finding.offset}`, finding]));
  }
}
