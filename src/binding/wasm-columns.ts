/** Columns as a batch: this engine has memory of its own, into which everything is copied once. */
import { Arena } from "../arena.ts";
import { writeHeader } from "../encode-header.ts";
import { BATCH_HEADER_BYTES, type EncodedColumns } from "./contract.ts";
import { changedError, checkUnchanged } from "./unchanged-columns.ts";

/** An arena larger than this is not kept. */
const KEPT_BYTES = 8 * 1024 * 1024;

const NOTHING: Uint8Array = new Uint8Array(0);

export class ColumnsAsBatch {
  /** Absent while a call uses it: the clock is code of the caller, which may put columns, too. */
  #spare: Arena | undefined;

  /** Writes messages `from` to below `to` as a batch, hands it to `put`, and answers with what that answers. */
  put(columns: EncodedColumns, from: number, to: number, put: (batch: Uint8Array, bytes: number) => number): number {
    checkUnchanged(columns, to);
    const arena = this.#spare ?? new Arena();
    this.#spare = undefined;
    try {
      let start = 0;
      for (let i = from; i < to; i++) start = writeMessage(arena, start, columns, i);
      return put(arena.bytes, start);
    } finally {
      if (arena.capacity <= KEPT_BYTES) this.#spare = arena;
    }
  }
}

function writeMessage(arena: Arena, start: number, columns: EncodedColumns, i: number): number {
  const topic = columns.topics[columns.topicOf?.[i] ?? 0];
  const bornHost = columns.bornHosts[columns.bornHostOf?.[i] ?? 0];
  if (topic === undefined || bornHost === undefined) throw changedError();
  const body = part(columns.bytes, columns.bodies, i);
  const properties = columns.properties === undefined ? NOTHING : part(columns.bytes, columns.properties, i);
  arena.at = start;
  arena.reserve(BATCH_HEADER_BYTES + body.length + topic.length + properties.length);
  arena.at += BATCH_HEADER_BYTES;
  write(body, arena);
  arena.writeBytes(topic);
  write(properties, arena);
  return writeHeader(
    arena,
    start,
    body.length,
    topic.length,
    properties.length,
    columns.queueIds[i] as number,
    columns.flags?.[i] ?? 0,
    columns.sysFlags?.[i] ?? 0,
    columns.reconsumeTimes?.[i] ?? 0,
    columns.bornTimestamps?.[i] ?? columns.bornTimestamp,
    columns.preparedTransactionOffsets?.[i] ?? 0,
    bornHost,
    columns.storeHost,
  );
}

/** The bytes of a range of message `i`. */
function part(bytes: Uint8Array, ranges: Uint32Array, i: number): Uint8Array {
  const [from, to] = [ranges[2 * i] as number, ranges[2 * i + 1] as number];
  if (!(from <= to && to <= bytes.length)) throw changedError();
  return from === to ? NOTHING : bytes.subarray(from, to);
}

function write(bytes: Uint8Array, arena: Arena): void {
  arena.bytes.set(bytes, arena.at);
  arena.at += bytes.length;
}
