/**
 * Appends: each is put at once, and settles when it is as safe as was asked. Where the disk is slower than those who append,
 * they wait in line, up to a bound of bytes; so slow syncs cost time, and no memory.
 */
import type { PutResult } from "./batch.ts";
import { StoreError } from "./errors.ts";
import type { FlushWaiters } from "./flush-waiters.ts";
import type { InnerBatchMessage, Message } from "./message.ts";
import type { EncodedMessage, Writer } from "./writer.ts";

/** The first in line tries again so soon, and later and later as long as there is no room. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
/** Most that are let in before other work of the process gets its turn. */
const MESSAGES_A_TURN = 1024;
/** Places at the front of the line that are not worth a copy of the rest. */
const LEFT_KEPT = 1024;

/** One for whom there was no room yet. */
interface Queued {
  readonly encoded: EncodedMessage;
  readonly durability: "disk" | "memory";
  resolve(result: PutResult): void;
  reject(error: unknown): void;
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

  constructor(writer: Writer, waiters: FlushWaiters, path: string, mostBytes: number) {
    this.#writer = writer;
    this.#waiters = waiters;
    this.#path = path;
    this.#mostBytes = mostBytes;
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
    if (this.#pendingBytes >= this.#mostBytes) throw this.#full();
    if (this.waiting === 0) {
      try {
        return this.#stored(this.#writer.put(message), durability);
      } catch (error) {
        if (!isBusy(error)) throw error;
      }
    }
    const encoded = this.#writer.encode(message);
    return new Promise((resolve, reject) => {
      this.#line.push({ encoded, durability, resolve, reject });
      this.#pendingBytes += encoded.bytes.length;
      this.#tryLater();
    });
  }

  /** Nobody in line gets in any more. */
  end(error: StoreError): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
    this.#turn = undefined;
    for (let queued = this.#leave(); queued !== undefined; queued = this.#leave()) queued.reject(error);
  }

  #stored(result: PutResult, durability: "disk" | "memory"): Promise<PutResult> {
    if (durability === "memory") return Promise.resolve(result);
    this.#pendingBytes += result.size;
    return new Promise((resolve, reject) => {
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
    });
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
      try {
        this.#stored(this.#writer.putEncoded(queued.encoded), queued.durability).then(queued.resolve, queued.reject);
        this.#pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        if (isBusy(error)) {
          this.#comeBack(queued);
          this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
          this.#tryLater();
          return;
        }
        queued.reject(error);
      }
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

function isBusy(error: unknown): boolean {
  return error instanceof StoreError && error.code === "STORE_BUSY";
}
