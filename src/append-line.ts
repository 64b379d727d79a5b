/**
 * Appends: the first of a turn is put at once, those that follow it are gathered and put together at its end, or before
 * anything else is asked of the store. Each settles when it is as safe as was asked. Where the disk is slower than those who
 * append, they wait in line, up to a bound of bytes; so slow syncs cost time, and no memory.
 */
import { type AppendLines, linesOf } from "./append-lines.ts";
import type { PutResult } from "./batch.ts";
import { StoreError } from "./errors.ts";
import type { FlushWaiters } from "./flush-waiters.ts";
import { Gathered } from "./gathered.ts";
import type { EncodedHost } from "./hosts.ts";
import type { InnerBatchMessage, Message } from "./message.ts";
import type { EncodedMessage, GatheredResults, Writer } from "./writer.ts";

/** The first in line tries again so soon, and later and later as long as there is no room. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
/** Most that are let in before other work of the process gets its turn. */
const MESSAGES_A_TURN = 1024;
/** Places at the front of the line that are not worth a copy of the rest. */
const LEFT_KEPT = 1024;

/** Most that are gathered: then they are put, though the turn goes on. */
const GATHERED_MESSAGES = 1024;
const GATHERED_BYTES = 1024 * 1024;
/** More than a record has beyond its encoded message: at most its whole property string is new. */
const ADDED_BYTES = 40_000;

const NOW: Promise<void> = Promise.resolve();

/** One that waits to be told of its message. */
interface Appender {
  readonly durability: "disk" | "memory";
  resolve(result: PutResult): void;
  reject(error: unknown): void;
}

/** One for whom there was no room yet. */
interface Queued {
  readonly encoded: EncodedMessage;
  readonly appender: Appender;
}

export class AppendLine {
  readonly #writer: Writer;
  readonly #waiters: FlushWaiters;
  readonly #path: string;
  readonly #mostBytes: number;
  /** Empty in front of `first`. */
  #line: (Queued | undefined)[] = [];
  #first = 0;
  /** Of messages in line, and of those that wait for their sync. */
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  /** Messages that are put together, and those who wait for them. */
  #gathered: Gathered = new Gathered();
  #appenders: Appender[] = [];
  /** Memory for the next ones, absent while it is in use. */
  #spare: Gathered | undefined;
  /** Those behind one that the engine refused: each is put by itself. */
  #behind: Queued[] = [];
  /** Set from the first append of a turn to its end. */
  #inTurn = false;
  /** Of the same store in this thread, with this one. */
  readonly lines: AppendLines;

  constructor(writer: Writer, waiters: FlushWaiters, path: string, mostBytes: number) {
    this.#writer = writer;
    this.#waiters = waiters;
    this.#path = path;
    this.#mostBytes = mostBytes;
    this.lines = linesOf(path);
    this.lines.add(this);
  }

  /** How full the line is: 1 where the next one is refused. */
  get pressure(): number {
    return Math.min(this.#pendingBytes / this.#mostBytes, 1);
  }

  /** How many are in line. */
  get waiting(): number {
    return this.#line.length - this.#first;
  }

  /** What is wrong is thrown. */
  append(message: Message | InnerBatchMessage, durability: "disk" | "memory"): Promise<PutResult> {
    this.lines.putOthers(this);
    if (this.waiting > 0 || this.#mayBeFull()) this.putGathered();
    if (this.#pendingBytes >= this.#mostBytes) throw this.#full();
    if (this.waiting === 0) {
      if (this.#inTurn) return this.#gather(message, durability);
      this.#beginTurn();
      try {
        return this.#stored(this.#writer.put(message), durability);
      } catch (error) {
        if (!isBusy(error)) throw error;
      }
    }
    const encoded = this.#writer.encode(message);
    return new Promise((resolve, reject) => this.#join({ encoded, appender: { durability, resolve, reject } }));
  }

  /** Puts the messages that were gathered. Whatever comes of it is told to those who appended them. */
  putGathered(): void {
    // Who hears of one may ask for the others to be put.
    this.#putBehind();
    const appenders = this.#appenders;
    if (appenders.length === 0) return;
    // Who hears of a message while it is put may append: to others.
    const gathered = this.#gathered;
    this.#appenders = [];
    this.#gathered = this.#spare ?? new Gathered();
    this.#spare = undefined;
    this.#putAll(gathered, appenders);
    gathered.clear();
    this.#spare = gathered;
  }

  /** Nobody in line gets in any more. */
  end(error: StoreError): void {
    this.lines.delete(this);
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
    this.#turn = undefined;
    for (let queued = this.#leave(); queued !== undefined; queued = this.#leave()) queued.appender.reject(error);
  }

  /** To those who are gathered when it is called: reading a message may have put the others. */
  readonly #add = (bytes: Uint8Array, length: number, storeHost: EncodedHost): void =>
    this.#gathered.add(bytes, length, storeHost);

  #beginTurn(): void {
    this.#inTurn = true;
    NOW.then(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.putGathered();
    // Who heard of them may have appended.
    if (this.#appenders.length > 0) NOW.then(this.#endTurn);
    else this.#inTurn = false;
  };

  #gather(message: Message | InnerBatchMessage, durability: "disk" | "memory"): Promise<PutResult> {
    this.#writer.gather(message, this.#add);
    const promise = new Promise<PutResult>((resolve, reject) => {
      this.#appenders.push({ durability, resolve, reject });
    });
    const { count, used } = this.#gathered;
    if (count >= GATHERED_MESSAGES || used >= GATHERED_BYTES) this.putGathered();
    return promise;
  }

  /** Whether the line may be full once those that were gathered wait for their sync. */
  #mayBeFull(): boolean {
    const { used, count } = this.#gathered;
    return count > 0 && this.#pendingBytes + used + count * ADDED_BYTES >= this.#mostBytes;
  }

  #putAll(gathered: Gathered, appenders: readonly Appender[]): void {
    // Reading a later message may have led earlier ones into the line.
    if (this.waiting > 0) {
      for (const queued of queuedOf(gathered, appenders, 0)) this.#join(queued);
      return;
    }
    let put: GatheredResults;
    try {
      put = this.#writer.putGathered(gathered);
    } catch (error) {
      for (const { reject } of appenders) reject(error);
      return;
    }
    const { results, error } = put;
    for (let n = 0; n < results.length; n++) this.#settle(results[n] as PutResult, appenders[n] as Appender);
    for (const queued of queuedOf(gathered, appenders, results.length)) {
      if (isBusy(error)) this.#join(queued);
      else this.#behind.push(queued);
    }
    this.#writer.tellGathered(put);
    this.#putBehind();
  }

  /** One at a time, which is out of the list before others hear of it. */
  #putBehind(): void {
    for (let queued = this.#behind.shift(); queued !== undefined; queued = this.#behind.shift()) {
      if (this.waiting > 0 || !this.#putNext(queued)) this.#join(queued);
    }
  }

  /** Puts one by itself, who is told what comes of it; false where there is no room for it now. */
  #putNext({ encoded, appender }: Queued): boolean {
    let result: PutResult;
    try {
      result = this.#writer.putEncoded(encoded);
    } catch (error) {
      if (isBusy(error)) return false;
      appender.reject(error);
      return true;
    }
    this.#settle(result, appender);
    return true;
  }

  #join(queued: Queued): void {
    this.#line.push(queued);
    this.#pendingBytes += queued.encoded.bytes.length;
    this.#tryLater();
  }

  #stored(result: PutResult, durability: "disk" | "memory"): Promise<PutResult> {
    if (durability === "memory") return Promise.resolve(result);
    return new Promise((resolve, reject) => this.#settle(result, { durability, resolve, reject }));
  }

  /** The message is in the log. */
  #settle(result: PutResult, { durability, resolve, reject }: Appender): void {
    if (durability === "memory") {
      resolve(result);
      return;
    }
    this.#pendingBytes += result.size;
    const left = (): void => {
      this.#pendingBytes -= result.size;
    };
    this.#waiters.add(
      result.endOffset,
      () => {
        left();
        resolve(result);
      },
      (error) => {
        left();
        reject(error);
      },
    );
  }

  #tryLater(): void {
    if (this.#turn !== undefined) return;
    this.#timer ??= setTimeout(() => this.#try(), this.#pauseMs);
  }

  /** Lets in as many as there is room for, in their order. */
  #try(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#turn = undefined;
    for (let n = 0; n < MESSAGES_A_TURN; n++) {
      // Out of the line first: who is told of the message may end the line, or append.
      const queued = this.#leave();
      if (queued === undefined) return;
      if (!this.#putNext(queued)) {
        this.#comeBack(queued);
        this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
        this.#tryLater();
        return;
      }
      this.#pauseMs = FIRST_PAUSE_MS;
    }
    if (this.waiting > 0) this.#turn ??= setImmediate(() => this.#try());
  }

  /** Takes the first out of the line. */
  #leave(): Queued | undefined {
    const line = this.#line;
    const queued = line[this.#first];
    if (queued === undefined) return;
    this.#pendingBytes -= queued.encoded.bytes.length;
    line[this.#first++] = undefined;
    if (this.#first === line.length) {
      this.#line = [];
      this.#first = 0;
    } else if (this.#first > LEFT_KEPT && this.#first > line.length / 2) {
      this.#line = line.slice(this.#first);
      this.#first = 0;
    }
    return queued;
  }

  /** To the front of the line again. */
  #comeBack(queued: Queued): void {
    this.#pendingBytes += queued.encoded.bytes.length;
    if (this.#first > 0) this.#line[--this.#first] = queued;
    else this.#line.unshift(queued);
  }

  #full(): StoreError {
    const message =
      `${this.#pendingBytes} bytes of appends wait in the store ${this.#path}, and maxPendingBytes is ${this.#mostBytes}; ` +
      "append again when some of them have settled";
    return new StoreError("STORE_BUSY", message, {
      details: { pendingBytes: this.#pendingBytes, maxPendingBytes: this.#mostBytes },
    });
  }
}

/** Copies of those from a place on. */
function queuedOf(gathered: Gathered, appenders: readonly Appender[], from: number): Queued[] {
  return appenders.slice(from).map((appender, n) => ({
    encoded: { bytes: gathered.message(from + n), storeHost: gathered.storeHosts[from + n] as EncodedHost },
    appender,
  }));
}

function isBusy(error: unknown): boolean {
  return error instanceof StoreError && error.code === "STORE_BUSY";
}
