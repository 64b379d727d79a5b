/** Waiting for messages of queues: one watch of the engine for each queue, however many wait for it, and no polling. */
import { checkSignal, throwIfAborted } from "./abort.ts";
import { checkInteger, checkOffset, checkQueueId, readOptions } from "./arguments.ts";
import type { EngineStore } from "./binding/contract.ts";
import { Deadlines } from "./deadlines.ts";
import type { StoreError } from "./errors.ts";
import { Heap } from "./heap.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { checkTopic } from "./topic.ts";
import { Waiter } from "./waiter.ts";

export interface ArrivalOptions {
  /** Ends the wait with `STORE_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which the wait ends with `false`. Default: none. */
  readonly timeoutMs?: number | undefined;
}

const ARRIVAL_OPTIONS: readonly string[] = ["signal", "timeoutMs"];
/** Ready watches that are taken at once. */
const TAKEN_AT_ONCE = 64;

/** A queue that somebody waits for. */
interface Watched {
  readonly name: string;
  readonly watch: number;
  /** By queue offset: those who can be woken stand first. */
  readonly waiters: Heap<Waiter>;
}

export class Arrivals {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  readonly #byName: Map<string, Watched> = new Map();
  readonly #byWatch: Map<number, Watched> = new Map();
  readonly #deadlines: Deadlines<Waiter> = new Deadlines((waiter) => waiter.settle(false));
  readonly #pairs: Float64Array = new Float64Array(2 * TAKEN_AT_ONCE);
  /** Queues whose waiters have all been woken: most wait again at once, the others are dropped in the next turn. */
  readonly #idle: Set<Watched> = new Set();
  #sweep: NodeJS.Immediate | undefined;

  constructor(engine: EngineStore, lifecycle: Lifecycle) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
  }

  get isWaitedFor(): boolean {
    return this.#byWatch.size > 0;
  }

  /** As `Store.arrival`; what is wrong is thrown. */
  arrival(
    topic: string,
    queueId: number,
    queueOffset: number,
    options: ArrivalOptions | undefined,
  ): boolean | Promise<boolean> {
    const { signal, timeoutMs } = readOptions(options, ARRIVAL_OPTIONS);
    checkTopic(topic);
    checkQueueId(queueId);
    checkOffset("queueOffset", queueOffset);
    checkSignal(signal);
    if (timeoutMs !== undefined) checkInteger("options.timeoutMs", timeoutMs, 0, Number.MAX_SAFE_INTEGER);
    throwIfAborted(signal);
    // A getter of an option may have closed the store.
    this.#lifecycle.checkReadable();
    if (this.#engine.offsets(topic, queueId).max > queueOffset) return true;
    if (timeoutMs === 0) return false;
    const waiter = this.wait(topic, queueId, queueOffset, signal);
    if (timeoutMs !== undefined && !waiter.isSettled) this.#deadlines.add(waiter, timeoutMs);
    return waiter.promise;
  }

  /** Waits until the queue's maximum is above an offset. */
  wait(topic: string, queueId: number, queueOffset: number, signal: AbortSignal | undefined): Waiter {
    throwIfAborted(signal);
    this.#lifecycle.checkGrowing();
    const { watched, max } = this.#watch(topic, queueId);
    const waiter = new Waiter(queueOffset, signal, (gone) => this.#left(watched, gone));
    watched.waiters.add(waiter);
    if (max > queueOffset) waiter.settle(true);
    return waiter;
  }

  /** Wakes those for whom there is something: called when the engine has ready watches. */
  take(): void {
    const pairs = this.#pairs;
    let taken: number;
    do {
      taken = this.#engine.takeArrivals(pairs);
      for (let i = 0; i < taken; i++) {
        const watched = this.#byWatch.get(pairs[2 * i] as number);
        if (watched !== undefined) wake(watched.waiters, pairs[2 * i + 1] as number);
      }
    } while (taken === TAKEN_AT_ONCE);
  }

  /** Nothing arrives any more. */
  end(error: StoreError): void {
    for (const { waiters } of [...this.#byWatch.values()]) {
      for (let waiter = waiters.first; waiter !== undefined; waiter = waiters.first) waiter.fail(error);
    }
  }

  #watch(topic: string, queueId: number): { watched: Watched; max: number } {
    const name = `${topic}/${queueId}`;
    const known = this.#byName.get(name);
    if (known !== undefined) {
      this.#idle.delete(known);
      // What came while nobody waited was taken off the engine's list, and nobody was woken.
      return { watched: known, max: this.#engine.offsets(topic, queueId).max };
    }
    const { watch, max } = this.#engine.watch(topic, queueId);
    const watched = { name, watch, waiters: new Heap<Waiter>(({ position }) => position) };
    this.#byName.set(name, watched);
    this.#byWatch.set(watch, watched);
    return { watched, max };
  }

  #left(watched: Watched, waiter: Waiter): void {
    watched.waiters.delete(waiter);
    this.#deadlines.delete(waiter);
    if (watched.waiters.size > 0) return;
    this.#idle.add(watched);
    if (this.#sweep !== undefined) return;
    this.#sweep = setImmediate(() => this.#dropIdle());
    this.#sweep.unref();
  }

  #dropIdle(): void {
    this.#sweep = undefined;
    for (const watched of this.#idle) {
      this.#byName.delete(watched.name);
      this.#byWatch.delete(watched.watch);
      if (this.#lifecycle.isReadable) this.#engine.unwatch(watched.watch);
    }
    this.#idle.clear();
  }
}

function wake(waiters: Heap<Waiter>, max: number): void {
  for (let first = waiters.first; first !== undefined && first.position < max; first = waiters.first) {
    first.settle(true);
  }
}
