/** What putting answers: where the messages stand. */
import { PUT_RESULT_HEADER, PUT_RESULT_STRIDE } from "./binding/contract.ts";
import { type EncodedHost, offsetMessageId } from "./hosts.ts";

/** Places of the numbers of one message in the results of the engine. */
const Column = { physicalOffset: 0, queueOffset: 1, size: 2 } as const;

/** Where one message stands. */
export class PutResult {
  /** Byte position of the record in the commit log. */
  readonly physicalOffset: number;
  /** Byte behind the record: `flush(endOffset)` waits until the message is durable. */
  readonly endOffset: number;
  /** Place in its queue. 0 for the transaction types prepared and rollback, which stand in no queue. */
  readonly queueOffset: number;
  /** Bytes of the record. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly storeTimestamp: number;
  readonly #storeHost: EncodedHost;

  constructor(
    physicalOffset: number,
    queueOffset: number,
    size: number,
    storeTimestamp: number,
    storeHost: EncodedHost,
  ) {
    this.physicalOffset = physicalOffset;
    this.endOffset = physicalOffset + size;
    this.queueOffset = queueOffset;
    this.size = size;
    this.storeTimestamp = storeTimestamp;
    this.#storeHost = storeHost;
  }

  /** RocketMQ's id of the message, made when asked for. */
  get offsetMsgId(): string {
    return offsetMessageId(this.#storeHost.bytes, this.#storeHost.port, this.physicalOffset);
  }
}

/** Part of a batch that was stored by one call of the engine, and so at one time. */
interface Stretch {
  /** Messages before its end, counted from the start of the batch. */
  readonly until: number;
  readonly storeTimestamp: number;
}

/** Where the messages of a batch stand: as columns of numbers, or one by one. */
export class PutResults implements Iterable<PutResult> {
  /** Messages stored. */
  readonly count: number;
  /** Byte behind the last record; 0 for an empty batch. */
  readonly endOffset: number;
  /** When the last message was stored; a batch of several megabytes may take more than one timestamp. 0 for an empty batch. */
  readonly storeTimestamp: number;
  /** PUT_RESULT_STRIDE numbers a message. */
  readonly #rows: Float64Array;
  readonly #stretches: readonly Stretch[];
  readonly #storeHosts: EncodedHost | readonly EncodedHost[];
  #physicalOffsets: Float64Array | undefined;
  #queueOffsets: Float64Array | undefined;
  #sizes: Float64Array | undefined;

  constructor(
    rows: Float64Array,
    endOffset: number,
    stretches: readonly Stretch[],
    storeHosts: EncodedHost | readonly EncodedHost[],
  ) {
    this.count = rows.length / PUT_RESULT_STRIDE;
    this.endOffset = endOffset;
    this.storeTimestamp = stretches.at(-1)?.storeTimestamp ?? 0;
    this.#rows = rows;
    this.#stretches = stretches;
    this.#storeHosts = storeHosts;
  }

  /** Byte position of each record in the commit log. */
  get physicalOffsets(): Float64Array {
    this.#physicalOffsets ??= this.#column(Column.physicalOffset);
    return this.#physicalOffsets;
  }

  /** Place of each message in its queue. */
  get queueOffsets(): Float64Array {
    this.#queueOffsets ??= this.#column(Column.queueOffset);
    return this.#queueOffsets;
  }

  /** Bytes of each record. */
  get sizes(): Float64Array {
    this.#sizes ??= this.#column(Column.size);
    return this.#sizes;
  }

  *[Symbol.iterator](): IterableIterator<PutResult> {
    const rows = this.#rows;
    let index = 0;
    for (const { until, storeTimestamp } of this.#stretches) {
      for (; index < until; index++) {
        const at = index * PUT_RESULT_STRIDE;
        yield new PutResult(
          rows[at + Column.physicalOffset] as number,
          rows[at + Column.queueOffset] as number,
          rows[at + Column.size] as number,
          storeTimestamp,
          this.#hostOf(index),
        );
      }
    }
  }

  #hostOf(index: number): EncodedHost {
    const hosts = this.#storeHosts;
    return Array.isArray(hosts) ? (hosts[index] as EncodedHost) : (hosts as EncodedHost);
  }

  #column(column: number): Float64Array {
    const values = new Float64Array(this.count);
    for (let i = 0; i < values.length; i++) values[i] = this.#rows[i * PUT_RESULT_STRIDE + column] as number;
    return values;
  }
}

/** Gathers the answers of the calls that one batch takes. */
export class PutResultsBuilder {
  readonly #rows: Float64Array;
  readonly #stretches: Stretch[] = [];
  #stored = 0;
  #endOffset = 0;

  /** For a batch of so many messages. */
  constructor(count: number) {
    this.#rows = new Float64Array(count * PUT_RESULT_STRIDE);
  }

  get stored(): number {
    return this.#stored;
  }

  /** Takes the answer of a call that stored `count` messages. */
  add(answer: Float64Array, count: number): void {
    const end = PUT_RESULT_HEADER + count * PUT_RESULT_STRIDE;
    this.#rows.set(answer.subarray(PUT_RESULT_HEADER, end), this.#stored * PUT_RESULT_STRIDE);
    this.#stored += count;
    this.#endOffset = answer[1] as number;
    this.#stretches.push({ until: this.#stored, storeTimestamp: answer[0] as number });
  }

  build(storeHosts: EncodedHost | readonly EncodedHost[]): PutResults {
    return new PutResults(this.#rows, this.#endOffset, this.#stretches, storeHosts);
  }
}

/** Room for the answer to a call with so many messages. */
export function answerFor(count: number): Float64Array {
  return new Float64Array(PUT_RESULT_HEADER + count * PUT_RESULT_STRIDE);
}

/** Where the message at a place in the answer to a call stands. */
export function resultAt(answer: Float64Array, index: number, storeHost: EncodedHost): PutResult {
  const at = PUT_RESULT_HEADER + index * PUT_RESULT_STRIDE;
  return new PutResult(
    answer[at + Column.physicalOffset] as number,
    answer[at + Column.queueOffset] as number,
    answer[at + Column.size] as number,
    answer[0] as number,
    storeHost,
  );
}
