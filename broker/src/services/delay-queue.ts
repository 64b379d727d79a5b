/** The messages of one delay level: each is put where it really goes once its time has come. */
import { type PutResult, type Store, type StoredMessage, StoreError } from "moraine";
import type { Log } from "../log.ts";
import { SystemTopic } from "../protocol/names.ts";
import { topicConfig } from "../tables/topic-config.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Clock } from "./clock.ts";
import { realPlace, UNDELIVERABLE } from "./delay-levels.ts";

export interface DelayQueueParts {
  readonly store: Store;
  readonly topics: Pick<TopicTable, "create">;
  readonly clock: Clock;
  readonly log: Log;
  readonly level: number;
  /** Milliseconds that its messages wait. */
  readonly delayMs: number;
  /** Queue offset of the first message that was not delivered. */
  readonly offset: number;
  /** Messages were delivered; the log has them up to `endOffset`. */
  readonly onDelivered: (queue: DelayQueue, messages: readonly Delivered[], endOffset: number) => void;
}

interface Place {
  readonly topic: string;
  readonly queueId: number;
}

/** A message that was put where it goes, or with the dead letters. */
export interface Delivered extends Place {
  /** As it had waited. */
  readonly message: StoredMessage;
  readonly result: PutResult;
}

/** Messages that are read at once. */
const BATCH = 32;
const RETRY_MS = 100;
const FAILURE_MS = 10_000;
/** A failure that lasts is told again after tries of so long. */
const TOLD_AGAIN_MS = 60_000;
/** Longest wait for a time: a clock that is set forward is noticed after it. */
const LONGEST_WAIT_MS = 60_000;
/** So far the store's times may lie before a clock that was set back: it goes back with one only by more. */
const MAX_STEP_BACK_MS = 600_000;

/** What is wrong with the message, or the topic that it goes to: no later try could make it right. */
const HOPELESS: ReadonlySet<string> = new Set([
  "STORE_INVALID_ARGUMENT",
  "STORE_MESSAGE_TOO_LARGE",
  "STORE_UNSUPPORTED_FORMAT",
  "STORE_UNSUPPORTED",
]);
/** The store takes nothing any more; what waits is delivered after the next start. */
const ENDED: ReadonlySet<string> = new Set(["STORE_CLOSED", "STORE_ABORTED", "STORE_POISONED", "STORE_READ_ONLY"]);

export class DelayQueue {
  readonly #parts: DelayQueueParts;
  readonly #queueId: number;
  #offset: number;
  /** The failure that was told last, and how long it has been tried since; undefined where something was delivered since. */
  #told: { readonly failure: string; triedMs: number } | undefined;

  constructor(parts: DelayQueueParts) {
    this.#parts = parts;
    this.#queueId = parts.level - 1;
    const { min, max } = parts.store.offsets(SystemTopic.SCHEDULE, this.#queueId);
    this.#offset = Math.min(Math.max(parts.offset, min), max);
  }

  get level(): number {
    return this.#parts.level;
  }

  /** Queue offset of the next message that is to be delivered. */
  get offset(): number {
    return this.#offset;
  }

  /** Delivers until the signal is aborted, or the store is closed. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, level } = this.#parts;
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (error instanceof StoreError && ENDED.has(error.code)) {
          if (error.code === "STORE_POISONED")
            log.error({ err: error, level }, "delayed messages are not delivered any more");
          return;
        }
        if (this.#isPassed(error)) continue;
        // A disk that is full is so for longer.
        const pauseMs = error instanceof StoreError && error.code === "STORE_BUSY" ? RETRY_MS : FAILURE_MS;
        this.#tell(error, pauseMs);
        await clock.sleep(pauseMs, signal);
      }
    }
  }

  /** The same failure once in a while, however often it is tried: a log that grows for it makes a full disk no emptier. */
  #tell(error: unknown, pauseMs: number): void {
    const failure = error instanceof StoreError ? error.code : String(error);
    if (this.#told?.failure !== failure || this.#told.triedMs >= TOLD_AGAIN_MS) {
      const { log, level } = this.#parts;
      const facts = { err: error, level, offset: this.#offset };
      log.error(facts, "a delayed message could not be delivered; it is tried again");
      this.#told = { failure, triedMs: 0 };
    }
    this.#told.triedMs += pauseMs;
  }

  /** Waits for a message, or for its time, or delivers those whose time has come. */
  async #step(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts;
    const { min, max } = store.offsets(SystemTopic.SCHEDULE, this.#queueId);
    this.#offset = Math.max(this.#offset, min);
    if (this.#offset >= max) {
      await store.arrival(SystemTopic.SCHEDULE, this.#queueId, this.#offset, { signal });
      return;
    }
    const entries = store.entries(SystemTopic.SCHEDULE, this.#queueId, { from: this.#offset, max: BATCH });
    const now = clock.now();
    const waits = entries.map(({ tagsCode }) => this.#wait(tagsCode, now));
    const firstWaiting = waits.findIndex((wait) => wait > 0);
    const due = firstWaiting < 0 ? waits.length : firstWaiting;
    if (due === 0) await clock.sleep(Math.min(waits[0] ?? RETRY_MS, LONGEST_WAIT_MS), signal);
    else await this.#deliver(due, signal);
  }

  /** Milliseconds until a time; one that the level cannot have meant is now. */
  #wait(dueAt: number, now: number): number {
    return dueAt > now + this.#parts.delayMs + MAX_STEP_BACK_MS ? 0 : Math.max(dueAt - now, 0);
  }

  async #deliver(due: number, signal: AbortSignal): Promise<void> {
    const { store, onDelivered } = this.#parts;
    const from = this.#offset;
    const result = await store.fetch(SystemTopic.SCHEDULE, this.#queueId, from, { max: due, signal });
    if (result.messages.length === 0 && result.nextOffset <= from) {
      throw new Error(`level ${this.level} has nothing at ${from}: ${result.status}`);
    }
    const delivered: Delivered[] = [];
    let endOffset = 0;
    try {
      // One after the other: what stands behind one that cannot be put for now would be put again with each try.
      for (const message of result.messages) {
        const put = await this.#put(message);
        this.#offset = message.queueOffset + 1;
        if (put === undefined) continue;
        endOffset = Math.max(endOffset, put.result.endOffset);
        delivered.push(put);
      }
      this.#offset = result.nextOffset;
      this.#told = undefined;
    } finally {
      if (this.#offset > from) onDelivered(this, delivered, endOffset);
    }
  }

  /** Undefined for a message that can be put nowhere at all. */
  async #put(message: StoredMessage): Promise<Delivered | undefined> {
    const { log } = this.#parts;
    const place = realPlace(message.properties);
    if (place === undefined) {
      const dead = await this.#putDead(message);
      if (dead === undefined) return undefined;
      log.error(this.#factsOf(message), "a delayed message does not say where it goes; it goes to the dead letters");
      return dead;
    }
    try {
      return await this.#putAt(place, message);
    } catch (error) {
      if (!isHopeless(error)) throw error;
      const dead = await this.#putDead(message);
      if (dead === undefined) return undefined;
      const facts = { ...this.#factsOf(message), ...place, err: error };
      log.error(facts, "a delayed message cannot be put where it goes; it goes to the dead letters");
      return dead;
    }
  }

  /** RocketMQ tries such a message for ever, and delivers no other one of its level. */
  async #putDead(message: StoredMessage): Promise<Delivered | undefined> {
    const { topics, log } = this.#parts;
    const { topic } = UNDELIVERABLE;
    try {
      await topics.create(topicConfig(topic, 1));
    } catch (error) {
      log.warn({ err: error, topic }, "dead letters can be read once their topic is made");
    }
    try {
      return await this.#putAt(UNDELIVERABLE, message);
    } catch (error) {
      if (!isHopeless(error)) throw error;
      const facts = { ...this.#factsOf(message), err: error };
      log.error(
        facts,
        "a delayed message cannot be put anywhere; it can be read by its id until its file of the log goes",
      );
      return undefined;
    }
  }

  async #putAt(place: Place, message: StoredMessage): Promise<Delivered> {
    const result = await this.#parts.store.append({
      ...place,
      body: message.body,
      properties: message.properties,
      flag: message.flag,
      sysFlag: message.sysFlag,
      bornTimestamp: message.bornTimestamp,
      bornHost: message.bornHost,
      storeHost: message.storeHost,
      reconsumeTimes: message.reconsumeTimes,
    });
    return { ...place, message, result };
  }

  #factsOf({ queueOffset, offsetMsgId }: StoredMessage): object {
    return { level: this.level, offset: queueOffset, id: offsetMsgId };
  }

  /** Goes on behind a damaged record. */
  #isPassed(error: unknown): boolean {
    if (!(error instanceof StoreError) || error.code !== "STORE_CORRUPT") return false;
    const { nextOffset } = error.details;
    if (nextOffset === undefined || nextOffset <= this.#offset) return false;
    const { log, level } = this.#parts;
    log.error({ err: error, level, offset: this.#offset, nextOffset }, "delayed messages are damaged and passed over");
    this.#offset = nextOffset;
    return true;
  }
}

function isHopeless(error: unknown): boolean {
  return error instanceof StoreError && HOPELESS.has(error.code);
}
