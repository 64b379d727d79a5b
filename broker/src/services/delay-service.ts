/** Delivers messages with a delay level when their time has come, and remembers how far it has come. */
import type { Store } from "moraine";
import type { Log } from "../log.ts";
import { SystemTopic } from "../protocol/names.ts";
import type { DelayOffsets } from "../tables/delay-offsets.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import { limitedLog } from "../transport/limited-log.ts";
import { type Clock, systemClock } from "./clock.ts";
import { DelayQueue, type Delivered } from "./delay-queue.ts";

export interface DelayServiceParts {
  readonly store: Store;
  /** Dead letters need a topic to be read. */
  readonly topics: Pick<TopicTable, "create">;
  readonly offsets: DelayOffsets;
  /** Milliseconds of the levels 1, 2 …, the same as the store's option `delayLevels` says. */
  readonly delays: readonly number[];
  readonly log: Log;
  readonly clock?: Clock | undefined;
  /** Told of each message that was delivered. */
  readonly onDelivered?: ((delivered: Delivered, level: number) => void) | undefined;
}

export interface DelayProgress {
  readonly level: number;
  /** Messages of the level that were delivered, and all of them. */
  readonly delivered: number;
  readonly max: number;
}

/** How long progress waits for more before it is noted. */
const SAVE_MS = 1000;

export class DelayService {
  readonly #parts: DelayServiceParts;
  readonly #clock: Clock;
  readonly #ending: AbortController = new AbortController();
  #queues: readonly DelayQueue[] = [];
  #runs: Promise<void> = Promise.resolve();
  /** Queues that have progress that is not noted, and where the log ends that has what was delivered. */
  readonly #unsaved: Set<DelayQueue> = new Set();
  #endOffset = 0;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: DelayServiceParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
  }

  start(): void {
    const { store, topics, offsets, delays } = this.#parts;
    const log = limitedLog(this.#parts.log);
    const onDelivered = (queue: DelayQueue, messages: readonly Delivered[], endOffset: number) =>
      this.#delivered(queue, messages, endOffset);
    this.#queues = delays.map(
      (delayMs, i) =>
        new DelayQueue({
          store,
          topics,
          clock: this.#clock,
          log,
          level: i + 1,
          delayMs,
          offset: offsets.get(i + 1),
          onDelivered,
        }),
    );
    this.#runs = Promise.all(this.#queues.map((queue) => queue.run(this.#ending.signal))).then(() => {});
  }

  /** Ends deliveries, and notes how far they have come. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#runs;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#save();
  }

  /** How far each level has come, of those that have had messages. */
  progress(): readonly DelayProgress[] {
    const { store } = this.#parts;
    return this.#queues
      .map(({ level, offset }) => ({
        level,
        delivered: offset,
        max: store.offsets(SystemTopic.SCHEDULE, level - 1).max,
      }))
      .filter(({ max }) => max > 0);
  }

  #delivered(queue: DelayQueue, messages: readonly Delivered[], endOffset: number): void {
    this.#unsaved.add(queue);
    this.#endOffset = Math.max(this.#endOffset, endOffset);
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        void this.#save();
      }, SAVE_MS);
      this.#timer.unref();
    }
    const { onDelivered } = this.#parts;
    if (onDelivered !== undefined) for (const one of messages) onDelivered(one, queue.level);
  }

  #save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#saveNow());
    return this.#saving;
  }

  /**
   * Progress is noted once what was delivered is on the disk: a power cut then delivers messages a second time, and never takes
   * one away that had waited.
   */
  async #saveNow(): Promise<void> {
    if (this.#unsaved.size === 0) return;
    const { store, offsets, log } = this.#parts;
    const queues = [...this.#unsaved];
    const progress = new Map(queues.map(({ level, offset }) => [level, offset]));
    this.#unsaved.clear();
    try {
      await store.flush(this.#endOffset);
      offsets.set(progress);
    } catch (error) {
      // Noted with the next delivery, or when deliveries end.
      for (const queue of queues) this.#unsaved.add(queue);
      log.error({ err: error }, "progress of delayed messages could not be noted; they may be delivered once more");
    }
  }
}
