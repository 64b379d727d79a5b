/** A small durable table: values of JSON under keys, in a file of the store. */
import { elementsOf } from "./arguments.ts";
import { argumentError, shown } from "./errors.ts";
import { type JsonNode, JsonObject, MAX_DEPTH } from "./json/nodes.ts";
import { type JsonValue, nodeFrom, valueFrom } from "./json/values.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { StoredTable } from "./stored-table.ts";
import { hasIntegerKeys } from "./table-shapes.ts";

/** Where a value is: a key of the table, or the keys that lead to it through objects. */
export type TableKey = string | readonly string[];

/**
 * The JSON object in `config/NAME.json` of a store, as RocketMQ keeps its own tables (store-format chapter 1.2).
 *
 * A change is in memory at once, and written behind within about a second (later where tables are large or the disk is
 * slow: writing takes a tenth of the time at most), or by `flush` or `close`; a process that dies before loses it. The file
 * is replaced as a whole, the version before it stays as `NAME.json.bak`.
 *
 * ```ts
 * const table = store.table("settings");
 * table.set("limits", { perSecond: 100 });
 * table.set(["limits", "perDay"], 1_000_000);
 * await table.flush();
 * ```
 *
 * A list of keys leads into the objects of a table, so that one entry of many is set without a copy of the others.
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
  get(key: TableKey): JsonValue | undefined {
    const node = this.#node(key);
    return node === undefined ? undefined : valueFrom(node);
  }

  has(key: TableKey): boolean {
    return this.#node(key) !== undefined;
  }

  /** Keys of the table, or of the object in it that a list of keys leads to; none where there is no such object. */
  keys(within: readonly string[] = []): string[] {
    return [...this.#entries(within).keys()];
  }

  /** Copies of all values with their keys, in the order of the file. */
  entries(within: readonly string[] = []): [key: string, value: JsonValue][] {
    return [...this.#entries(within)].map(([key, node]) => [key, valueFrom(node)]);
  }

  /** A copy of the whole table. */
  toJSON(): { [key: string]: JsonValue } {
    this.#lifecycle.checkReadable();
    return valueFrom(this.#stored.root) as { [key: string]: JsonValue };
  }

  /**
   * Stores a copy of a value. Objects that a list of keys leads through and that are missing are made. Where the table has
   * a `dataVersion`, as most of RocketMQ's, it goes on by one with each version of the file, unless it was set itself.
   *
   * Throws STORE_INVALID_ARGUMENT, naming the place, for what JSON cannot say: undefined, functions, symbols, numbers
   * that are not finite, BigInt of more than 64 bits, objects of classes, circles, and nesting of more than 256; and for a
   * list of keys that leads through something else than an object. STORE_READ_ONLY, STORE_POISONED. Nothing has changed then.
   */
  set(key: TableKey, value: JsonValue): void {
    this.#lifecycle.checkWritable();
    const path = checkPath(key);
    const { name } = this.#stored;
    const node = nodeFrom("value", value, path, (keys) => hasIntegerKeys(name, keys));
    // Getters of the value may have closed the store.
    this.#lifecycle.checkWritable();
    this.#made(path.slice(0, -1)).entries.set(path.at(-1) as string, node);
    this.#stored.changed(path);
  }

  /** Removes a key. Returns whether it was there. */
  delete(key: TableKey): boolean {
    this.#lifecycle.checkWritable();
    const path = checkPath(key);
    const within = this.#found(path.slice(0, -1));
    const isGone = within instanceof JsonObject && within.entries.delete(path.at(-1) as string);
    if (isGone) this.#stored.changed(path);
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

  #entries(within: readonly string[]): Map<string, JsonNode> {
    this.#lifecycle.checkReadable();
    const found = this.#found(checkKeys("within", within));
    return found instanceof JsonObject ? found.entries : new Map();
  }

  #node(key: TableKey): JsonNode | undefined {
    this.#lifecycle.checkReadable();
    return this.#found(checkPath(key));
  }

  #found(path: readonly string[]): JsonNode | undefined {
    let node: JsonNode | undefined = this.#stored.root;
    for (const key of path) {
      if (!(node instanceof JsonObject)) return undefined;
      node = node.entries.get(key);
    }
    return node;
  }

  /** The object that a path leads to; what is missing on the way is made, if nothing else stands there. */
  #made(path: readonly string[]): JsonObject {
    const { name, root } = this.#stored;
    const wrong = path.findIndex((_, at) => {
      const found = this.#found(path.slice(0, at + 1));
      return found !== undefined && !(found instanceof JsonObject);
    });
    if (wrong >= 0) {
      const place = path
        .slice(0, wrong + 1)
        .map(shown)
        .join(", ");
      throw argumentError(
        "key",
        `key leads through ${place} in the table ${name}, which is no object; set that to one first`,
      );
    }
    let object = root;
    path.forEach((key, at) => {
      let next = object.entries.get(key);
      if (!(next instanceof JsonObject)) {
        next = new JsonObject(new Map(), undefined, hasIntegerKeys(name, path.slice(0, at + 1)));
        object.entries.set(key, next);
      }
      object = next;
    });
    return object;
  }
}

function checkPath(key: unknown): readonly string[] {
  if (typeof key === "string") return [key];
  if (!Array.isArray(key))
    throw argumentError("key", `key is ${shown(key)}; it must be a string, or a list of strings`);
  const keys = checkKeys("key", key);
  if (keys.length > 0) return keys;
  throw argumentError("key", "key is an empty list; it must have the key of a value");
}

function checkKeys(name: string, keys: unknown): readonly string[] {
  if (!Array.isArray(keys)) throw argumentError(name, `${name} is ${shown(keys)}; it must be a list of strings`);
  // A copy: neither a getter nor a later change decides where a value goes.
  const copy = elementsOf(name, keys, MAX_DEPTH);
  if (copy === undefined)
    throw argumentError(name, `${name} is a list of too many keys; at most ${MAX_DEPTH} can lead somewhere`);
  const wrong = copy.findIndex((key) => typeof key !== "string");
  if (wrong < 0) return copy as string[];
  throw argumentError(name, `${name}[${wrong}] is ${shown(copy[wrong])}; it must be a string`);
}
