/** What a store may do now, and what it answers to what it may not. */
import { type PoisonDiagnostics, poisonChannel } from "./diagnostics.ts";
import { StoreError } from "./errors.ts";

/**
 * `poisoned`: a sync, or a write that could not be taken back, has failed; reads go on, nothing can be stored until the store is opened again.
 * A store that is still opening is in nobody's hands: `Store.open` resolves when it is open.
 */
export type StoreState = "opening" | "open" | "closing" | "closed" | "poisoned";

export class Lifecycle {
  readonly path: string;
  readonly readOnly: boolean;
  #writable = false;
  #readable = false;
  #state: StoreState = "opening";
  #poison: StoreError | undefined;
  #reported = false;
  #beforeUse: () => void = () => {};

  constructor(path: string, readOnly: boolean) {
    this.path = path;
    this.readOnly = readOnly;
  }

  get state(): StoreState {
    return this.#state;
  }

  /** The failed sync that no call has been told about. */
  get unreportedPoison(): StoreError | undefined {
    return this.#reported ? undefined : this.#poison;
  }

  /** Whether `close` has not been called. */
  get isOpen(): boolean {
    return this.#readable;
  }

  get isPoisoned(): boolean {
    return this.#poison !== undefined;
  }

  open(): void {
    this.#enter("open");
  }

  close(): void {
    this.#enter("closing");
  }

  closed(): void {
    this.#enter("closed");
  }

  /**
   * A sync failed with `cause`; the first one counts. Returns the error for those who wait for it, and `waiting` says
   * whether there are any.
   */
  poison(cause: StoreError, waiting: boolean): StoreError {
    if (waiting) this.#reported = true;
    if (this.#poison !== undefined) return this.#poison;
    const error = poisonError(cause);
    this.#poison = error;
    if (this.#state === "open") this.#enter("poisoned");
    if (poisonChannel.hasSubscribers) poisonChannel.publish({ path: this.path, error } satisfies PoisonDiagnostics);
    return error;
  }

  get isReadable(): boolean {
    return this.#readable;
  }

  /** What has to be done before a store is used: each check but `checkAppending` calls it. It must not throw. */
  set beforeUse(act: () => void) {
    this.#beforeUse = act;
  }

  checkReadable(): void {
    this.#beforeUse();
    if (!this.#readable) throw this.closedError();
  }

  /** Refuses a call that stores or flushes. */
  checkWritable(): void {
    this.#beforeUse();
    if (!this.#writable) throw this.#writeRefusal();
  }

  /** As `checkWritable`, for an append, which may go into the log together with others. */
  checkAppending(): void {
    if (!this.#writable) throw this.#writeRefusal();
  }

  /** Refuses to wait for what cannot come: nothing is stored any more, or nothing that this store object would see. */
  checkGrowing(): void {
    this.#beforeUse();
    if (this.#writable) return;
    if (this.#poison !== undefined && this.#state === "poisoned") throw poisonError(this.#poison);
    if (this.#state !== "open") throw this.closedError();
    throw new StoreError(
      "STORE_READ_ONLY",
      `the store ${this.path} was opened with readOnly: it shows what was there then, and nothing arrives in it; open it again to see more`,
    );
  }

  /** Refuses to wait for a sync that cannot come; also a store that is closing may wait for one. */
  checkSyncing(): void {
    if (this.#poison !== undefined) throw poisonError(this.#poison);
  }

  #writeRefusal(): StoreError {
    if (this.#poison !== undefined && this.#state === "poisoned") {
      this.#reported = true;
      return poisonError(this.#poison);
    }
    if (this.#state !== "open") return this.closedError();
    return new StoreError("STORE_READ_ONLY", `the store ${this.path} was opened with readOnly; nothing can be stored`);
  }

  /** Why a call is refused once `close` was called. */
  closedError(): StoreError {
    const state = this.#state === "closed" ? "is closed" : this.#state === "closing" ? "is closing" : "is not open yet";
    return new StoreError("STORE_CLOSED", `the store ${this.path} ${state}`);
  }

  #enter(state: StoreState): void {
    this.#state = state;
    this.#readable = state === "open" || state === "poisoned";
    this.#writable = state === "open" && !this.readOnly;
  }
}

/** A new error for each who is told, so that its stack is that of the call. */
function poisonError(cause: StoreError): StoreError {
  if (cause.code === "STORE_POISONED") {
    return new StoreError(cause.code, cause.message, { cause: cause.cause, details: cause.details });
  }
  return new StoreError(
    "STORE_POISONED",
    `writing ended when a write or a sync failed (${cause.message}); close the store and open it again to recover`,
    { cause, details: cause.details },
  );
}
