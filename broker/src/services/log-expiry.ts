/**
 * What goes from the log beside the store's own rules: old files, at any hour, where the disk is fuller than
 * `diskMaxUsedSpaceRatio`, or where an administrator says so. And what has gone is told, also by those rules: they take files
 * whatever their age where the disk is fuller than `diskSpaceCleanForciblyRatio`.
 */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import { monotonicNow } from "./clock.ts";
import { diskUse } from "./disk-use.ts";

export interface LogExpiryParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
  /** Milliseconds of a clock that nobody sets. */
  readonly elapsed?: (() => number) | undefined;
  /** Of the disk that has the store. */
  readonly usedPercent?: (() => Promise<number>) | undefined;
}

const HOUR_MS = 3_600_000;

/** The hour of the day, local time, in which the store removes what is old. */
export function deleteHour({ deleteWhen }: Pick<BrokerConfig, "deleteWhen">): number {
  return Number(deleteWhen.split(";")[0]);
}

export class LogExpiry {
  readonly #store: Store;
  readonly #config: BrokerConfig;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #elapsed: () => number;
  readonly #usedPercent: () => Promise<number>;
  /** When it was made, by either clock. */
  readonly #made: { readonly now: number; readonly elapsed: number };
  #minOffset: number;
  /** At the last look. */
  #hour: number;
  /** Ends with the last removal. What one of them removes, another one shall not take for the store's. */
  #turn: Promise<void> = Promise.resolve();

  constructor({ store, config, log, now = Date.now, elapsed = monotonicNow, usedPercent }: LogExpiryParts) {
    this.#store = store;
    this.#config = config;
    this.#log = log;
    this.#now = now;
    this.#elapsed = elapsed;
    this.#usedPercent = usedPercent ?? (async () => (await diskUse(store.path)).usedPercent);
    this.#made = { now: now(), elapsed: elapsed() };
    this.#minOffset = store.log.minOffset;
    this.#hour = hourOf(this.#made.now);
  }

  /** To be called now and then. */
  look(): Promise<void> {
    return this.#inTurn(() => this.#look());
  }

  /** What is older than `fileReservedTime` goes at once, however much, and whatever the hour and the room on the disk. */
  removeOld(): Promise<void> {
    return this.#inTurn(() => this.#removeOld());
  }

  #inTurn(remove: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(remove);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #look(): Promise<void> {
    const usedPercent = await this.#usedPercent();
    this.#tellOfStore(usedPercent);
    if (usedPercent <= this.#config.diskMaxUsedSpaceRatio) return;
    const before = this.#time() - this.#config.fileReservedTime * HOUR_MS;
    // So many as one call takes, as the store itself: the rest with the next look.
    const { files } = await this.#store.expire({ before: Math.max(before, 0) });
    this.#minOffset = this.#store.log.minOffset;
    if (files === 0) return;
    this.#log.info({ files, before, usedPercent }, "old files of the log were removed, as the disk is rather full");
  }

  async #removeOld(): Promise<void> {
    const before = Math.max(this.#now() - this.#config.fileReservedTime * HOUR_MS, 0);
    this.#tellOfStore(await this.#usedPercent());
    let files = 0;
    for (;;) {
      const expired = await this.#store.expire({ before });
      this.#minOffset = this.#store.log.minOffset;
      files += expired.files;
      if (!expired.more) break;
    }
    this.#log.info({ files, before }, "expired files of the log were removed");
  }

  /** A clock that leaps ahead makes nothing old. */
  #time(): number {
    const { now, elapsed } = this.#made;
    return Math.min(this.#now(), now + this.#elapsed() - elapsed);
  }

  /** What the store has removed since the last look. */
  #tellOfStore(usedPercent: number): void {
    const { minOffset } = this.#store.log;
    const from = this.#minOffset;
    const hours = [this.#hour, hourOf(this.#now())];
    this.#minOffset = minOffset;
    this.#hour = hours[1] as number;
    if (minOffset <= from) return;
    const facts = { from, to: minOffset, usedPercent };
    const { cleanFileForciblyEnable, diskSpaceCleanForciblyRatio } = this.#config;
    const isOld = usedPercent <= diskSpaceCleanForciblyRatio && hours.includes(deleteHour(this.#config));
    if (isOld || !cleanFileForciblyEnable) {
      this.#log.info(facts, "old files of the log were removed");
      return;
    }
    this.#log.warn(facts, "files of the log were removed whatever their age: the disk is fuller than it may be");
  }
}

function hourOf(now: number): number {
  return new Date(now).getHours();
}
