/** Reading on and on along a queue. */
import { setImmediate } from "node:timers/promises";
import { checkSignal, throwIfAborted } from "./abort.ts";
import { checkOffset, readOptions } from "./arguments.ts";
import { Cursor, checkFollow, type Pause, STRETCHES_A_TURN } from "./cursor.ts";
import type { GetResult } from "./get-result.ts";
import type { FetchOptions } from "./queue-reader.ts";
import type { StoredMessage } from "./stored-message.ts";
import { copyOfFilter, type MessageFilter } from "./tag-filter.ts";
import type { Waiter } from "./waiter.ts";

export interface ReadOptions {
  /** Queue offset to begin at. Default: the queue's minimum; below it reading begins at the minimum. */
  readonly from?: number | undefined;
  /** Whether to wait for more at the end, instead of ending where the queue ended at the first look. */
  readonly follow?: boolean | undefined;
  /** Which messages are wanted. Default: all. */
  readonly filter?: MessageFilter | undefined;
  /** Ends the reading with `STORE_ABORTED`, also while it waits. */
  readonly signal?: AbortSignal | undefined;
}

const READ_OPTIONS: readonly string[] = ["from", "follow", "filter", "signal"];
/** Messages of the first stretch: what `get` reads by itself. Each one that leaves some behind makes the next twice as long. */
const FIRST_STRETCH_MESSAGES = 32;
const MOST_STRETCH_MESSAGES = 256;

/** A queue as a cursor needs it. */
export interface QueueSource {
  fetch(queueOffset: number, options: FetchOptions): Promise<GetResult>;
  /** Waits until the queue's maximum is above an offset. */
  wait(queueOffset: number, signal: AbortSignal | undefined): Waiter;
}

export function checkReadOptions(options: ReadOptions | undefined): ReadOptions {
  const { from, follow, filter: given, signal } = readOptions(options, READ_OPTIONS);
  if (from !== undefined) checkOffset("options.from", from);
  checkFollow(follow);
  const filter = given === undefined ? undefined : copyOfFilter(given);
  checkSignal(signal);
  return { from, follow, filter, signal };
}

/** The messages of a queue, in order. */
export class QueueCursor extends Cursor<StoredMessage> {
  readonly #walk: QueueWalk;

  constructor(source: QueueSource, from: number, options: ReadOptions) {
    const walk = new QueueWalk(source, from, options);
    super((pause) => walk.messages(pause));
    this.#walk = walk;
  }

  /**
   * The same messages as answers of `get`: with raw bytes, and offsets to go on from. Begins where the cursor began,
   * whatever was read of it. With a filter the last answer may go on behind the end.
   */
  batches(): AsyncIterableIterator<GetResult> {
    return new Cursor((pause) => this.#walk.stretches(pause, { end: undefined }));
  }
}

class QueueWalk {
  readonly #source: QueueSource;
  readonly #from: number;
  readonly #options: ReadOptions;

  constructor(source: QueueSource, from: number, options: ReadOptions) {
    this.#source = source;
    this.#from = from;
    this.#options = options;
  }

  async *messages(pause: Pause): AsyncGenerator<StoredMessage, void, undefined> {
    const range: { end: number | undefined } = { end: undefined };
    for await (const { messages } of this.stretches(pause, range)) {
      for (const message of messages) {
        if (range.end !== undefined && message.queueOffset >= range.end) return;
        yield message;
        throwIfAborted(this.#options.signal);
      }
    }
  }

  /** Answers with messages. `range.end` gets the end that the queue has at the first look, where reading ends there. */
  async *stretches(pause: Pause, range: { end: number | undefined }): AsyncGenerator<GetResult, void, undefined> {
    const { follow = false, filter, signal } = this.#options;
    let offset = this.#from;
    let most = FIRST_STRETCH_MESSAGES;
    for (let stretch = 1; ; stretch++) {
      throwIfAborted(signal);
      const max = range.end === undefined ? most : Math.min(range.end - offset, most);
      const result = await this.#source.fetch(offset, { filter, max, signal });
      if (!follow) range.end ??= result.maxOffset;
      if (result.bytes.length > 0) {
        yield result;
        throwIfAborted(signal);
      }
      const goesOn = result.nextOffset > offset;
      if (goesOn) offset = result.nextOffset;
      if (offset < result.maxOffset) most = Math.min(2 * most, MOST_STRETCH_MESSAGES);
      if (range.end !== undefined) {
        if (!goesOn || offset >= range.end) return;
      } else if (!goesOn || offset >= result.maxOffset) {
        // What stands below the maximum and is not given will not be: entries above the durable end of a poisoned store.
        if (!(await pause.until(this.#source.wait(Math.max(offset, result.maxOffset), signal)))) return;
        if (stretch % STRETCHES_A_TURN !== 0) continue;
      }
      // Between two stretches other work of the process gets its turn.
      await setImmediate();
    }
  }
}
