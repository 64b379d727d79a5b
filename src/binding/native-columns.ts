/** The tables of columns, as native/core/src/columns.rs draws them. */
import type { EncodedHost } from "../hosts.ts";
import type { Addon } from "./addon.ts";
import type { EncodedColumns } from "./contract.ts";

const HOST_BYTES = 24;
const HEADER_BYTES = 8 + HOST_BYTES;
/** Room that is made at first, in bytes. */
const FIRST_BYTES = 4096;

/** Writes the tables of one call at a time into memory that the next one uses again. */
export class ColumnTables {
  #bytes: Uint8Array = new Uint8Array(FIRST_BYTES);
  #view: DataView = new DataView(this.#bytes.buffer);

  write({ topics, bornHosts, storeHost }: EncodedColumns): Uint8Array {
    const names = topics.reduce((sum, name) => sum + 4 + name.length, 0);
    this.#reserve(HEADER_BYTES + bornHosts.length * HOST_BYTES + names);
    this.#view.setUint32(0, topics.length, true);
    this.#view.setUint32(4, bornHosts.length, true);
    this.#writeHost(8, storeHost);
    let at = HEADER_BYTES;
    for (const host of bornHosts) {
      this.#writeHost(at, host);
      at += HOST_BYTES;
    }
    for (const name of topics) {
      this.#view.setUint32(at, name.length, true);
      this.#bytes.set(name, at + 4);
      at += 4 + name.length;
    }
    return this.#bytes;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    this.#bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  #writeHost(at: number, { words, port, isV6 }: EncodedHost): void {
    for (let i = 0; i < 4; i++) this.#view.setInt32(at + 4 * i, words[i] as number, true);
    this.#view.setUint32(at + 16, port, true);
    this.#view.setUint32(at + 20, isV6 ? 1 : 0, true);
  }
}

/** Hands messages `from` to below `to` to the addon. */
export function putColumns(
  addon: Addon,
  handle: number,
  tables: Uint8Array,
  columns: EncodedColumns,
  from: number,
  to: number,
  results: Float64Array,
): number {
  const isAll = from === 0 && to === columns.queueIds.length;
  const part = <T extends Int32Array | Uint32Array | Float64Array>(column: T): T =>
    isAll ? column : (column.subarray(from, to) as T);
  const partOf = <T extends Int32Array | Uint32Array | Float64Array>(column: T | undefined): T | undefined =>
    column === undefined ? undefined : part(column);
  const pairs = (column: Uint32Array): Uint32Array => (isAll ? column : column.subarray(2 * from, 2 * to));
  return addon.putColumns(
    handle,
    tables,
    columns.bytes,
    pairs(columns.bodies),
    columns.properties === undefined ? undefined : pairs(columns.properties),
    part(columns.queueIds),
    partOf(columns.topicOf),
    partOf(columns.bornHostOf),
    partOf(columns.flags),
    partOf(columns.sysFlags),
    partOf(columns.reconsumeTimes),
    partOf(columns.preparedTransactionOffsets),
    partOf(columns.bornTimestamps),
    columns.bornTimestamp,
    results,
  );
}
