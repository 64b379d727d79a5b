/**
 * What the native engine's flusher thread does, on the event loop: syncs in groups, writes entries behind, says how far the files
 * reach. Syncs run in Node's threads; the event loop gets its turn between two pieces of everything else.
 *
 * Idle it waits for nothing. The first put after idleness starts the interval's timer; a flush asked for while a sync runs
 * is the next group.
 */
import type { StoreError } from "../errors.ts";
import { failureFrom } from "./failure.ts";
import type { WasmInstance } from "./wasm-instance.ts";
import { carryOut } from "./wasm-steps.ts";

/** Time of writing after which the durable position is said on disk again. */
const WATERMARK_INTERVAL_MS = 1000;
/** Between two looks at what may be removed, in a store that removes by itself: as in RocketMQ. */
const RETENTION_INTERVAL_MS = 10_000;

/** What the export of a plan answers (wasm/src/plans.rs). */
const NOTHING = 0;
const DONE = 1;
const STEPS = 2;
const PUT_OFF = 3;

export interface FlusherSettings {
  readonly isSync: boolean;
  readonly isReadOnly: boolean;
  readonly flushIntervalMs: number;
  /** Files may go without being asked for. */
  readonly removes: boolean;
}

/** The durable position may have moved; or writing has ended. */
export type Settled = (error: StoreError | undefined) => void;

type Timer = ReturnType<typeof setTimeout>;

export class WasmFlusher {
  readonly #instance: WasmInstance;
  readonly #settings: FlusherSettings;
  readonly #settled: Settled;
  #flush = false;
  #behind = false;
  #due = false;
  #look = false;
  #errands: (() => void)[] = [];
  /** The interval's, running from the first put after idleness. */
  #interval: Timer | undefined;
  #looks: Timer | undefined;
  #lookedAt = performance.now();
  #markedAt = performance.now();
  #flushedAt = performance.now();
  #working: Promise<void> | undefined;
  #ended = false;

  constructor(instance: WasmInstance, settings: FlusherSettings, settled: Settled) {
    this.#instance = instance;
    this.#settings = settings;
    this.#settled = settled;
    if (settings.removes) this.#lookIn(0);
  }

  /** Whether a plan is being carried out. */
  get isAtWork(): boolean {
    return this.#working !== undefined;
  }

  /** Something was put: in an interval from now at the latest it has to be looked at. */
  arm(): void {
    if (this.#interval !== undefined || this.#ended) return;
    this.#interval = setTimeout(() => {
      this.#interval = undefined;
      this.#due = true;
      this.#wake();
    }, this.#settings.flushIntervalMs);
    this.#interval.unref();
  }

  askFlush(): void {
    this.#flush = true;
    this.#wake();
  }

  askBehind(): void {
    this.#behind = true;
    this.#wake();
  }

  /** Runs `work` between two plans. */
  errand<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#errands.push(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      this.#wake();
    });
  }

  /** What is under way ends, then everything put so far is synced; nothing follows. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#interval);
    clearTimeout(this.#looks);
    await this.#working;
    this.#runErrands();
    if (!this.#settings.isReadOnly) await this.#sync();
  }

  #wake(): void {
    if (this.#ended) return;
    this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    // Whatever else is put in this turn of the event loop belongs to the group.
    await undefined;
    while (!this.#ended && (this.#flush || this.#behind || this.#due || this.#look || this.#errands.length > 0)) {
      this.#runErrands();
      const { isSync } = this.#settings;
      const [flush, behind, due, look] = [this.#flush, this.#behind, this.#due, this.#look];
      this.#flush = this.#behind = this.#due = this.#look = false;
      try {
        // In a synchronous store entries leave memory only when their messages are durable: too many of them ask for a flush
        // that nobody else has asked for.
        if (flush || (isSync ? behind : due)) await this.#flushGroup();
        if (look && !this.#ended) this.#lookNow();
        if ((behind || due) && !this.#ended) await this.#writeBehind(due);
      } catch (error) {
        // A trap, or a store that is closed meanwhile: whoever waits is told.
        this.#settled(error as StoreError);
      }
    }
    // In the same breath as the last look: who asks from here on begins anew.
    this.#working = undefined;
  }

  async #flushGroup(): Promise<void> {
    await this.#sync();
    const now = performance.now();
    const isTime = now - this.#markedAt >= WATERMARK_INTERVAL_MS;
    const outcome = await this.#carry("plan_watermark", isTime ? 1 : 0);
    if (outcome !== NOTHING) this.#markedAt = now;
    // What is durable now may leave memory, with the next interval.
    if (this.#settings.isSync) this.arm();
  }

  /** One group: everything put so far, one sync, one settlement. */
  async #sync(): Promise<void> {
    this.#flushedAt = performance.now();
    try {
      if ((await this.#carry("plan_flush")) !== undefined) this.#settled(undefined);
    } catch (error) {
      this.#settled(error as StoreError);
    }
  }

  async #writeBehind(due: boolean): Promise<void> {
    const all = this.#instance.call("decide", performance.now(), due ? 1 : 0);
    if (all === 0) this.arm();
    const finished = await this.#plansBehind(all);
    this.#instance.call("wrote", all, finished ? 1 : 0);
    await this.#checkpoint();
    await this.#seal();
  }

  /** Entries to their files, a plan at a time. False if the round was broken off for what is more urgent. */
  async #plansBehind(all: number): Promise<boolean> {
    for (;;) {
      const outcome = await this.#carry("plan_behind", all);
      // The disk is full: the entries wait in memory for the next interval.
      if (outcome === PUT_OFF) this.arm();
      if (outcome !== DONE) return true;
      await turn();
      if (this.#isUrgent()) {
        this.#behind = true;
        return false;
      }
    }
  }

  /** Once enough was put since the last time: everything to its file and synced, and said on disk. */
  async #checkpoint(): Promise<void> {
    if (this.#ended || this.#instance.call("begin_checkpoint") !== 1) return;
    await this.#sync();
    await this.#plansBehind(1);
    await this.#carry("plan_checkpoint");
  }

  /** Takes the digests of finished segments, until there is something more urgent. */
  async #seal(): Promise<void> {
    while (!this.#ended && this.#plain(this.#instance.call("seal_step")) === DONE) {
      await turn();
      if (this.#isUrgent()) {
        this.#behind = true;
        return;
      }
    }
  }

  #isUrgent(): boolean {
    return this.#ended || this.#flush || this.#due || this.#errands.length > 0;
  }

  /** Runs a plan with all its steps; undefined where it has failed, which is told. */
  async #carry(plan: string, ...numbers: number[]): Promise<number | undefined> {
    const begun = this.#plain(this.#instance.call(plan, ...numbers));
    if (begun !== STEPS) return begun;
    const isFlush = plan === "plan_flush";
    const steps = this.#instance.outbox().slice();
    const failed = await carryOut(steps, this.#instance.files, () => (isFlush ? NOTHING_BETWEEN : this.#between()));
    const flush = isFlush ? 1 : 0;
    if (failed === undefined) return this.#plain(this.#instance.call("landed", 0, 0, flush));
    const words = [failed.syscall, failed.path, failed.reason].join("\0");
    let bytes = 0;
    try {
      bytes = this.#instance.give(words)[0] ?? 0;
    } catch {
      // Without the memory for its words a failure is one all the same.
    }
    return this.#plain(this.#instance.call("landed", failed.errno, bytes, flush));
  }

  /** Whoever waits for a sync does not wait for those of many files. */
  async #between(): Promise<void> {
    const isTime = performance.now() - this.#flushedAt >= this.#settings.flushIntervalMs;
    if (this.#flush || (isTime && !this.#settings.isSync)) {
      this.#flush = false;
      await this.#sync();
    }
  }

  /** An answer that is not the end of writing; that is told. */
  #plain(answer: number): number | undefined {
    if (answer <= PUT_OFF) return answer;
    this.#settled(failureFrom(this.#instance.text()));
    return undefined;
  }

  #runErrands(): void {
    const errands = this.#errands;
    this.#errands = [];
    for (const errand of errands) errand();
    // What the sidecar says has to be said anew.
    if (errands.length > 0) this.arm();
  }

  #lookIn(ms: number): void {
    this.#looks = setTimeout(() => {
      this.#look = true;
      this.#wake();
    }, ms);
    this.#looks.unref();
  }

  /** A failure is a finding, and tried again, unless writing has ended. */
  #lookNow(): void {
    const elapsed = performance.now() - this.#lookedAt;
    this.#lookedAt = performance.now();
    try {
      if (this.#instance.call("look", elapsed) === 1) this.arm();
    } catch (error) {
      // The engine keeps it as a finding; an instance that has stopped says what it is about when it is asked for more.
      if ((error as StoreError).code === "STORE_CLOSED") return;
    }
    const poison = this.#instance.poison();
    this.#settled(poison);
    if (poison === undefined) this.#lookIn(RETENTION_INTERVAL_MS);
  }
}

const NOTHING_BETWEEN: Promise<void> = Promise.resolve();

/** The event loop's turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
