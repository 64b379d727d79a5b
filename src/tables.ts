/** The tables of one store: each loaded when first asked for, all written behind by one timer. */
import type { Finding } from "./binding/contract.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import type { FlushWaiters } from "./flush-waiters.ts";
import { Groups } from "./groups.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Positions } from "./log-positions.ts";
import { StoredTable, type TableOwner } from "./stored-table.ts";
import { Table } from "./table.ts";
import { TableFile } from "./table-file.ts";
import { CONSUMER_OFFSET, LMQ_CONSUMER_OFFSET } from "./table-shapes.ts";

/** How long a change waits for others before its table is written. */
const WRITE_BEHIND_MS = 1000;
/** Writing takes at most this share of the time, however large a table is. */
const WRITE_SHARE = 0.1;
const MAX_WAIT_MS = 30_000;

const NAME = /^\w[\w.-]{0,99}$/;
/** What moraine may keep for itself. */
const RESERVED = "moraine";

interface Entry {
  readonly stored: StoredTable;
  readonly table: Table;
}

/** What tables have to do with the rest of their store. */
export interface TablesParts {
  readonly lifecycle: Lifecycle;
  readonly positions: Positions;
  readonly waiters: FlushWaiters;
  readonly clock: (() => number) | undefined;
  /** They belong to another thread, which would not see what is changed here. */
  readonly isElsewhere: boolean;
}

export class Tables implements TableOwner {
  readonly #parts: TablesParts;
  readonly #lifecycle: Lifecycle;
  readonly #clock: () => number;
  /** By name in small letters: there are file systems that take two names of different case for one. */
  readonly #entries: Map<string, Entry> = new Map();
  #groups: Groups | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = WRITE_BEHIND_MS;

  constructor(parts: TablesParts) {
    this.#parts = parts;
    this.#lifecycle = parts.lifecycle;
    this.#clock = parts.clock ?? Date.now;
  }

  get path(): string {
    return this.#lifecycle.path;
  }

  now(): number {
    return this.#clock();
  }

  table(name: string): Table {
    return this.#entry(checkName(name)).table;
  }

  get groups(): Groups {
    this.#groups ??= new Groups(this.#offsets(), this.#lifecycle);
    return this.#groups;
  }

  /** What was noticed about the tables loaded so far. */
  findings(): Finding[] {
    return [...this.#entries.values()].flatMap(({ stored }) => stored.findings);
  }

  changed(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#writeBehind(), this.#waitMs);
    this.#timer.unref();
  }

  /** Also while the store is closing. A log that is durable already is not synced again. */
  async flushLog(): Promise<void> {
    const { lifecycle, positions, waiters } = this.#parts;
    const { endOffset, durableOffset } = positions.read();
    if (durableOffset >= endOffset) return;
    lifecycle.checkSyncing();
    await waiters.wait(endOffset);
  }

  /** Writes what is left. Returns the failure of one that could not be written. */
  async close(): Promise<StoreError | undefined> {
    clearTimeout(this.#timer);
    return await this.#persist();
  }

  /** A failure is kept as a finding, and the table is tried again. */
  async #writeBehind(): Promise<void> {
    const begun = performance.now();
    const failure = await this.#persist();
    const share = (performance.now() - begun) / WRITE_SHARE;
    this.#waitMs = Math.min(Math.max(WRITE_BEHIND_MS, share), MAX_WAIT_MS);
    this.#timer = undefined;
    const isLeft = failure !== undefined || [...this.#entries.values()].some(({ stored }) => stored.isDirty);
    if (isLeft && this.#lifecycle.isOpen) this.changed();
  }

  async #persist(): Promise<StoreError | undefined> {
    const written = await Promise.allSettled([...this.#entries.values()].map(({ stored }) => stored.persist()));
    return written.find((result) => result.status === "rejected")?.reason;
  }

  /** RocketMQ with light queues keeps all offsets in a file of another name, and does not look at the usual one. */
  #offsets(): StoredTable {
    const light = new TableFile(this.path, LMQ_CONSUMER_OFFSET);
    return this.#entry(light.exists() ? LMQ_CONSUMER_OFFSET : CONSUMER_OFFSET).stored;
  }

  #entry(name: string): Entry {
    if (this.#parts.isElsewhere) {
      const message = `the table ${shown(name)} belongs to the thread that opened the store ${this.path}; ask it there`;
      throw new StoreError("STORE_UNSUPPORTED", message, { details: { engine: "native" } });
    }
    const key = name.toLowerCase();
    const known = this.#entries.get(key);
    if (known !== undefined) return sameName(known, name);
    const stored = new StoredTable(name, this);
    const entry: Entry = { stored, table: new Table(stored, this.#lifecycle) };
    this.#entries.set(key, entry);
    return entry;
  }
}

function sameName(entry: Entry, name: string): Entry {
  const { name: open } = entry.stored;
  if (open === name) return entry;
  throw argumentError(
    "name",
    `name is ${shown(name)}, but the table ${shown(open)} is open; names must differ in more than case`,
  );
}

function checkName(name: unknown): string {
  if (typeof name !== "string" || !NAME.test(name) || name.toLowerCase().endsWith(".json")) {
    const right =
      'it must be 1 to 100 letters, digits, ".", "_" and "-", without a "." or "-" in front and ".json" behind';
    throw argumentError("name", `name is ${shown(name)}; ${right}`);
  }
  if (name.toLowerCase() === RESERVED) {
    throw argumentError("name", `name is ${shown(name)}, which moraine keeps for itself; choose another one`);
  }
  return name;
}
