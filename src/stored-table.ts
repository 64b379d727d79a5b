/**
 * A table in memory, and its way to the disk: behind the changes, one write at a time, many changes in one. Its text is printed in
 * slices of the event loop's time, as far as it has changed; what is written is the table as it is at the end of the last of them.
 */
import type { Finding } from "./binding/contract.ts";
import { StoreError } from "./errors.ts";
import { KeptText } from "./json/kept-text.ts";
import { JsonObject } from "./json/nodes.ts";
import { TableFile } from "./table-file.ts";
import { complete, isDerivedFrom, isGroupOffsets } from "./table-shapes.ts";

/** How long a slice of printing may take. */
const SLICE_MS = 2;
/** A table that changes faster than it is printed is written all the same. */
const MAX_SLICES = 1000;

/** What a table needs of its store. */
export interface TableOwner {
  readonly path: string;
  /** Milliseconds since the epoch. */
  now(): number;
  /** A table has changed and wants to be written in a while. */
  changed(): void;
  /** Resolves when everything put so far is durable. Rejects with STORE_POISONED. */
  flushLog(): Promise<void>;
}

/** A write on its way. */
interface Running {
  /** Changes that it brings; all, as long as it has not begun. */
  changes: number;
  done: Promise<void>;
}

export class StoredTable {
  readonly name: string;
  readonly file: string;
  readonly root: JsonObject;
  readonly #disk: TableFile;
  readonly #owner: TableOwner;
  readonly #loading: Finding | undefined;
  readonly #text: KeptText;
  #isNew: boolean;
  #versionGiven = false;
  /** Keys may have come or gone from which something is derived when the table is written. */
  #keysChanged = true;
  /** Changes made, and how many of them are on the disk. */
  #changes = 0;
  #durable = 0;
  #running: Running | undefined;
  #next: Promise<void> | undefined;
  #failure: StoreError | undefined;

  /** Reads the table. Throws STORE_CORRUPT, STORE_IO. */
  constructor(name: string, owner: TableOwner) {
    this.name = name;
    this.#owner = owner;
    this.#disk = new TableFile(owner.path, name);
    this.file = this.#disk.file;
    const { root, finding } = this.#disk.read();
    this.#isNew = root === undefined;
    this.root = root ?? new JsonObject();
    this.#text = new KeptText(this.root);
    this.#loading = finding;
  }

  /** What these keys lead to was changed, added or removed just now. */
  changed(keys: readonly string[]): void {
    const [first = ""] = keys;
    if (this.#text.changed(keys) && isDerivedFrom(this.name, first)) this.#keysChanged = true;
    if (first === "dataVersion") this.#versionGiven = true;
    this.#changes++;
    this.#owner.changed();
  }

  get isDirty(): boolean {
    return this.#durable < this.#changes;
  }

  /** What was noticed: another version than the file's was loaded, or the last write failed. */
  get findings(): Finding[] {
    const findings = this.#loading === undefined ? [] : [this.#loading];
    if (this.#failure !== undefined) {
      const message = `changes could not be written and are kept in memory: ${this.#failure.message}`;
      findings.push({ kind: "table-unwritten", file: this.file, offset: 0, length: 0, message });
    }
    return findings;
  }

  /** Resolves when all changes made so far are on the disk; rejects when the write that would have brought them failed. */
  persist(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const running = this.#running;
    if (running === undefined) return this.isDirty ? this.#start() : Promise.resolve();
    if (running.changes >= this.#changes) return running.done;
    const next = (): Promise<void> => {
      this.#next = undefined;
      return this.#start();
    };
    this.#next = running.done.then(next, next);
    return this.#next;
  }

  #start(): Promise<void> {
    const running: Running = { changes: Number.POSITIVE_INFINITY, done: Promise.resolve() };
    this.#running = running;
    // In the next microtask, so that all who want to write now are in it.
    running.done = running.done.then(() => this.#write(running));
    return running.done;
  }

  async #write(running: Running): Promise<void> {
    let keepVersion = false;
    try {
      await this.#print();
      const changes = this.#changes;
      running.changes = changes;
      keepVersion = this.#versionGiven;
      this.#versionGiven = false;
      this.#complete(keepVersion);
      const bytes = this.#text.bytes();
      // A power cut must not leave an offset and take what was put before it was committed, such as the copy of a message that is
      // to be tried again.
      if (isGroupOffsets(this.name)) await this.#owner.flushLog();
      await this.#disk.write(bytes);
      this.#isNew = false;
      this.#durable = changes;
      this.#failure = undefined;
    } catch (error) {
      this.#versionGiven ||= keepVersion;
      this.#failure = error instanceof StoreError ? error : unprintable(this.file, error);
      throw this.#failure;
    } finally {
      this.#running = undefined;
    }
  }

  /** What has changed, in slices; what changes meanwhile, too. */
  async #print(): Promise<void> {
    for (let slice = 0; slice < MAX_SLICES; slice++) {
      const end = performance.now() + SLICE_MS;
      if (this.#text.print(() => performance.now() > end)) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #complete(keepVersion: boolean): void {
    const { name: table, root } = this;
    complete(root, {
      table,
      isNew: this.#isNew,
      now: this.#owner.now(),
      keepVersion,
      keysChanged: this.#keysChanged,
      onChange: (keys) => this.#text.changed(keys),
    });
    this.#keysChanged = false;
  }
}

/** The text would be longer than a string can be. */
function unprintable(file: string, cause: unknown): StoreError {
  return new StoreError("STORE_UNSUPPORTED", `${file} cannot be written: ${(cause as Error).message}`, {
    cause,
    details: { file },
  });
}
