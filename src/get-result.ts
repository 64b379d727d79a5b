/** What reading from a queue answers. */
import { GET_HEAD, GetHead } from "./binding/contract.ts";
import { StoreError } from "./errors.ts";
import { messagesIn, type StoredMessage } from "./stored-message.ts";

/** RocketMQ's GetMessageStatus, in its order (store-format chapter 8.1). */
export type GetStatus =
  | "FOUND"
  | "NO_MATCHED_MESSAGE"
  | "MESSAGE_WAS_REMOVING"
  | "OFFSET_FOUND_NULL"
  | "OFFSET_OVERFLOW_BADLY"
  | "OFFSET_OVERFLOW_ONE"
  | "OFFSET_TOO_SMALL"
  | "NO_MATCHED_LOGIC_QUEUE"
  | "NO_MESSAGE_IN_QUEUE";

const STATUSES: readonly GetStatus[] = [
  "FOUND",
  "NO_MATCHED_MESSAGE",
  "MESSAGE_WAS_REMOVING",
  "OFFSET_FOUND_NULL",
  "OFFSET_OVERFLOW_BADLY",
  "OFFSET_OVERFLOW_ONE",
  "OFFSET_TOO_SMALL",
  "NO_MATCHED_LOGIC_QUEUE",
  "NO_MESSAGE_IN_QUEUE",
];

/** Messages of a queue, and where to go on. */
export class GetResult {
  readonly status: GetStatus;
  /** Where to read next; for an offset outside the queue, where to read instead. */
  readonly nextOffset: number;
  readonly minOffset: number;
  /** The queue offset behind the last message that can be read. */
  readonly maxOffset: number;
  /** The raw records, one behind the other, as a broker sends them. */
  readonly bytes: Uint8Array;
  /**
   * Bytes of the log between the last record looked at and its end: the last one here, or the last one behind it that
   * a filter left out.
   */
  readonly bytesBehind: number;
  /** Whether something of it had to come from the disk, as `fetch` finds out; `get` does not, and says false. */
  readonly cold: boolean;
  readonly #count: number;
  /** Of the messages: the first, where each has the one behind that of the one before; otherwise all. */
  readonly #queueOffsets: number | Float64Array;
  #messages: StoredMessage[] | undefined;

  /** `columns` as the engine's `get` fills them; they are copied. */
  constructor(columns: Float64Array, bytes: Uint8Array, cold: boolean) {
    this.status = STATUSES[columns[GetHead.status] as number] ?? "NO_MATCHED_MESSAGE";
    this.nextOffset = columns[GetHead.nextOffset] as number;
    this.minOffset = columns[GetHead.minOffset] as number;
    this.maxOffset = columns[GetHead.maxOffset] as number;
    this.bytesBehind = columns[GetHead.bytesBehind] as number;
    this.bytes = bytes;
    this.cold = cold;
    const count = columns[GetHead.messages] as number;
    this.#count = count;
    this.#queueOffsets = areConsecutive(columns, count)
      ? (columns[GET_HEAD] as number)
      : columns.slice(GET_HEAD, GET_HEAD + count);
  }

  /**
   * The messages, made when they are asked for; each decodes its fields when they are touched. Throws `STORE_CORRUPT` where
   * `bytes`, which may be the caller's, were written over before.
   */
  get messages(): readonly StoredMessage[] {
    this.#messages ??= this.#made();
    return this.#messages;
  }

  #made(): StoredMessage[] {
    const messages = messagesIn(this.bytes, this.#queueOffsets);
    if (messages.length === this.#count) return messages;
    throw new StoreError(
      "STORE_CORRUPT",
      "the bytes of these messages are no records any more: they were written over",
      {
        details: { reason: `${messages.length} records of ${this.#count} are there` },
      },
    );
  }
}

/** Whether each of the first `count` queue offsets is the one behind that before. */
function areConsecutive(columns: Float64Array, count: number): boolean {
  const first = columns[GET_HEAD] as number;
  for (let i = 1; i < count; i++) if (columns[GET_HEAD + i] !== first + i) return false;
  return true;
}
