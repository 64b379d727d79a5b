/** Columns as a batch: this engine has memory of its own, into which everything is copied once. */
import { Arena } from "../arena.ts";
import { writeHeader } from "../encode-header.ts";
import type { EncodedHost } from "../hosts.ts";
import { BATCH_HEADER_BYTES, type EncodedColumns } from "./contract.ts";

/** An arena larger than this is not kept. */
const KEPT_BYTES = 8 * 1024 * 1024;

export class ColumnsAsBatch {
  #arena: Arena = new Arena();

  /** Writes messages `from` to `to` as a batch, hands it to `put`, and answers with what that answers. */
  put(columns: EncodedColumns, from: number, to: number, put: (batch: Uint8Array, bytes: number) => number): number {
    const arena = this.#arena;
    let start = 0;
    for (let i = from; i < to; i++) start = writeMessage(arena, start, columns, i);
    if (arena.capacity > KEPT_BYTES) this.#arena = new Arena();
    return put(arena.bytes, start);
  }
}

function writeMessage(arena: Arena, start: number, columns: EncodedColumns, i: number): number {
  const { bytes, bodies, properties } = columns;
  const topic = columns.topics[columns.topicOf?.[i] ?? 0] as Uint8Array;
  const bodyBytes = (bodies[2 * i + 1] as number) - (bodies[2 * i] as number);
  const propertyBytes =
    properties === undefined ? 0 : (properties[2 * i + 1] as number) - (properties[2 * i] as number);
  arena.at = start;
  arena.reserve(BATCH_HEADER_BYTES + bodyBytes + topic.length + propertyBytes);
  arena.at += BATCH_HEADER_BYTES;
  copy(bytes, bodies[2 * i] as number, bodyBytes, arena);
  arena.writeBytes(topic);
  if (properties !== undefined) copy(bytes, properties[2 * i] as number, propertyBytes, arena);
  return writeHeader(
    arena,
    start,
    bodyBytes,
    topic.length,
    propertyBytes,
    columns.queueIds[i] as number,
    columns.flags?.[i] ?? 0,
    columns.sysFlags?.[i] ?? 0,
    columns.reconsumeTimes?.[i] ?? 0,
    columns.bornTimestamps?.[i] ?? columns.bornTimestamp,
    columns.preparedTransactionOffsets?.[i] ?? 0,
    columns.bornHosts[columns.bornHostOf?.[i] ?? 0] as EncodedHost,
    columns.storeHost,
  );
}

function copy(bytes: Uint8Array, from: number, length: number, arena: Arena): void {
  arena.bytes.set(bytes.subarray(from, from + length), arena.at);
  arena.at += length;
}
