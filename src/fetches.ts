/** Reads that never hold up the event loop: what is in memory at once, the rest from threads of the engine. */
import { abortError, checkSignal, onAbort, throwIfAborted } from "./abort.ts";
import { checkOffset, readOptions } from "./arguments.ts";
import type { EngineFetch, EngineStore } from "./binding/contract.ts";
import type { StoreError } from "./errors.ts";
import type { GetResult } from "./get-result.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { FetchOptions, QueueReader } from "./queue-reader.ts";
import { messagesIn, type StoredMessage } from "./stored-message.ts";

export interface FetchAtOptions {
  /** Ends the wait with `STORE_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

const FETCH_AT_OPTIONS: readonly string[] = ["signal"];
/** Bytes that are answered at once in one turn of the event loop: whoever reads on and on lets others have theirs. */
const BYTES_A_TURN = 1 << 18;
/** What an answer costs beside its bytes. */
const BYTES_AN_ANSWER = 4096;

export class Fetches {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  readonly #reader: QueueReader;
  /** What ends the waits for those that are being read. */
  readonly #waiting: Set<(error: StoreError) => void> = new Set();
  /** Bytes answered in this turn of the event loop. */
  #answered = 0;

  constructor(engine: EngineStore, lifecycle: Lifecycle, reader: QueueReader) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
    this.#reader = reader;
  }

  /** What is wrong is thrown. */
  fetch(
    topic: string,
    queueId: number,
    queueOffset: number,
    options: FetchOptions | undefined,
  ): GetResult | Promise<GetResult> {
    const read = this.#reader.fetch(topic, queueId, queueOffset, options);
    return "now" in read ? this.#inTurn(read.now, read.now.bytes.length) : this.#wait(read.later, read.signal);
  }

  fetchAt(
    physicalOffset: number,
    options: FetchAtOptions | undefined,
  ): StoredMessage | undefined | Promise<StoredMessage | undefined> {
    checkOffset("physicalOffset", physicalOffset);
    const { signal } = readOptions(options, FETCH_AT_OPTIONS);
    checkSignal(signal);
    throwIfAborted(signal);
    // A getter of an option may have closed the store.
    this.#lifecycle.checkReadable();
    const now = this.#engine.atInMemory(physicalOffset);
    if (now !== undefined) return this.#inTurn(messageIn(now.found), now.found?.length ?? 0);
    return this.#wait(this.#engine.fetchAt(physicalOffset), signal).then(messageIn);
  }

  /** At once, or, where a turn of the event loop has had enough of that, in the next one: promises alone never give it back. */
  #inTurn<T>(answer: T, bytes: number): T | Promise<T> {
    if (this.#answered === 0) setImmediate(() => (this.#answered = 0)).unref(); // where nothing else is to come, no turn is needed
    this.#answered += BYTES_AN_ANSWER + bytes;
    return this.#answered <= BYTES_A_TURN ? answer : new Promise((resolve) => setImmediate(resolve, answer));
  }

  /** Nothing is read any more. */
  end(error: StoreError): void {
    for (const fail of [...this.#waiting]) fail(error);
  }

  #wait<T>({ done, forget }: EngineFetch<T>, signal: AbortSignal | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      let unlisten: (() => void) | undefined;
      const leave = (): void => {
        this.#waiting.delete(fail);
        unlisten?.();
      };
      const fail = (error: StoreError): void => {
        leave();
        forget();
        reject(error);
      };
      this.#waiting.add(fail);
      if (signal !== undefined) unlisten = onAbort(signal, () => fail(abortError(signal)));
      done.then(resolve, reject).finally(leave);
    });
  }
}

function messageIn(record: Uint8Array | undefined): StoredMessage | undefined {
  return record === undefined ? undefined : messagesIn(record)[0];
}
