/**
 * The world of a WebAssembly instance: what it imports, as synchronous calls of `node:fs` by position.
 *
 * An import that fails answers Linux's number, negated, and keeps the words for `failure`. None throws: an exception must not
 * run through the module's frames. A handle is a file descriptor.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { encodeListing, isThere, space, statNumbers, zoneOffset } from "./wasm-entries.ts";
import { errnoOf } from "./wasm-errno.ts";
import { failedCall, inCall } from "./wasm-failed-call.ts";
import { CREATE_NEW, closeQuietly, makeDirectories, openFile, READ, READ_WRITE, syncDirectory } from "./wasm-open.ts";

/** Linear memory as it is now. */
export interface LinearMemory {
  bytes(): Uint8Array;
  view(): DataView;
  text(at: number, bytes: number): string;
}

/** What the engine tells while it works; `onProgress` says whether to go on. */
export interface WasmEvents {
  onProgress(phase: string, done: number, total: number): boolean;
  onPanic(text: string): void;
}

/** Descriptors that are kept for files read and written by their paths. */
const OPEN_FILES = 64;
const ZERO_BYTES = 1024 * 1024;
const SEARCH_BYTES = 256 * 1024;
const BLOCK_BYTES = 4096;
/** Where a file gets its size before it gets its name. */
const MAKING = "moraine/making";
/** As RocketMQ makes its files, less the process's umask. */
const WHOLE_MODE = 0o666;

const zeros: Uint8Array = new Uint8Array(ZERO_BYTES);

const ENOENT = 2;
const EEXIST = 17;
/** How `stat` looks: through links, or at a file that others may replace. */
const FOLLOW = 1;
const STAMP = 2;

export class WasmFiles {
  readonly #roots: readonly string[];
  readonly #readOnly: boolean;
  readonly #events: WasmEvents;
  /** By root and path, the one used last at the end. */
  readonly #open: Map<string, number> = new Map();
  readonly #paths: Map<number, string> = new Map();
  /** Files of segments, which the engine closes. */
  readonly #segments: Set<number> = new Set();
  /** Written by their paths, or changed, since they were synced. */
  readonly #dirtyFiles: Set<string> = new Set();
  readonly #dirtyDirectories: Set<string> = new Set();
  #words = "";
  #listing: Uint8Array = new Uint8Array(0);
  #search: Uint8Array | undefined;

  /** `roots`: directories of the engine's roots, absolute. */
  constructor(roots: readonly string[], readOnly: boolean, events: WasmEvents) {
    this.#roots = roots;
    this.#readOnly = readOnly;
    this.#events = events;
  }

  /** What the module imports under the name `moraine`. */
  imports(memory: LinearMemory): Record<string, (...numbers: number[]) => number | undefined> {
    const place = (root: number, path: number, bytes: number) => this.place(root, memory.text(path, bytes));
    const guarded =
      (syscall: string, call: (...numbers: number[]) => number) =>
      (...numbers: number[]): number => {
        try {
          return call(...numbers);
        } catch (error) {
          return this.#failed(error, syscall);
        }
      };
    return {
      list: guarded("opendir", (root = 0, path = 0, bytes = 0) => this.#list(place(root, path, bytes))),
      take: (at = 0, bytes = 0) => {
        memory.bytes().set(this.#listing.subarray(0, bytes), at);
        this.#listing = new Uint8Array(0);
        return undefined;
      },
      stat: guarded("stat", (root = 0, path = 0, bytes = 0, how = 0, into = 0) =>
        this.#stat(place(root, path, bytes), how, memory.view(), into),
      ),
      make_dir: guarded("mkdir", (root = 0, path = 0, bytes = 0) => this.makeDirectory(place(root, path, bytes))),
      open: guarded("open", (root = 0, path = 0, bytes = 0) => {
        const handle = openFile(place(root, path, bytes), "", this.#readOnly ? READ : READ_WRITE);
        this.#segments.add(handle);
        return handle;
      }),
      create: guarded("open", (root = 0, path = 0, bytes = 0, size = 0, keep = 0) => {
        const name = memory.text(path, bytes);
        return keep === 0 ? this.create(root, name, size) : this.#createSegment(root, name, size);
      }),
      file: guarded("open", (root = 0, path = 0, bytes = 0) => this.#file(place(root, path, bytes))),
      close: (handle = 0) => {
        this.#segments.delete(handle);
        closeQuietly(handle);
        return undefined;
      },
      size: guarded("fstat", (handle = 0) => fs.fstatSync(handle).size),
      read: guarded("pread", (handle = 0, position = 0, at = 0, bytes = 0) =>
        readAll(handle, memory.bytes(), at, bytes, position),
      ),
      write: guarded("pwrite", (handle = 0, position = 0, at = 0, bytes = 0) => {
        this.#written(handle);
        return writeAll(handle, memory.bytes(), at, bytes, position);
      }),
      clear: guarded("pread", (handle = 0, from = 0, to = 0) => this.#clear(handle, from, to)),
      zero: guarded("pwrite", (handle = 0, from = 0, to = 0) => {
        for (let at = from; at < to; at += ZERO_BYTES) {
          writeAll(handle, zeros, 0, Math.min(ZERO_BYTES, to - at), at);
        }
        return 0;
      }),
      sync: guarded("fdatasync", (handle = 0) => {
        fs.fdatasyncSync(handle);
        this.#synced(handle);
        return 0;
      }),
      sync_dir: guarded("fsync", (root = 0, path = 0, bytes = 0) => this.#syncDirectory(place(root, path, bytes))),
      sync_all: guarded("fdatasync", (root = 0) => this.#syncAll(root)),
      remove: guarded("unlink", (root = 0, path = 0, bytes = 0) => this.remove(place(root, path, bytes))),
      remove_dir: guarded("rmdir", (root = 0, path = 0, bytes = 0) => {
        const directory = place(root, path, bytes);
        fs.rmdirSync(directory);
        this.#dirtyDirectories.delete(directory);
        this.#dirtyDirectories.add(dirname(directory));
        return 0;
      }),
      rename: guarded("rename", (root = 0, from = 0, fromBytes = 0, to = 0, toBytes = 0) =>
        this.rename(place(root, from, fromBytes), place(root, to, toBytes)),
      ),
      space: guarded("statfs", (root = 0, path = 0, bytes = 0, into = 0) =>
        space(place(root, path, bytes), memory.view(), into),
      ),
      failure: (at = 0, bytes = 0) => {
        const words = new TextEncoder().encode(this.#words).subarray(0, bytes);
        memory.bytes().set(words, at);
        return words.length;
      },
      now: () => Date.now(),
      zone_offset: (at = 0) => zoneOffset(at),
      progress: (phase = 0, bytes = 0, done = 0, total = 0) =>
        this.#events.onProgress(memory.text(phase, bytes), done, total) ? 1 : 0,
      panicked: (text = 0, bytes = 0) => {
        this.#events.onPanic(memory.text(text, bytes));
        return undefined;
      },
    };
  }

  /** What a killed process left in the middle of making a file. */
  removeLeftovers(): void {
    for (const root of this.#roots.keys()) removeQuietly(this.place(root, MAKING));
  }

  /** Closes what is open still. */
  close(): void {
    for (const handle of this.#open.values()) closeQuietly(handle);
    for (const handle of this.#segments) closeQuietly(handle);
    this.#open.clear();
    this.#paths.clear();
    this.#segments.clear();
  }

  makeDirectory(directory: string): number {
    const made = makeDirectories(directory);
    if (made !== undefined) {
      for (let at = directory; ; at = dirname(at)) {
        this.#dirtyDirectories.add(dirname(at));
        if (at === made || at === dirname(at)) break;
      }
    }
    return 0;
  }

  /** Makes a file of `size` zero bytes, or lengthens the one that is there. */
  create(root: number, path: string, size: number): number {
    const place = this.place(root, path);
    this.#forget(place);
    if (size > 0 && !isThere(place) && this.#createWhole(root, place, size)) {
      this.#dirtyFiles.add(place);
      return 0;
    }
    const handle = openFile(place, "", READ_WRITE | fs.constants.O_CREAT);
    try {
      if (fs.fstatSync(handle).size < size) inCall("ftruncate", () => fs.ftruncateSync(handle, size));
    } finally {
      fs.closeSync(handle);
    }
    this.#dirtyFiles.add(place);
    this.#dirtyDirectories.add(dirname(place));
    return 0;
  }

  #createSegment(root: number, path: string, size: number): number {
    const place = this.place(root, path);
    if (!this.#createWhole(root, place, size)) {
      const handle = openFile(place, "", CREATE_NEW);
      try {
        inCall("ftruncate", () => fs.ftruncateSync(handle, size));
      } catch (error) {
        // What was made just now and is of no use.
        closeQuietly(handle);
        removeQuietly(place);
        throw error;
      }
      this.#segments.add(handle);
      this.#dirtyDirectories.add(dirname(place));
      return handle;
    }
    const handle = openFile(place, "", READ_WRITE);
    this.#segments.add(handle);
    return handle;
  }

  /**
   * Gives a file its size before its name: RocketMQ 4.9 refuses a store in which one has another size. False where that
   * cannot be done here.
   */
  #createWhole(root: number, place: string, size: number): boolean {
    const making = this.place(root, MAKING);
    removeQuietly(making);
    let handle: number;
    try {
      handle = openFile(making, "", CREATE_NEW, WHOLE_MODE);
    } catch {
      return false;
    }
    try {
      inCall("ftruncate", () => fs.ftruncateSync(handle, size));
      if (!linked(making, place)) return false;
    } finally {
      fs.closeSync(handle);
      removeQuietly(making);
    }
    this.#dirtyDirectories.add(dirname(place));
    return true;
  }

  remove(place: string): number {
    this.#forget(place);
    this.#dirtyFiles.delete(place);
    fs.unlinkSync(place);
    this.#dirtyDirectories.add(dirname(place));
    return 0;
  }

  rename(from: string, to: string): number {
    try {
      fs.renameSync(from, to);
    } finally {
      this.#forget(from);
      this.#forget(to);
    }
    if (this.#dirtyFiles.delete(from)) this.#dirtyFiles.add(to);
    this.#dirtyDirectories.add(dirname(to));
    return 0;
  }

  /** Writes into a file that is there. */
  write(place: string, position: number, bytes: Uint8Array): void {
    this.#dirtyFiles.add(place);
    writeAll(this.#file(place), bytes, 0, bytes.length, position);
  }

  /** Files and directories of a root that are to be synced. */
  takeDirty(root: number): { files: string[]; directories: string[] } {
    const below = (path: string) => path === this.#roots[root] || path.startsWith(`${this.#roots[root]}/`);
    const files = [...this.#dirtyFiles].filter(below);
    const directories = new Set([...this.#dirtyDirectories].filter(below));
    for (const file of files) {
      this.#dirtyFiles.delete(file);
      // A process that died may have made the directories, and not synced them.
      for (let above = dirname(file); below(above); above = dirname(above)) directories.add(above);
    }
    for (const directory of directories) this.#dirtyDirectories.delete(directory);
    return { files, directories: [...directories] };
  }

  /** A sync of the file begins: what is written from here on it may leave out. Returns what is to be done if it fails. */
  beginSync(place: string): () => void {
    const wasDirty = this.#dirtyFiles.delete(place);
    return () => {
      if (wasDirty) this.#dirtyFiles.add(place);
    };
  }

  /** The place of a path of the engine's; the empty one is the root itself. */
  place(root: number, path: string): string {
    const directory = this.#roots[root] ?? "";
    return path === "" ? directory : `${directory}/${path}`;
  }

  /** The descriptor of a file that is there. */
  #file(place: string): number {
    const known = this.#open.get(place);
    if (known !== undefined) {
      this.#open.delete(place);
      this.#open.set(place, known);
      return known;
    }
    const handle = openFile(place, "", this.#readOnly ? READ : READ_WRITE);
    if (this.#open.size >= OPEN_FILES) {
      const [oldest] = this.#open.keys();
      if (oldest !== undefined) this.#forget(oldest);
    }
    this.#open.set(place, handle);
    this.#paths.set(handle, place);
    return handle;
  }

  #forget(place: string): void {
    const handle = this.#open.get(place);
    if (handle === undefined) return;
    this.#open.delete(place);
    this.#paths.delete(handle);
    closeQuietly(handle);
  }

  #written(handle: number): void {
    const place = this.#paths.get(handle);
    if (place !== undefined) this.#dirtyFiles.add(place);
  }

  #synced(handle: number): void {
    const place = this.#paths.get(handle);
    if (place !== undefined) this.#dirtyFiles.delete(place);
  }

  #list(directory: string): number {
    let found: fs.Dirent[];
    try {
      found = fs.readdirSync(directory, { withFileTypes: true });
    } catch (error) {
      if (errnoOf(error) === ENOENT) return 0;
      throw error;
    }
    this.#listing = encodeListing(directory, found);
    return this.#listing.length;
  }

  #stat(place: string, how: number, view: DataView, into: number): number {
    // Who asks for the stamp of a file expects that others replace it: the next read opens what is there then.
    if (how === STAMP) this.#forget(place);
    const numbers = statNumbers(place, how === FOLLOW);
    for (const [number, value] of numbers.entries()) view.setBigUint64(into + number * 8, value, true);
    return 0;
  }

  /** Only blocks that hold something are written: they have their room, also on a full disk. */
  #clear(handle: number, from: number, to: number): number {
    this.#search ??= new Uint8Array(SEARCH_BYTES);
    let cleared = 0;
    for (let at = from; at < to; at += SEARCH_BYTES) {
      const piece = this.#search.subarray(0, Math.min(SEARCH_BYTES, to - at));
      const read = readAll(handle, piece, 0, piece.length, at);
      if (isZero(piece.subarray(0, read))) continue;
      for (let block = 0, end = 0; block < read; block = end) {
        // Up to the end of a block of the file: what lies behind it may have no room.
        end = Math.min(block + BLOCK_BYTES - ((at + block) % BLOCK_BYTES), read);
        const bytes = piece.subarray(block, end);
        if (isZero(bytes)) continue;
        inCall("pwrite", () => writeAll(handle, zeros, 0, bytes.length, at + block));
        cleared = 1;
      }
    }
    return cleared;
  }

  #syncDirectory(directory: string): number {
    syncDirectory(directory, "");
    this.#dirtyDirectories.delete(directory);
    return 0;
  }

  #syncAll(root: number): number {
    const { files, directories } = this.takeDirty(root);
    for (const handle of this.#segments) fs.fdatasyncSync(handle);
    for (const file of files) if (isThere(file)) fs.fdatasyncSync(this.#file(file));
    for (const directory of directories) if (isThere(directory)) this.#syncDirectory(directory);
    return 0;
  }

  #failed(error: unknown, syscall: string): number {
    const { errno, syscall: told, reason } = failedCall(error, syscall, "");
    this.#words = `${told}\0${reason}`;
    return -errno;
  }
}

/** Gives a file a second name; false on a file system that has no such thing. */
function linked(from: string, to: string): boolean {
  try {
    fs.linkSync(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === EEXIST) throw error;
    return false;
  }
}

function readAll(handle: number, into: Uint8Array, at: number, bytes: number, position: number): number {
  let read = 0;
  while (read < bytes) {
    const some = fs.readSync(handle, into, at + read, bytes - read, position + read);
    if (some === 0) break;
    read += some;
  }
  return read;
}

function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0;
}

function writeAll(handle: number, from: Uint8Array, at: number, bytes: number, position: number): number {
  let written = 0;
  while (written < bytes) written += fs.writeSync(handle, from, at + written, bytes - written, position + written);
  return 0;
}

function removeQuietly(place: string): void {
  try {
    fs.unlinkSync(place);
  } catch {
    // It was not there, or the next call on the directory says what is wrong.
  }
}
