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

export class Fetches {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  readonly #reader: QueueReader;
  /** What ends the waits for those that are being read. */
  readonly #waiting: Set<(error: StoreError) => void> = new Set();

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
    return "now" in read ? read.now : this.#wait(read.later, read.signal);
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
    if (now !== undefined) return messageIn(now.found);
    return this.#wait(this.#engine.fetchAt(physicalOffset), signal).then(messageIn);
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
