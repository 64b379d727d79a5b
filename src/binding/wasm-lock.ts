/**
 * One writer: what keeps other processes and threads out of a store that the WebAssembly engine has open for writing. The twin of
 * native/host/src/lock.rs.
 *
 * `node:fs` takes no system lock. Its part is played by `moraine/owner`, which every moraine respects, and by a look at the locks
 * of others on `lock`, which RocketMQ and the native engine hold. RocketMQ cannot be kept out: it sees no owner file.
 *
 * Between moraines the owner file decides, whatever the engines. The locks are looked at before and after it was made: before, to
 * touch nothing of a store that is held; after, for a RocketMQ that came in between, and for an open file's lock whose holder has no
 * owner file. The native engine locks first and looks at the owner file then; where it finds ours it gives up, and this one waits
 * for that.
 */
import { fstatSync, mkdirSync, rmdirSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { StoreError } from "../errors.ts";
import { errnoOf, ioFailure } from "./wasm-errno.ts";
import { CREATE_NEW, closeQuietly, openFile, READ_WRITE, syncDirectory } from "./wasm-open.ts";
import { type Claim, claimOwner, type Holder, isNamed, type Owner, ownerOf } from "./wasm-owner.ts";
import { pause } from "./wasm-pause.ts";
import { lockOnByteZero, type SystemLock } from "./wasm-system-locks.ts";

/** The file that others lock, and what RocketMQ writes into it. */
const LOCK_PATH = "lock";
const LOCK_CONTENTS = "lock";
/** The directory for what moraine adds to a store. */
const SIDECAR = "moraine";
/** Attempts to open what its last holder removes at the same moment. */
const MAX_ATTEMPTS = 8;
/** How long an engine that has taken the lock may need to find our owner file and give up. */
const GIVING_UP_MS = 500;

const ENOENT = 2;
const EEXIST = 17;

/** The right to write a store. Whoever ends without giving it up is found dead by the next. */
export interface WasmLock {
  /** Gives the store up. Later calls of either kind do nothing. */
  release(): void;
  /** Gives up a store that was not opened after all, and removes what taking the lock has made. */
  undo(): void;
}

/**
 * Takes the lock of the store in `root`, an existing directory, absolute and without links. Nothing of the store is read before.
 *
 * STORE_LOCKED names the holder as far as it can be found.
 */
export function acquireLock(root: string): WasmLock {
  const lock = new Lock(root);
  try {
    lock.take();
  } catch (error) {
    lock.undo();
    throw error;
  }
  return lock;
}

class Lock implements WasmLock {
  readonly #root: string;
  readonly #place: string;
  readonly #sidecar: string;
  #file: number | undefined;
  #owner: Owner | undefined;
  #madeLock = false;
  #madeSidecar = false;

  constructor(root: string) {
    this.#root = root;
    this.#place = join(root, LOCK_PATH);
    this.#sidecar = join(root, SIDECAR);
  }

  take(): void {
    const held = this.#heldBy(this.#open());
    if (held !== undefined) throw this.#heldElsewhere(held);
    const claim = this.#claim();
    if (claim.owner === undefined) throw this.#locked(described(claim.holder), claim.holder.pid);
    this.#owner = claim.owner;
    this.#fill(this.#withoutOthers());
    syncDirectory(this.#root, "");
    // An owner whose file has lost its name is none.
    if (!claim.owner.isNamed) throw this.#locked("others that open and close it at this moment");
  }

  release(): void {
    this.#owner?.release();
    this.#owner = undefined;
    this.#close();
    this.#madeLock = false;
    this.#madeSidecar = false;
  }

  undo(): void {
    const madeSidecar = this.#madeSidecar;
    // As long as we are the owner: whoever has locked the file sees that one first, then that the file has lost its name.
    if (this.#madeLock && this.#owner !== undefined) this.#removeLock();
    this.release();
    if (!madeSidecar) return;
    try {
      rmdirSync(this.#sidecar);
    } catch {
      // Somebody else has put something there, and then it stays.
    }
  }

  /** The file `lock`, made where there is none. */
  #open(): number {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const made = orNothing(EEXIST, () => openFile(this.#place, LOCK_PATH, CREATE_NEW));
      const file = made ?? orNothing(ENOENT, () => openFile(this.#place, LOCK_PATH, READ_WRITE));
      if (file === undefined) continue;
      this.#madeLock = made !== undefined;
      this.#file = file;
      return file;
    }
    throw this.#locked("others that open and close it at this moment");
  }

  #claim(): Claim {
    for (let attempt = 1; ; attempt++) {
      try {
        mkdirSync(this.#sidecar);
        this.#madeSidecar = true;
      } catch (error) {
        if (errnoOf(error) !== EEXIST) throw ioFailure(error, "mkdir", SIDECAR);
      }
      try {
        return claimOwner(this.#sidecar);
      } catch (error) {
        // Somebody who made the directory has undone that.
        const isGone = error instanceof StoreError && error.details.errno === ENOENT;
        if (!isGone || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** The file `lock` once nobody else has it locked and it has its name, seen in this order. We are the owner meanwhile. */
  #withoutOthers(): number {
    const until = performance.now() + GIVING_UP_MS;
    let file = this.#file ?? this.#open();
    for (;;) {
      const held = this.#heldBy(file);
      if (held === undefined) {
        if (this.#isNamed(file)) return file;
        // Its last holder had made it and was not opened after all.
        this.#close();
        file = this.#open();
      } else if (held.pid !== undefined || performance.now() > until) {
        this.#owner?.release();
        this.#owner = undefined;
        throw this.#heldElsewhere(held);
      } else {
        pause(1);
      }
    }
  }

  #fill(file: number): void {
    let isEmpty: boolean;
    try {
      isEmpty = fstatSync(file).size === 0;
    } catch (error) {
      throw ioFailure(error, "fstat", LOCK_PATH);
    }
    try {
      if (isEmpty) writeSync(file, LOCK_CONTENTS, 0);
    } catch (error) {
      throw ioFailure(error, "pwrite", LOCK_PATH);
    }
  }

  #heldBy(file: number): SystemLock | undefined {
    try {
      return lockOnByteZero(file, this.#place);
    } catch (error) {
      throw ioFailure(error, "fstat", LOCK_PATH);
    }
  }

  #isNamed(file: number): boolean {
    try {
      return isNamed(file, this.#place);
    } catch (error) {
      throw ioFailure(error, "stat", LOCK_PATH);
    }
  }

  #removeLock(): void {
    const file = this.#file;
    try {
      // RocketMQ may have come meanwhile, which would go on with a lock on a file without a name.
      if (file !== undefined && isNamed(file, this.#place) && this.#heldBy(file) === undefined) unlinkSync(this.#place);
    } catch {
      // An empty store's lock file that stays keeps nobody out.
    }
  }

  #close(): void {
    if (this.#file !== undefined) closeQuietly(this.#file);
    this.#file = undefined;
  }

  #heldElsewhere({ pid }: SystemLock): StoreError {
    if (pid !== undefined) return this.#locked(`process ${pid}, probably RocketMQ`, pid);
    const holder = ownerOf(this.#sidecar);
    if (holder === undefined) return this.#locked("another process, which has left no name");
    return this.#locked(described(holder), holder.pid);
  }

  #locked(by: string, holder?: number): StoreError {
    const message = `the store ${this.#root} is held by ${by}; close it there, or open it with readOnly: true`;
    const details = { path: this.#root, ...(holder === undefined ? {} : { holder }) };
    return new StoreError("STORE_LOCKED", message, { details });
  }
}

function described({ pid, isThisProcess }: Holder): string {
  return isThisProcess ? "this process, which has opened it already" : `process ${pid}, moraine`;
}

/** What the call returns, undefined where it fails with that error of the system. */
function orNothing<T>(errno: number, call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof StoreError && error.details.errno === errno) return undefined;
    throw error;
  }
}
