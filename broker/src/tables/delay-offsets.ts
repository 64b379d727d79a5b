/** How far the delay levels have been delivered, in RocketMQ's `config/delayOffset.json`. */
import type { JsonValue, Store, Table } from "moraine";
import { integerAt, objectAt } from "./table-value.ts";

const PART = "offsetTable";

export class DelayOffsets {
  readonly #table: Table;
  /** By level: the queue offset of the next message that is to be delivered. */
  readonly #offsets: Map<number, number> = new Map();

  /** Reads the offsets. Throws TableError, StoreError. */
  constructor(store: Store) {
    this.#table = store.table("delayOffset");
    const place = `config/delayOffset.json → ${PART}`;
    for (const [level, offset] of Object.entries(objectAt(place, this.#table.get(PART)))) {
      if (/^[1-9]\d{0,8}$/.test(level)) this.#offsets.set(Number(level), integerAt(`${place} → ${level}`, offset));
    }
  }

  /** 0 where nothing of the level was delivered yet. */
  get(level: number): number {
    return this.#offsets.get(level) ?? 0;
  }

  levels(): readonly number[] {
    return [...this.#offsets.keys()].sort((a, b) => a - b);
  }

  /** In memory at once, on the disk within about a second. Throws StoreError. */
  set(offsets: ReadonlyMap<number, number>): void {
    for (const [level, offset] of offsets) this.#offsets.set(level, offset);
    this.#table.set(PART, Object.fromEntries(this.levels().map((level) => [String(level), this.get(level)])));
  }

  /** The whole table, as it is written. */
  toJSON(): JsonValue {
    return this.#table.toJSON();
  }

  /** Resolves when all that was set so far is on the disk. */
  flush(): Promise<void> {
    return this.#table.flush();
  }
}
