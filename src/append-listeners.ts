/** Listeners of `onAppend`: told of messages that became visible, in batches, in turns of their own. */
import type { AppendedColumns, EngineStore } from "./binding/contract.ts";
import { type ListenerDiagnostics, listenerChannel } from "./diagnostics.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** Called with messages that became visible; what it returns is not used, but a promise that rejects is reported. */
export type AppendListener = (batch: AppendBatch) => unknown;

/** Messages in the order of the log, one row each, one column a fact. The columns are the same for all listeners. */
export class AppendBatch {
  /** Byte positions of the records in the commit log. */
  readonly physicalOffsets: Float64Array;
  readonly queueIds: Int32Array;
  /** Places in their queues; -1 for the transaction types prepared and rollback, which stand in no queue. */
  readonly queueOffsets: Float64Array;
  /** Bytes of the records. */
  readonly sizes: Float64Array;
  /** Milliseconds since the epoch. */
  readonly storeTimestamps: Float64Array;
  /** As in the queue entries: the hash of the tags, or the time of delivery. */
  readonly tagsCodes: Float64Array;
  /** Topics of the batch, each once. */
  readonly topics: readonly string[];
  /** Places in `topics`. */
  readonly topicIndexes: Uint32Array;
  /** Where the next batch begins: a `scan` from here goes on behind this one. */
  readonly endOffset: number;

  constructor(columns: AppendedColumns) {
    this.physicalOffsets = columns.physicalOffsets;
    this.queueIds = columns.queueIds;
    this.queueOffsets = columns.queueOffsets;
    this.sizes = columns.sizes;
    this.storeTimestamps = columns.storeTimestamps;
    this.tagsCodes = columns.tagsCodes;
    this.topics = columns.topics;
    this.topicIndexes = columns.topicIndexes;
    this.endOffset = columns.next;
  }

  /** Messages in the batch: at least one. */
  get count(): number {
    return this.sizes.length;
  }

  /** Topic of the message in a row; undefined where there is no such row. */
  topic(row: number): string | undefined {
    return this.topics[this.topicIndexes[row] as number];
  }
}

/** Most messages of a batch. */
const BATCH_MESSAGES = 4096;

interface Subscription {
  readonly listener: AppendListener;
  /** Everything below was delivered, or was there before. */
  position: number;
  warned: boolean;
}

export class AppendListeners {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  readonly #visibleOffset: () => number;
  readonly #subscriptions: Set<Subscription> = new Set();
  #turn: NodeJS.Immediate | undefined;
  /** Set while the store closes. */
  #drained: (() => void) | undefined;

  constructor(engine: EngineStore, lifecycle: Lifecycle, visibleOffset: () => number) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
    this.#visibleOffset = visibleOffset;
  }

  get count(): number {
    return this.#subscriptions.size;
  }

  /** Begins at the visible end. Returns what ends the subscription. */
  add(listener: AppendListener): () => void {
    if (typeof listener !== "function") {
      throw argumentError("listener", `listener is ${shown(listener)}; it must be a function`);
    }
    this.#lifecycle.checkGrowing();
    const subscription = { listener, position: this.#visibleOffset(), warned: false };
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  /** The visible end may have moved: there will be a turn for it. */
  moved(): void {
    this.#turn ??= setImmediate(this.#deliver);
  }

  /** Delivers what is visible, and ends all subscriptions. */
  drain(): Promise<void> {
    if (this.#subscriptions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.moved();
    });
  }

  /** One batch a turn, so that other work of the process gets its own. */
  readonly #deliver = (): void => {
    this.#turn = undefined;
    if (this.#deliverBatch()) {
      this.moved();
    } else if (this.#drained !== undefined) {
      this.#subscriptions.clear();
      this.#drained();
    }
  };

  /** Whether there is more. */
  #deliverBatch(): boolean {
    const visible = this.#visibleOffset();
    const { from, to } = this.#nextRange(visible);
    if (from >= visible) return false;
    const behind = [...this.#subscriptions].filter(({ position }) => position === from);
    try {
      const columns = this.#engine.appended(from, to, BATCH_MESSAGES);
      for (const subscription of behind) subscription.position = columns.next;
      if (columns.sizes.length > 0) {
        const batch = new AppendBatch(columns);
        for (const subscription of behind) this.#call(subscription, batch);
      }
      return columns.next > from;
    } catch (error) {
      for (const subscription of behind) this.#report(subscription, error);
      const next = error instanceof StoreError ? error.details.nextOffset : undefined;
      if (next === undefined || next <= from) return false;
      // Behind damaged bytes it goes on. After any other failure it is tried again with the next message.
      for (const subscription of behind) subscription.position = next;
      return true;
    }
  }

  /** From where those stand who are furthest behind, up to where the next ones stand. */
  #nextRange(visible: number): { from: number; to: number } {
    let from = Number.POSITIVE_INFINITY;
    for (const { position } of this.#subscriptions) from = Math.min(from, position);
    let to = visible;
    for (const { position } of this.#subscriptions) if (position > from) to = Math.min(to, position);
    return { from, to };
  }

  #call(subscription: Subscription, batch: AppendBatch): void {
    // A listener before this one may have ended the subscription.
    if (!this.#subscriptions.has(subscription)) return;
    try {
      const result: unknown = subscription.listener(batch);
      if (result === null || (typeof result !== "object" && typeof result !== "function")) return;
      Promise.resolve(result).catch((error) => this.#report(subscription, error));
    } catch (error) {
      this.#report(subscription, error);
    }
  }

  /** Every failure on the channel, the first one of a listener as a warning of the process. */
  #report(subscription: Subscription, error: unknown): void {
    const { path } = this.#lifecycle;
    if (listenerChannel.hasSubscribers) listenerChannel.publish({ path, error } satisfies ListenerDiagnostics);
    if (subscription.warned) return;
    subscription.warned = true;
    const warning = new Error(`a listener of onAppend on the store ${path} failed: ${reasonOf(error)}`, {
      cause: error,
    });
    warning.name = "StoreListenerWarning";
    process.emitWarning(warning);
  }
}

/** What was thrown is the caller's: asking it for its message may run code that throws again, or give no text. */
function reasonOf(error: unknown): string {
  try {
    if (error instanceof Error && typeof error.message === "string") return error.message;
  } catch {}
  return shown(error);
}
