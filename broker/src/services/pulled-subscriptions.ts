/** Subscriptions that came with pulls, for those who ask who consumes what: remembered for a while, and not more than fit. */
import type { SubscriptionData } from "../protocol/subscription.ts";

export interface PulledSubscriptionsOptions {
  /** Milliseconds of any clock that does not go back. */
  readonly now: () => number;
  /** How long one is remembered, in milliseconds. */
  readonly expiryMs: () => number;
  readonly maximum?: number | undefined;
  /** Bytes that all of them may take, as far as they are reckoned here. */
  readonly maxBytes?: number | undefined;
}

interface Entry {
  readonly data: SubscriptionData;
  readonly at: number;
  readonly bytes: number;
}

const MAXIMUM = 10_000;
const MAX_BYTES = 33_554_432;
const ENTRY_BYTES = 512;
const TAG_BYTES = 128;

export class PulledSubscriptions {
  readonly #now: () => number;
  readonly #expiryMs: () => number;
  readonly #maximum: number;
  readonly #maxBytes: number;
  /** By group and topic, the one that was pulled with longest ago first. */
  readonly #entries: Map<string, Entry> = new Map();
  #bytes = 0;

  constructor({ now, expiryMs, maximum = MAXIMUM, maxBytes = MAX_BYTES }: PulledSubscriptionsOptions) {
    this.#now = now;
    this.#expiryMs = expiryMs;
    this.#maximum = maximum;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns what to go on with: of equal ones, all pulls share one. */
  note(group: string, data: SubscriptionData): SubscriptionData {
    const key = keyOf(group, data.topic);
    const known = this.#entries.get(key)?.data;
    const kept = known !== undefined && isSame(known, data) ? known : data;
    this.#take(key);
    this.#dropBefore(this.#now() - this.#expiryMs());
    const bytes = ENTRY_BYTES + 2 * (key.length + data.subString.length) + TAG_BYTES * data.tagsSet.size;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < this.#maximum && this.#bytes + bytes <= this.#maxBytes) break;
      this.#take(oldest);
    }
    this.#entries.set(key, { data: kept, at: this.#now(), bytes });
    this.#bytes += bytes;
    return kept;
  }

  get(group: string, topic: string): SubscriptionData | undefined {
    if (this.#entries.size === 0) return undefined;
    const found = this.#entries.get(keyOf(group, topic));
    return found !== undefined && this.#now() - found.at <= this.#expiryMs() ? found.data : undefined;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #dropBefore(time: number): void {
    for (const [key, { at }] of this.#entries) {
      if (at >= time) return;
      this.#take(key);
    }
  }

  #take(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}

function isSame(one: SubscriptionData, other: SubscriptionData): boolean {
  return (
    one.subString === other.subString &&
    one.expressionType === other.expressionType &&
    one.subVersion === other.subVersion &&
    one.classFilterMode === other.classFilterMode
  );
}

/** Names have no `@`. */
function keyOf(group: string, topic: string): string {
  return `${topic}@${group}`;
}
