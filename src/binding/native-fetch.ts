/** Reads of the addon that answer by an event, as promises. */
import type { StoreError } from "../errors.ts";
import type { EngineFetch, FetchedMessages } from "./contract.ts";
import type { ProcessHold } from "./process-hold.ts";

/** What the addon exports for them (native/napi/src/fetch.rs). */
export interface FetchAddon {
  fetch(
    handle: number,
    fetch: number,
    topic: string,
    queueId: number,
    queueOffset: number,
    max: number,
    maxBytes: number,
    filter: Uint8Array,
  ): void;
  fetchAt(handle: number, fetch: number, physicalOffset: number): void;
  forgetFetch(handle: number, fetch: number): void;
  takeFetched(handle: number, fetch: number): FetchedMessages;
}

interface Waiting {
  resolve(fetched: FetchedMessages): void;
  reject(error: StoreError): void;
}

/** Those of one store. */
export class NativeFetches {
  readonly #take: (fetch: number) => FetchedMessages;
  readonly #forget: (fetch: number) => void;
  readonly #hold: ProcessHold;
  readonly #waiting: Map<number, Waiting> = new Map();
  #last = 0;

  constructor(take: (fetch: number) => FetchedMessages, forget: (fetch: number) => void, hold: ProcessHold) {
    this.#take = take;
    this.#forget = forget;
    this.#hold = hold;
  }

  /** `ask` asks the addon; what it throws is thrown. Holds the process until somebody has the answer, or nobody waits. */
  start(ask: (fetch: number) => void): EngineFetch<FetchedMessages> {
    const fetch = nextNumber(this.#last, this.#waiting);
    this.#last = fetch;
    ask(fetch);
    this.#hold.take();
    const done = new Promise<FetchedMessages>((resolve, reject) => this.#waiting.set(fetch, { resolve, reject }));
    return { done, forget: () => this.#leave(fetch) };
  }

  /** The event of a fetch. */
  arrived(fetch: number, error: StoreError | undefined): void {
    const fetched = error === undefined ? this.#take(fetch) : undefined;
    const waiting = this.#waiting.get(fetch);
    if (waiting === undefined) return;
    this.#end(fetch);
    if (fetched !== undefined) waiting.resolve(fetched);
    else if (error !== undefined) waiting.reject(error);
  }

  #leave(fetch: number): void {
    if (!this.#waiting.has(fetch)) return;
    this.#end(fetch);
    this.#forget(fetch);
  }

  #end(fetch: number): void {
    this.#waiting.delete(fetch);
    this.#hold.release();
  }
}

/** The number behind `last` as the addon takes numbers, unsigned and of 32 bits, that nobody who waits has. */
export function nextNumber(last: number, waiting: ReadonlyMap<number, unknown>): number {
  let next = last;
  do next = (next + 1) >>> 0;
  while (waiting.has(next));
  return next;
}
