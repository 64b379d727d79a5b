/** The tables of columns, as native/core/src/columns.rs draws them. */
import type { EncodedHost } from "../hosts.ts";
import type { Addon } from "./addon.ts";
import type { EncodedColumns } from "./contract.ts";
import { checkUnchanged } from "./unchanged-columns.ts";

const HOST_BYTES = 24;
const HEADER_BYTES = 8 + HOST_BYTES;
/** Room that is kept for the next tables, in bytes. */
const KEPT_BYTES = 4096;

/** Memory for tables. */
class Room {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(size: number) {
    const memory = new ArrayBuffer(size);
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
  }
}

/** Writes the tables of one call at a time into memory that the next one uses again, unless there are many. */
export class ColumnTables {
  readonly #kept: Room = new Room(KEPT_BYTES);

  write({ topics, bornHosts, storeHost }: EncodedColumns): Uint8Array {
    const names = topics.reduce((sum, name) => sum + 4 + name.length, 0);
    const size = HEADER_BYTES + bornHosts.length * HOST_BYTES + names;
    const { bytes, view } = size <= KEPT_BYTES ? this.#kept : new Room(size);
    view.setUint32(0, topics.length, true);
    view.setUint32(4, bornHosts.length, true);
    writeHost(view, 8, storeHost);
    let at = HEADER_BYTES;
    for (const host of bornHosts) {
      writeHost(view, at, host);
      at += HOST_BYTES;
    }
    for (const name of topics) {
      view.setUint32(at, name.length, true);
      bytes.set(name, at + 4);
      at += 4 + name.length;
    }
    return bytes;
  }
}

function writeHost(view: DataView, at: number, { words, port, isV6 }: EncodedHost): void {
  for (let i = 0; i < 4; i++) view.setInt32(at + 4 * i, words[i] as number, true);
  view.setUint32(at + 16, port, true);
  view.setUint32(at + 20, isV6 ? 1 : 0, true);
}

/** Hands messages `from` to below `to` to the addon. Nothing of the caller runs between this look and the addon's. */
export function putColumns(
  addon: Addon,
  handle: number,
  tables: Uint8Array,
  columns: EncodedColumns,
  from: number,
  to: number,
  results: Float64Array,
): number {
  checkUnchanged(columns, to);
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
