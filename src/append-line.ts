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
  readonly #line: Queued[] = [];
  /** Of messages in line, and of those that wait for their sync. */
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
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

  /** What is wrong is thrown. */
  append(message: Message | InnerBatchMessage, durability: "disk" | "memory"): Promise<PutResult> {
    if (this.#pendingBytes >= this.#mostBytes) throw this.#full();
    if (this.#line.length === 0) {
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
    this.#timer = undefined;
    for (const { encoded, reject } of this.#line.splice(0)) {
      this.#pendingBytes -= encoded.bytes.length;
      reject(error);
    }
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
    this.#timer ??= setTimeout(() => this.#try(), this.#pauseMs);
  }

  /** Lets in as many as there is room for, in their order. */
  #try(): void {
    this.#timer = undefined;
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      try {
        const result = this.#writer.putEncoded(first.encoded);
        this.#leave(first);
        this.#stored(result, first.durability).then(first.resolve, first.reject);
        this.#pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        if (isBusy(error)) break;
        this.#leave(first);
        first.reject(error);
      }
    }
    if (this.#line.length === 0) return;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#tryLater();
  }

  #leave({ encoded }: Queued): void {
    this.#line.shift();
    this.#pendingBytes -= encoded.bytes.length;
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
