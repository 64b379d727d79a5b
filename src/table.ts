/** A small durable table: values of JSON under keys, in a file of the store. */
import { argumentError, shown } from "./errors.ts";
import type { JsonNode } from "./json/nodes.ts";
import { type JsonValue, nodeFrom, valueFrom } from "./json/values.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { StoredTable } from "./stored-table.ts";
import { hasIntegerKeys } from "./table-shapes.ts";

/**
 * The JSON object in `config/NAME.json` of a store, as RocketMQ keeps its own tables (store-format chapter 1.2).
 *
 * A change is in memory at once, and written behind within about a second, or by `flush` or `close`; a process that dies
 * before loses it. The file is replaced as a whole, the version before it stays as `NAME.json.bak`.
 *
 * ```ts
 * const table = store.table("settings");
 * table.set("limits", { perSecond: 100 });
 * await table.flush();
 * ```
 *
 * Values are copied on the way in and out. Keys keep their order. Integers beyond 2^53 - 1 are BigInt.
 * All members but `name` throw STORE_CLOSED once the store's `close` was called.
 */
export class Table {
  readonly #stored: StoredTable;
  readonly #lifecycle: Lifecycle;

  constructor(stored: StoredTable, lifecycle: Lifecycle) {
    this.#stored = stored;
    this.#lifecycle = lifecycle;
  }

  get name(): string {
    return this.#stored.name;
  }

  /** A copy of the value under a key; undefined where there is none. */
  get(key: string): JsonValue | undefined {
    const node = this.#entries().get(checkKey(key));
    return node === undefined ? undefined : valueFrom(node);
  }

  has(key: string): boolean {
    return this.#entries().has(checkKey(key));
  }

  keys(): string[] {
    return [...this.#entries().keys()];
  }

  /** Copies of all values with their keys, in the order of the file. */
  entries(): [key: string, value: JsonValue][] {
    return [...this.#entries()].map(([key, node]) => [key, valueFrom(node)]);
  }

  /** A copy of the whole table. */
  toJSON(): { [key: string]: JsonValue } {
    this.#lifecycle.checkReadable();
    return valueFrom(this.#stored.root) as { [key: string]: JsonValue };
  }

  /**
   * Stores a copy of a value. Where the table has a `dataVersion`, as most of RocketMQ's, it goes on by one with each
   * version of the file, unless it was set itself.
   *
   * Throws STORE_INVALID_ARGUMENT, naming the place, for what JSON cannot say: undefined, functions, symbols, numbers
   * that are not finite, BigInt of more than 64 bits, objects of classes, circles, and nesting of more than 256;
   * STORE_READ_ONLY, STORE_POISONED. Nothing has changed then.
   */
  set(key: string, value: JsonValue): void {
    this.#lifecycle.checkWritable();
    const { name, root } = this.#stored;
    const node = nodeFrom("value", value, [checkKey(key)], (keys) => hasIntegerKeys(name, keys));
    // Getters of the value may have closed the store.
    this.#lifecycle.checkWritable();
    root.entries.set(key, node);
    this.#stored.changed(key);
  }

  /** Removes a key. Returns whether it was there. */
  delete(key: string): boolean {
    this.#lifecycle.checkWritable();
    const isGone = this.#stored.root.entries.delete(checkKey(key));
    if (isGone) this.#stored.changed(key);
    return isGone;
  }

  /**
   * Resolves when all changes made so far are on the disk; calls at the same time share one write. Rejects with STORE_IO,
   * STORE_FULL, STORE_UNSUPPORTED (too large), STORE_READ_ONLY, STORE_POISONED; changes stay in memory then and are
   * tried again behind, with the next `flush`, and with `close`.
   */
  async flush(): Promise<void> {
    this.#lifecycle.checkWritable();
    await this.#stored.persist();
  }

  #entries(): Map<string, JsonNode> {
    this.#lifecycle.checkReadable();
    return this.#stored.root.entries;
  }
}

function checkKey(key: unknown): string {
  if (typeof key === "string") return key;
  throw argumentError("key", `key is ${shown(key)}; it must be a string`);
}
