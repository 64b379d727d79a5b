/** What is known of files and directories, laid out for a WebAssembly instance (wasm/src/imports.rs). */
import * as fs from "node:fs";
import { join } from "node:path";
import { errnoOf } from "./wasm-errno.ts";
import { inCall } from "./wasm-failed-call.ts";

const ENOENT = 2;
const BIG: { readonly bigint: true } = { bigint: true };
/** Bytes of an entry of a listing in front of its name: kind (u8), length (f64), bytes of the name (u32). */
const ENTRY_BYTES = 13;

// Kinds of things.
const FILE = 1;
const DIRECTORY = 2;
const LINK = 3;
const FIFO = 4;
const SOCKET = 5;
const DEVICE = 6;

interface Listed {
  readonly name: string;
  readonly kind: number;
  readonly length: number;
}

/** The entries of a directory, one behind the other; in front of all one byte, so that an empty directory is not nothing. */
export function encodeListing(directory: string, found: readonly fs.Dirent[]): Uint8Array {
  const entries = found.flatMap((entry) => listed(directory, entry));
  const encoder = new TextEncoder();
  const names = entries.map(({ name }) => encoder.encode(name));
  const listing = new Uint8Array(names.reduce((sum, name) => sum + name.length + ENTRY_BYTES, 1));
  const view = new DataView(listing.buffer);
  let at = 1;
  for (const [number, { kind, length }] of entries.entries()) {
    const name = names[number] as Uint8Array;
    view.setUint8(at, kind);
    view.setFloat64(at + 1, length, true);
    view.setUint32(at + 9, name.length, true);
    listing.set(name, at + ENTRY_BYTES);
    at += ENTRY_BYTES + name.length;
  }
  return listing;
}

/** Kind (0: nothing is there), length, times of the last modification and change in ns, inode, blocks. */
export function statNumbers(place: string, follow: boolean): readonly bigint[] {
  try {
    const found = follow ? fs.statSync(place, BIG) : fs.lstatSync(place, BIG);
    const numbers = [BigInt(kindOf(found)), found.size, found.mtimeNs, found.ctimeNs, found.ino, found.blocks ?? 0n];
    return numbers.map((number) => BigInt.asUintN(64, number));
  } catch (error) {
    if (errnoOf(error) !== ENOENT) throw error;
    return [0n];
  }
}

export function isThere(place: string): boolean {
  return fs.lstatSync(place, { throwIfNoEntry: false }) !== undefined;
}

/** Used and free bytes of the file system into `view`; 0: there is no such directory. */
export function space(directory: string, view: DataView, into: number): number {
  if (!isThere(directory)) return 0;
  const { bsize, blocks, bfree, bavail } = inCall("statfs", () => fs.statfsSync(directory, BIG));
  view.setBigUint64(into, (blocks - bfree) * bsize, true);
  view.setBigUint64(into + 8, bavail * bsize, true);
  return 1;
}

/** Milliseconds that local time is ahead of UTC; 0 for moments that have no local time. */
export function zoneOffset(at: number): number {
  const minutes = new Date(at).getTimezoneOffset();
  return Number.isNaN(minutes) ? 0 : -Math.round(minutes * 60) * 1000;
}

function kindOf(found: fs.Stats | fs.BigIntStats): number {
  if (found.isFile()) return FILE;
  if (found.isDirectory()) return DIRECTORY;
  if (found.isSymbolicLink()) return LINK;
  if (found.isFIFO()) return FIFO;
  return found.isSocket() ? SOCKET : DEVICE;
}

/** An entry of a directory as the engine knows it; nothing if it is gone in the meantime. */
function listed(directory: string, entry: fs.Dirent): Listed[] {
  const { name } = entry;
  // A name that is no UTF-8: none of ours, and none that can be said.
  if (name.includes("\uFFFD") && !isThere(join(directory, name))) return [{ name, kind: LINK, length: 0 }];
  // Without a look at each: RocketMQ has a directory for every topic.
  if (entry.isDirectory()) return [{ name, kind: DIRECTORY, length: 0 }];
  const place = join(directory, name);
  let found: fs.Stats;
  try {
    found = fs.statSync(place);
  } catch {
    // Gone in the meantime, or a link to nowhere or to itself: only those are still entries.
    return isThere(place) ? [{ name, kind: LINK, length: 0 }] : [];
  }
  if (found.isDirectory()) return [{ name, kind: DIRECTORY, length: 0 }];
  return found.isFile() && !entry.isSymbolicLink()
    ? [{ name, kind: FILE, length: found.size }]
    : [{ name, kind: LINK, length: 0 }];
}
