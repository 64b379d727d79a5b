/**
 * `moraine/owner`: who has the store open for writing. The twin of native/host/src/owner.rs, on the same files.
 *
 * The owner holds the file open and removes it when it closes; what a dead owner left is replaced. Replacing is safe against
 * others that do the same: whoever replaces a file has made and holds `owner.INODE` first, the claim on that very file, and then
 * looks whether the file that it found dead is still there. A file of the same inode is not enough: it may be a later owner's, and
 * that one may give the name up to the next while it is looked at. A claim is a file of the same kind, so one left by a process
 * that died is replaced in the same way.
 */
import { fstatSync, linkSync, lstatSync, readSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { StoreError } from "../errors.ts";
import { errnoOf, ioFailure, refusedFile } from "./wasm-errno.ts";
import { type Identity, identityFrom, identityOfThisProcess, identityText, isThisProcess } from "./wasm-identity.ts";
import { type FileId, holdsOwnerFile } from "./wasm-living.ts";
import { CREATE_NEW, closeQuietly, openFile, READ } from "./wasm-open.ts";
import { pause } from "./wasm-pause.ts";

const NAME = "owner";
/** Longest owner file that is read. */
const MAX_BYTES = 4096;
/** Claims on claims, each left by a process that died while it replaced the one before. */
const MAX_DEPTH = 8;
/** Times that somebody else may change the file while it is looked at. */
const MAX_ATTEMPTS = 64;
/** How long a text without an end may still be written, where a file system has no links. */
const WRITING_MS = 1000;

const ENOENT = 2;
const EEXIST = 17;
/** What a file system without links answers: EPERM, ENOSYS, EOPNOTSUPP. */
const NO_LINKS: ReadonlySet<number> = new Set([1, 38, 95]);

/** A process that has the store open. */
export interface Holder {
  readonly pid: number;
  readonly isThisProcess: boolean;
}

export type Claim =
  | { readonly owner: Owner; readonly holder?: undefined }
  | { readonly owner?: undefined; readonly holder: Holder };

/** The owner file of this process. */
export class Owner {
  readonly #path: string;
  /** A number and no FileHandle, which is closed once nothing refers to it: whoever looks through `/proc/PID/fd` sees it. */
  readonly #descriptor: number;

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
  }

  /** Whether nobody has put another file in the place of ours. */
  get isNamed(): boolean {
    return isNamed(this.#descriptor, this.#path);
  }

  /** Removes the file if it is still ours. Open until it is gone: a closed one would be a dead owner's. */
  release(): void {
    try {
      if (isNamed(this.#descriptor, this.#path)) unlinkSync(this.#path);
    } catch {
      // If it stays, the next one finds its process dead, or without the file open.
    }
    closeQuietly(this.#descriptor);
  }
}

/** Makes this process the owner in `directory`, unless a living one is. */
export function claimOwner(directory: string): Claim {
  return claimFile(join(directory, NAME), 0);
}

/** The owner, if there is a file and its process lives. */
export function ownerOf(directory: string): Holder | undefined {
  try {
    const found = look(join(directory, NAME));
    return found === undefined ? undefined : livingHolder(found);
  } catch {
    // It is asked for the sake of a sentence, which does without.
    return undefined;
  }
}

/** Whether the open file is the one of that name. */
export function isNamed(descriptor: number, path: string): boolean {
  try {
    const open = fstatSync(descriptor, { bigint: true });
    const named = lstatSync(path, { bigint: true });
    return open.dev === named.dev && open.ino === named.ino;
  } catch (error) {
    if (errnoOf(error) === ENOENT) return false;
    throw error;
  }
}

function claimFile(path: string, depth: number): Claim {
  if (depth > MAX_DEPTH) {
    const reason = "too many claims left by dead processes; remove the files moraine/owner*";
    throw refusedFile("link", shown(path), reason);
  }
  const draft = new Draft(path);
  try {
    const holder = place(draft, path, depth);
    if (holder === undefined) return { owner: draft.toOwner(path) };
    draft.discard();
    return { holder };
  } catch (error) {
    draft.discard();
    throw error;
  }
}

/** Puts the draft in its place, unless a living process is there: that one is returned. */
function place(draft: Draft, path: string, depth: number): Holder | undefined {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (draft.publish(path)) return undefined;
    const found = lookUntilWritten(path);
    if (found === undefined) continue;
    const holder = livingHolder(found);
    if (holder !== undefined) return holder;
    // Only who holds the claim on this file may replace it.
    const claim = claimFile(join(dirname(path), `${NAME}.${found.id.inode}`), depth + 1);
    if (claim.owner === undefined) return claim.holder;
    try {
      // It may have been replaced between the look and the claim, even by a file with the same inode. Dead, still there and
      // claimed, it stays.
      if (!isSameFile(look(path), found)) continue;
      draft.replace(path);
      return undefined;
    } finally {
      claim.owner.release();
    }
  }
  const reason = "others take and leave it at this moment";
  const details = { errno: 0, syscall: "link", path: shown(path) };
  throw new StoreError("STORE_BUSY", `link of ${shown(path)} failed: ${reason}`, { details });
}

/** This process's owner file under a name that nobody looks for, complete before it gets the real one. */
class Draft {
  readonly #path: string;
  readonly #text: string;
  #descriptor: number;
  #isThere = true;

  constructor(target: string) {
    const nonce = newNonce();
    this.#path = join(dirname(target), `${NAME}.${nonce}.new`);
    this.#text = identityText(identityOfThisProcess(nonce));
    this.#descriptor = openFile(this.#path, shown(this.#path), CREATE_NEW);
    try {
      writeFileSync(this.#descriptor, this.#text);
    } catch (error) {
      this.discard();
      throw ioFailure(error, "write", shown(this.#path));
    }
  }

  /** Gives the draft its name; false if that is not free. */
  publish(path: string): boolean {
    try {
      linkSync(this.#path, path);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === EEXIST) return false;
      if (NO_LINKS.has(errno)) return this.#writeInPlace(path);
      throw ioFailure(error, "link", shown(path));
    }
  }

  /**
   * For a file system without links: the name is taken first and the text written then. Who finds it without an end waits
   * (`lookUntilWritten`) before it is replaced. Who was held up for half of that while writing leaves it as a dead owner's: it
   * may be replaced at this moment.
   */
  #writeInPlace(path: string): boolean {
    const begun = performance.now();
    let descriptor: number;
    try {
      descriptor = openFile(path, shown(path), CREATE_NEW);
    } catch (error) {
      if (errnoOfFailure(error) === EEXIST) return false;
      throw error;
    }
    try {
      writeFileSync(descriptor, this.#text);
      if (isNamed(descriptor, path) && performance.now() - begun < WRITING_MS / 2) {
        closeQuietly(this.#descriptor);
        this.#descriptor = descriptor;
        return true;
      }
    } catch (error) {
      new Owner(path, descriptor).release();
      throw ioFailure(error, "write", shown(path));
    }
    closeQuietly(descriptor);
    return false;
  }

  /** Gives the draft a name that is taken. */
  replace(path: string): void {
    try {
      renameSync(this.#path, path);
    } catch (error) {
      throw ioFailure(error, "rename", shown(path));
    }
    this.#isThere = false;
  }

  /** The name is ours: the draft's own name goes. */
  toOwner(path: string): Owner {
    this.#remove();
    return new Owner(path, this.#descriptor);
  }

  discard(): void {
    this.#remove();
    closeQuietly(this.#descriptor);
  }

  #remove(): void {
    if (!this.#isThere) return;
    this.#isThere = false;
    try {
      unlinkSync(this.#path);
    } catch {
      // A name that nobody looks for.
    }
  }
}

/** An owner file as it stands there. */
interface Found {
  readonly id: FileId;
  /** No two owners write the same: each has a nonce. */
  readonly text: string;
  /** Undefined if the text cannot be read: cut short by a power failure, or not ours. */
  readonly identity: Identity | undefined;
  readonly modifiedNs: bigint;
}

/** Whether both are one file, and not one file after another on the same inode. */
function isSameFile(now: Found | undefined, before: Found): boolean {
  return (
    now !== undefined &&
    now.id.inode === before.id.inode &&
    now.id.device === before.id.device &&
    now.text === before.text &&
    now.modifiedNs === before.modifiedNs
  );
}

function look(path: string): Found | undefined {
  let descriptor: number;
  try {
    descriptor = openFile(path, shown(path), READ);
  } catch (error) {
    if (errnoOfFailure(error) === ENOENT) return undefined;
    throw error;
  }
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    const bytes = Buffer.alloc(MAX_BYTES);
    let length = 0;
    for (let read = -1; read !== 0 && length < MAX_BYTES; length += read) {
      read = readSync(descriptor, bytes, length, MAX_BYTES - length, length);
    }
    const text = bytes.toString("utf8", 0, length);
    const id = { device: stats.dev, inode: BigInt.asUintN(64, stats.ino) };
    return { id, text, identity: identityFrom(text), modifiedNs: stats.mtimeNs };
  } catch (error) {
    throw ioFailure(error, "read", shown(path));
  } finally {
    closeQuietly(descriptor);
  }
}

/** What stands there once its text has an end, or has had none for as long as somebody may need to write it. */
function lookUntilWritten(path: string): Found | undefined {
  let until = performance.now() + WRITING_MS;
  for (let before: Found | undefined; ; ) {
    const found = look(path);
    if (found === undefined || found.identity !== undefined) return found;
    // Another one's: that one has its time from now on.
    if (before !== undefined && !isSameFile(found, before)) until = performance.now() + WRITING_MS;
    before = found;
    const isOld = Math.abs(Date.now() - Number(found.modifiedNs / 1_000_000n)) > WRITING_MS;
    if (isOld || performance.now() > until) return found;
    pause(10);
  }
}

/** Who holds the file, if that process lives. */
function livingHolder({ id, identity }: Found): Holder | undefined {
  if (identity === undefined || !holdsOwnerFile(identity, id)) return undefined;
  return { pid: identity.pid, isThisProcess: isThisProcess(identity) };
}

/** A name that no other draft has: neither another thread's nor that of a process with this id in another container. */
function newNonce(): string {
  const random = Array.from(crypto.getRandomValues(new Uint32Array(2)), (part) => part.toString(16));
  return [process.pid.toString(16), Date.now().toString(16), random.join("")].join("-");
}

function errnoOfFailure(error: unknown): number | undefined {
  return error instanceof StoreError ? error.details.errno : undefined;
}

function shown(path: string): string {
  return `moraine/${basename(path)}`;
}
