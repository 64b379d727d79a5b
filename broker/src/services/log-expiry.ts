/**
 * What goes from the log beside the store's own rules: old files, at any hour, where the disk is fuller than
 * `diskMaxUsedSpaceRatio`. And what has gone is told, also by those rules: they take files whatever their age where the disk is
 * fuller than `diskSpaceCleanForciblyRatio`.
 */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import { type Clock, monotonicNow, systemClock } from "./clock.ts";
import { diskUse } from "./disk-use.ts";

export interface LogExpiryParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  /** Milliseconds of a clock that nobody sets. */
  readonly elapsed?: (() => number) | undefined;
  /** Of the disk that has the store. */
  readonly usedPercent?: (() => Promise<number>) | undefined;
}

const LOOK_MS = 60_000;
const HOUR_MS = 3_600_000;

/** The hour of the day, local time, in which the store removes what is old. */
export function deleteHour({ deleteWhen }: Pick<BrokerConfig, "deleteWhen">): number {
  return Number(deleteWhen.split(";")[0]);
}

export class LogExpiry {
  readonly #store: Store;
  readonly #config: BrokerConfig;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #usedPercent: () => Promise<number>;
  readonly #ending: AbortController = new AbortController();
  /** When it was made, by either clock. */
  readonly #made: { readonly now: number; readonly elapsed: number };
  #run: Promise<void> = Promise.resolve();
  #minOffset: number;
  /** At the last look. */
  #hour: number;

  constructor({ store, config, log, clock = systemClock, elapsed = monotonicNow, usedPercent }: LogExpiryParts) {
    this.#store = store;
    this.#config = config;
    this.#log = log;
    this.#clock = clock;
    this.#elapsed = elapsed;
    this.#usedPercent = usedPercent ?? (async () => (await diskUse(store.path)).usedPercent);
    this.#made = { now: clock.now(), elapsed: elapsed() };
    this.#minOffset = store.log.minOffset;
    this.#hour = hourOf(this.#made.now);
  }

  start(): void {
    this.#run = this.#lookOnAndOn(this.#ending.signal);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#run;
  }

  async #lookOnAndOn(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.sleep(LOOK_MS, signal);
      if (signal.aborted) return;
      try {
        await this.#look();
      } catch (error) {
        if (signal.aborted) return;
        this.#log.warn({ err: error }, "whether old files of the log have to go could not be seen; it is tried again");
      }
    }
  }

  async #look(): Promise<void> {
    const usedPercent = await this.#usedPercent();
    this.#tellOfStore(usedPercent);
    if (usedPercent <= this.#config.diskMaxUsedSpaceRatio) return;
    const before = this.#now() - this.#config.fileReservedTime * HOUR_MS;
    // So many as one call takes, as the store itself: the rest with the next look.
    const { files } = await this.#store.expire({ before: Math.max(before, 0) });
    this.#minOffset = this.#store.log.minOffset;
    if (files === 0) return;
    this.#log.info({ files, before, usedPercent }, "old files of the log were removed, as the disk is rather full");
  }

  /** A clock that leaps ahead makes nothing old. */
  #now(): number {
    const { now, elapsed } = this.#made;
    return Math.min(this.#clock.now(), now + this.#elapsed() - elapsed);
  }

  /** What the store has removed since the last look. */
  #tellOfStore(usedPercent: number): void {
    const { minOffset } = this.#store.log;
    const from = this.#minOffset;
    const hours = [this.#hour, hourOf(this.#clock.now())];
    this.#minOffset = minOffset;
    this.#hour = hours[1] as number;
    if (minOffset <= from) return;
    const facts = { from, to: minOffset, usedPercent };
    const isFull = usedPercent > this.#config.diskSpaceCleanForciblyRatio;
    if (!isFull && hours.includes(deleteHour(this.#config))) {
      this.#log.info(facts, "old files of the log were removed");
      return;
    }
    this.#log.warn(facts, "files of the log were removed whatever their age: the disk is fuller than it may be");
  }
}

function hourOf(now: number): number {
  return new Date(now).getHours();
}
