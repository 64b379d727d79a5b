/** Counting over time without a timer: what is asked for is made of when things were counted. */
import type { BrokerStatsData, BrokerStatsItem } from "../protocol/bodies/statistics.ts";

/** Sums of equal parts of time, those with something in them, as many as a window has. */
class Window {
  readonly #slotMs: number;
  readonly #slots: number;
  /** Number of the part, sum and times, one behind the other, the oldest first. */
  #parts: number[] = [];

  constructor(slotMs: number, slots: number) {
    this.#slotMs = slotMs;
    this.#slots = slots;
  }

  add(at: number, sum: number, times: number): void {
    const slot = Math.floor(at / this.#slotMs);
    const parts = this.#parts;
    const last = parts.length - 3;
    if (last >= 0 && (parts[last] as number) >= slot) {
      parts[last + 1] = (parts[last + 1] as number) + sum;
      parts[last + 2] = (parts[last + 2] as number) + times;
      return;
    }
    this.#dropBefore(slot - this.#slots + 1);
    this.#parts.push(slot, sum, times);
  }

  /** Per second of the time that it covers: from `since` on at most, and one part at least. */
  read(now: number, since: number): BrokerStatsItem {
    const first = Math.floor(now / this.#slotMs) - this.#slots + 1;
    this.#dropBefore(first);
    let [sum, times] = [0, 0];
    for (let i = 0; i < this.#parts.length; i += 3) {
      sum += this.#parts[i + 1] as number;
      times += this.#parts[i + 2] as number;
    }
    const span = Math.max(now - Math.max(first * this.#slotMs, since), this.#slotMs);
    return { sum, tps: (sum * 1000) / span, avgpt: times > 0 ? sum / times : 0 };
  }

  #dropBefore(slot: number): void {
    let gone = 0;
    while (gone < this.#parts.length && (this.#parts[gone] as number) < slot) gone += 3;
    if (gone > 0) this.#parts = this.#parts.slice(gone);
  }
}

const TEN_SECONDS = 10_000;
const TEN_MINUTES = 600_000;
const HOUR = 3_600_000;

/** How much of something there was in the last minute, hour and day. */
export class Meter {
  readonly #since: number;
  readonly #minute: Window = new Window(TEN_SECONDS, 6);
  readonly #hour: Window = new Window(TEN_MINUTES, 6);
  readonly #day: Window = new Window(HOUR, 24);
  /** What the current ten seconds have had, which is in no window yet. */
  #slot = 0;
  #sum = 0;
  #times = 0;

  constructor(now: number) {
    this.#since = now;
  }

  add(now: number, value: number, times = 1): void {
    const slot = Math.floor(now / TEN_SECONDS);
    if (slot !== this.#slot) this.#close(slot);
    this.#sum += value;
    this.#times += times;
  }

  read(now: number): BrokerStatsData {
    this.#close(Math.floor(now / TEN_SECONDS));
    return {
      statsMinute: this.#minute.read(now, this.#since),
      statsHour: this.#hour.read(now, this.#since),
      statsDay: this.#day.read(now, this.#since),
    };
  }

  #close(slot: number): void {
    if (this.#times > 0 || this.#sum !== 0) {
      const at = this.#slot * TEN_SECONDS;
      this.#minute.add(at, this.#sum, this.#times);
      this.#hour.add(at, this.#sum, this.#times);
      this.#day.add(at, this.#sum, this.#times);
    }
    this.#slot = slot;
    this.#sum = 0;
    this.#times = 0;
  }
}

const LONGEST_SECONDS = 600;

/** How often something happens in a second, over the last 10, 60 and 600 of them. */
export class Rate {
  /** A place for each second of the longest window, and the one that runs. */
  readonly #seconds: Float64Array = new Float64Array(LONGEST_SECONDS + 1);
  #second = 0;

  add(now: number, count: number): void {
    const place = this.#advance(Math.floor(now / 1000)) % this.#seconds.length;
    this.#seconds[place] = (this.#seconds[place] as number) + count;
  }

  /** Over whole seconds that have passed. */
  perSecond(now: number, seconds: number): number {
    const second = this.#advance(Math.floor(now / 1000));
    let sum = 0;
    for (let i = 1; i <= seconds; i++) {
      sum += this.#seconds[(second - i + this.#seconds.length) % this.#seconds.length] as number;
    }
    return sum / seconds;
  }

  /** As RocketMQ prints it. */
  text(now: number): string {
    return [10, 60, LONGEST_SECONDS].map((seconds) => this.perSecond(now, seconds)).join(" ");
  }

  /** Empties the places of seconds in which nothing was counted. A clock that goes back stands still here. */
  #advance(second: number): number {
    const passed = second - this.#second;
    if (passed <= 0) return this.#second;
    if (passed >= this.#seconds.length) this.#seconds.fill(0);
    else for (let i = 1; i <= passed; i++) this.#seconds[(this.#second + i) % this.#seconds.length] = 0;
    this.#second = second;
    return second;
  }
}

/** A count since the start, and what it was when today and yesterday began, in local time. */
export class DayCount {
  #count = 0;
  #today = 0;
  #yesterday = 0;
  #nextMorning: number;

  constructor(now: number) {
    this.#nextMorning = morningAfter(now);
  }

  add(now: number, count: number): void {
    this.#turn(now);
    this.#count += count;
  }

  read(now: number): { readonly now: number; readonly todayMorning: number; readonly yesterdayMorning: number } {
    this.#turn(now);
    return { now: this.#count, todayMorning: this.#today, yesterdayMorning: this.#yesterday };
  }

  #turn(now: number): void {
    if (now < this.#nextMorning) return;
    const isNextDay = now < morningAfter(this.#nextMorning);
    this.#yesterday = isNextDay ? this.#today : this.#count;
    this.#today = this.#count;
    this.#nextMorning = morningAfter(now);
  }
}

function morningAfter(now: number): number {
  const day = new Date(now);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1).getTime();
}
