/** Group commit as seen from here: many wait, one sync settles all that it covers. */
import { checkOffset, readOptions } from "./arguments.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import type { LogPositions } from "./log-positions.ts";

export interface AppendOptions {
  /** When to settle: `"disk"` (default with `flush: "sync"`) once durable, `"memory"` (with `"async"`) once in the log. */
  readonly durability?: "disk" | "memory" | undefined;
}

const APPEND_OPTIONS: readonly string[] = ["durability"];

/** When an `append` with these options settles, in a store with this `flush`. */
export function durabilityOf(options: AppendOptions | undefined, flush: "async" | "sync"): "disk" | "memory" {
  const { durability = flush === "sync" ? "disk" : "memory" } = readOptions(options, APPEND_OPTIONS);
  if (durability !== "disk" && durability !== "memory") {
    throw argumentError("options.durability", `durability is ${shown(durability)}; it must be "disk" or "memory"`);
  }
  return durability;
}

interface Waiter {
  /** Settled once the log is durable up to here. */
  readonly offset: number;
  resolve(durableOffset: number): void;
  reject(error: StoreError): void;
}

/** Settled waiters at the front of the line that are not worth a copy of the rest. */
const SETTLED_KEPT = 1024;

/** Those who wait for the durable position, in the order of the offsets they wait for. */
export class FlushWaiters {
  readonly #requestFlush: () => void;
  #line: Waiter[] = [];
  /** Waiters in front of it have been settled. */
  #first = 0;
  #durableOffset: number;
  #requested = false;

  /** `requestFlush` asks the engine for a sync of everything put so far. */
  constructor(requestFlush: () => void, durableOffset: number) {
    this.#requestFlush = requestFlush;
    this.#durableOffset = durableOffset;
  }

  /** The durable position as far as it is known here. */
  get durableOffset(): number {
    return this.#durableOffset;
  }

  get waiting(): number {
    return this.#line.length - this.#first;
  }

  /** As `wait`, for a position that a caller has given, by default the end; throws for one behind it. */
  waitUpTo(upTo: number | undefined, { endOffset, durableOffset }: LogPositions): Promise<number> {
    const offset = upTo === undefined ? endOffset : checkOffset("upTo", upTo);
    if (offset > endOffset) {
      throw new StoreError(
        "STORE_OFFSET_OUT_OF_RANGE",
        `upTo is ${offset}; the log ends at ${endOffset}, and only what was put can be flushed`,
        { details: { argument: "upTo", offset, maximum: endOffset } },
      );
    }
    this.settle(durableOffset);
    return this.wait(offset);
  }

  /** Resolves with the durable position once it has reached `offset`. */
  wait(offset: number): Promise<number> {
    return new Promise((resolve, reject) => this.add(offset, resolve, reject));
  }

  /** As `wait`, for those who have a promise of their own. */
  add(offset: number, resolve: (durableOffset: number) => void, reject: (error: StoreError) => void): void {
    if (offset <= this.#durableOffset) {
      resolve(this.#durableOffset);
      return;
    }
    this.#insert({ offset, resolve, reject });
    this.#request();
  }

  /** The durable position has moved. */
  settle(durableOffset: number): void {
    if (durableOffset > this.#durableOffset) this.#durableOffset = durableOffset;
    const reached = this.#durableOffset;
    const line = this.#line;
    while (this.#first < line.length && (line[this.#first] as Waiter).offset <= reached) {
      (line[this.#first++] as Waiter).resolve(reached);
    }
    this.#tidy();
  }

  /** Everything that was put is durable. */
  settleAll(): void {
    this.settle(this.#line.at(-1)?.offset ?? this.#durableOffset);
  }

  /** Nothing that is not durable yet will be. */
  fail(error: StoreError): void {
    const failed = this.#line.slice(this.#first);
    this.#line = [];
    this.#first = 0;
    for (const waiter of failed) waiter.reject(error);
  }

  #insert(waiter: Waiter): void {
    const line = this.#line;
    const last = line.at(-1);
    if (last === undefined || last.offset <= waiter.offset) {
      line.push(waiter);
      return;
    }
    let low = this.#first;
    let high = line.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((line[middle] as Waiter).offset <= waiter.offset) low = middle + 1;
      else high = middle;
    }
    line.splice(low, 0, waiter);
  }

  /** One request for all who come within the same microtask; each request covers what was put before it. */
  #request(): void {
    if (this.#requested) return;
    this.#requested = true;
    queueMicrotask(() => {
      this.#requested = false;
      if (this.waiting === 0) return;
      try {
        this.#requestFlush();
      } catch (error) {
        this.fail(error as StoreError);
      }
    });
  }

  #tidy(): void {
    if (this.#first === this.#line.length) {
      this.#line = [];
      this.#first = 0;
    } else if (this.#first > SETTLED_KEPT && this.#first > this.#line.length / 2) {
      this.#line = this.#line.slice(this.#first);
      this.#first = 0;
    }
  }
}
