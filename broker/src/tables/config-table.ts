/**
 * Configurations by name in one of the tables of a store, such as `config/topics.json`: in memory for those who ask, on the disk
 * before a change is answered. Changes of a short time share one write, as each writes the whole file.
 */
import type { JsonValue, Store, Table } from "moraine";
import { type DataVersion, nextVersion, versionFrom } from "../protocol/bodies/data-version.ts";
import { ResponseCode } from "../protocol/codes.ts";
import { RequestError } from "../protocol/request-error.ts";
import { type JsonEntry, objectAt, TableError } from "./table-value.ts";

export interface ConfigTableOptions<T> {
  /** Name of the table in the store. */
  readonly table: string;
  /** The key of the table that has the configurations. */
  readonly part: string;
  /** A configuration from what RocketMQ wrote. What it throws says what is wrong there. */
  readonly read: (name: string, entry: JsonEntry) => T;
  /** What RocketMQ writes for a configuration. */
  readonly write: (value: T) => JsonEntry;
  /** Other keys of the same table. */
  readonly others?: (() => Readonly<Record<string, JsonValue>>) | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How many there may be: clients can have them made. Default 100,000. */
  readonly maximum?: number | undefined;
}

const MAXIMUM = 100_000;

interface Entry<T> {
  readonly value: T;
  /** As it is written, with what a newer RocketMQ may have added to it. */
  readonly json: JsonEntry;
}

export class ConfigTable<T> {
  readonly #options: ConfigTableOptions<T>;
  readonly #table: Table;
  readonly #entries: Map<string, Entry<T>> = new Map();
  /** Names whose configuration the store's table does not have as it is here. */
  readonly #changed: Set<string> = new Set();
  /** Configurations whose first write is under way: nobody sees them before it is done. */
  readonly #creating: Map<string, Promise<T>> = new Map();
  /** Names that nobody makes a configuration of until these resolve. */
  readonly #held: Map<string, Promise<void>> = new Map();
  #version: DataVersion;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** Reads the table. Throws TableError, and StoreError where the file is damaged. */
  constructor(store: Store, options: ConfigTableOptions<T>) {
    this.#options = options;
    this.#table = store.table(options.table);
    const file = `config/${options.table}.json`;
    const version = this.#table.get("dataVersion");
    this.#version = readAt(`${file} → dataVersion`, () => versionFrom(version, options.now()));
    const place = `${file} → ${options.part}`;
    for (const [name, value] of Object.entries(objectAt(place, this.#table.get(options.part)))) {
      const json = objectAt(`${place} → ${name}`, value);
      this.#entries.set(name, { value: readAt(`${place} → ${name}`, () => options.read(name, json)), json });
    }
  }

  /** The configuration of a name; undefined where there is none, or none on the disk yet. */
  get(name: string): T | undefined {
    if (this.#creating.size > 0 && this.#creating.has(name)) return undefined;
    return this.#entries.get(name)?.value;
  }

  *all(): Generator<T, void, undefined> {
    for (const [name, { value }] of this.#entries) if (!this.#creating.has(name)) yield value;
  }

  get version(): DataVersion {
    return this.#version;
  }

  /** Another key of the table, as it was loaded. */
  other(key: string): JsonValue | undefined {
    return this.#table.get(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether the first write of a configuration is under way. */
  isCreating(name: string): boolean {
    return this.#creating.has(name);
  }

  get isFull(): boolean {
    return this.#entries.size >= (this.#options.maximum ?? MAXIMUM);
  }

  /**
   * The configuration of a name, made if there is none. Resolves once it is on the disk; rejects with RequestError where
   * there are too many already.
   */
  create(name: string, value: T): Promise<T> {
    const creating = this.#creating.get(name);
    if (creating !== undefined) return creating;
    const held = this.#held.get(name);
    if (held !== undefined) return held.then(() => this.create(name, value));
    const found = this.#entries.get(name);
    if (found !== undefined) return Promise.resolve(found.value);
    if (this.isFull) {
      const { table } = this.#options;
      const sentence = `${table}.json has ${this.#entries.size} entries, and takes no more; delete some that are not used`;
      return Promise.reject(new RequestError(ResponseCode.SYSTEM_ERROR, sentence));
    }
    try {
      this.#written(value);
    } catch (error) {
      return Promise.reject(error);
    }
    const created = this.#create(name, value);
    this.#creating.set(name, created);
    return created;
  }

  /** Resolves with whether anything was changed, once it is on the disk. */
  async put(name: string, value: T): Promise<boolean> {
    for (let busy = this.#busy(name); busy !== undefined; busy = this.#busy(name)) await busy;
    const found = this.#entries.get(name);
    if (found === undefined) {
      await this.create(name, value);
      return true;
    }
    if (!this.putBehind(name, value)) return false;
    await this.persist();
    return true;
  }

  /** As `put`, in memory at once and on the disk soon: for what would be made again in the same way. */
  putBehind(name: string, value: T): boolean {
    const before = this.#entries.get(name);
    const written = this.#written(value);
    if (before !== undefined && isSame(before.json, written)) return false;
    this.#entries.set(name, { value, json: sorted({ ...before?.json, ...written }) });
    this.#changed.add(name);
    this.changed();
    return true;
  }

  /** While nobody makes a configuration of this name: resolves when whoever holds it now has ended. Another may hold it then. */
  held(name: string): Promise<void> | undefined {
    return this.#held.get(name);
  }

  /**
   * Carries out what must not meet a configuration that is made meanwhile: whoever wants to make one of this name waits, and whoever
   * else wants to hold it. A first write that is under way comes to its end before.
   */
  async hold<R>(name: string, act: () => Promise<R>): Promise<R> {
    // Nothing may come between the last look and the entry: of many who have waited, one goes on.
    for (let held = this.held(name); held !== undefined; held = this.held(name)) await held;
    const creating = this.#creating.get(name);
    let release = (): void => {};
    this.#held.set(
      name,
      new Promise((resolve) => {
        release = resolve;
      }),
    );
    try {
      await creating?.catch(() => {});
      return await act();
    } finally {
      this.#held.delete(name);
      release();
    }
  }

  /** Resolves with whether there was one, once it is gone from the disk. */
  async delete(name: string): Promise<boolean> {
    await this.#creating.get(name);
    if (!this.#entries.delete(name)) return false;
    this.#changed.add(name);
    this.changed();
    await this.persist();
    return true;
  }

  /** Something was changed that is to be written: the version goes on. */
  changed(): void {
    this.#version = nextVersion(this.#version, this.#options.now());
    // Whoever has to know when it is written waits for `persist`; a failure is told there, or by the store's health.
    this.persist().catch(() => {});
  }

  /** Resolves when all that was changed so far is on the disk; rejects as `Table.flush`. */
  persist(): Promise<void> {
    this.#next ??= this.#write(this.#running);
    return this.#next;
  }

  /** Resolves when no change waits for the disk any more; rejects as `Table.flush`. */
  async flush(): Promise<void> {
    await (this.#next ?? this.#running);
  }

  /** What a change of a name comes after. */
  #busy(name: string): Promise<unknown> | undefined {
    return this.#creating.get(name) ?? this.#held.get(name);
  }

  /** Throws RequestError where a client has put something into it that no file can have. */
  #written(value: T): JsonEntry {
    const written = this.#options.write(value);
    const wrong = Object.entries(written).find(([, member]) => !isJson(member));
    if (wrong === undefined) return written;
    throw new RequestError(ResponseCode.INVALID_PARAMETER, `${wrong[0]} has what cannot be written as JSON`);
  }

  async #create(name: string, value: T): Promise<T> {
    this.putBehind(name, value);
    const entry = this.#entries.get(name);
    try {
      await this.persist();
      return value;
    } catch (error) {
      // It was answered that there is none.
      if (this.#entries.get(name) === entry) {
        this.#entries.delete(name);
        this.#changed.add(name);
      }
      throw error;
    } finally {
      this.#creating.delete(name);
    }
  }

  /** One write at a time; those who come before it has begun are in it. */
  async #write(running: Promise<void>): Promise<void> {
    await running.catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#next !== undefined) this.#running = this.#next;
    this.#next = undefined;
    const { part, others } = this.#options;
    if (!this.#table.has(part)) this.#table.set(part, {});
    let failure: { readonly error: unknown } | undefined;
    for (const name of [...this.#changed]) {
      this.#changed.delete(name);
      try {
        const entry = this.#entries.get(name);
        if (entry === undefined) this.#table.delete([part, name]);
        else this.#table.set([part, name], entry.json);
      } catch (error) {
        // It would keep all others from the disk for ever.
        failure ??= { error };
        this.#entries.delete(name);
      }
    }
    for (const [key, value] of Object.entries(others?.() ?? {})) this.#table.set(key, value);
    this.#table.set("dataVersion", { ...this.#version });
    await this.#table.flush();
    if (failure !== undefined) throw failure.error;
  }
}

/** Deepest that a value of a configuration is nested. */
const MAX_DEPTH = 32;

function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === "boolean" || typeof value === "string") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || depth > MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => isJson(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return Object.values(value).every((member) => isJson(member, depth + 1));
}

function readAt<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new TableError(place, (cause as Error).message, { cause });
  }
}

/** Whether an entry says all that was to be written. */
function isSame(entry: JsonEntry, written: JsonEntry): boolean {
  return Object.entries(written).every(([name, value]) => isSameValue(entry[name], value));
}

function isSameValue(one: JsonValue | undefined, other: JsonValue): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  const [left, right] = [Object.entries(one), Object.entries(other)];
  return left.length === right.length && right.every(([key, value]) => isSameValue((one as JsonEntry)[key], value));
}

/** RocketMQ writes fields in the order of the alphabet. */
function sorted(entry: JsonEntry): JsonEntry {
  return Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)));
}
