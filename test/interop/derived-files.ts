/** Files that follow from the log, compared byte for byte. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

/** The queue files of two stores are the same. */
export function expectSameQueueFiles(one: string, other: string): void {
  for (const folder of ["consumequeue", "batchconsumequeue"]) {
    expectSameFiles(filesBelow(join(one, folder)), filesBelow(join(other, folder)));
  }
}

/**
 * The index files of two stores are the same; they are named by a clock, so in the order of their names. Where RocketMQ
 * indexed a message twice (it does when the last one of a closed store has no queue), the order of all entries is.
 */
export function expectSameIndexFiles(one: string, other: string, geometry: IndexGeometry): void {
  const [here, there] = [one, other].map((store) => new Map([...filesBelow(join(store, "index")).values()].entries()));
  const [ours, theirs] = [here, there].map((files) => indexEntries([...(files?.values() ?? [])], geometry));
  expect(theirs?.distinct, "entries of the index").toEqual(ours?.distinct);
  if (ours?.distinct.length === ours?.count && theirs?.distinct.length === theirs?.count) {
    expectSameFiles(here as Map<number, Buffer>, there as Map<number, Buffer>);
  }
}

export interface IndexGeometry {
  indexSlots: number;
  indexEntries: number;
}

const INDEX_HEADER_BYTES = 40;
const INDEX_COUNT_AT = 36;
const INDEX_ENTRY_BYTES = 20;

/** Hash and position of every entry, in order; `distinct` without those that were entered again. */
function indexEntries(files: readonly Buffer[], { indexSlots }: IndexGeometry): { distinct: string[]; count: number } {
  const entries = files.flatMap((file) => {
    const used = Math.max(0, file.readInt32BE(INDEX_COUNT_AT) - 1);
    // The first place of a file is never used.
    const first = INDEX_HEADER_BYTES + 4 * indexSlots + INDEX_ENTRY_BYTES;
    return Array.from({ length: used }, (_, i) => {
      const at = first + INDEX_ENTRY_BYTES * i;
      return `${file.readInt32BE(at)} at ${file.readBigInt64BE(at + 4)}`;
    });
  });
  return { distinct: [...new Set(entries)], count: entries.length };
}

function expectSameFiles<Name>(here: ReadonlyMap<Name, Buffer>, there: ReadonlyMap<Name, Buffer>): void {
  expect([...there.keys()]).toEqual([...here.keys()]);
  for (const [name, file] of here) {
    const other = there.get(name) as Buffer;
    expect(other.length, `bytes of ${name}`).toBe(file.length);
    const differs = file.findIndex((byte, at) => other[at] !== byte);
    expect(differs, `first byte of ${name} that differs`).toBe(-1);
  }
}

/** Files below a folder, by path, in the order of their names; none where there is no folder. */
function filesBelow(folder: string): Map<string, Buffer> {
  if (!existsSync(folder)) return new Map();
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(join(folder, name))]));
}
