/** What a power cut makes of a store whose process was killed: pages that no sync had covered are old, new, or torn at 512 bytes. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Dice } from "./dice.ts";

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;
const QUEUE_ENTRY_BYTES = 20;
/** Places in a slot of the watermark (native/core/src/format/watermark.rs). */
const SLOT_BYTES = 4096;
const SEQUENCE_AT = 8;
const STATE_AT = 16;
const DURABLE_AT = 48;
const HAS_DERIVED_AT = 140;
const DERIVED_UPTO_AT = 224;
const RUNNING = 3;

/** Whether an entry of a queue lies in two sectors: files begin with one of both. */
export function straddlesSectors(index: number, fileEntries: number): boolean {
  const at = (index % fileEntries) * QUEUE_ENTRY_BYTES;
  return (at % SECTOR_BYTES) + QUEUE_ENTRY_BYTES > SECTOR_BYTES;
}

/** What was synced for certain. */
export interface Synced {
  /** Bytes of the log. */
  log: number;
  /** Queue files are complete up to this byte of the log. */
  queues: number;
}

/** By the watermark of an open store; nothing where it says nothing. */
export function syncedOf(dir: string): Synced {
  const path = join(dir, "moraine/watermark");
  if (!existsSync(path)) return { log: 0, queues: 0 };
  const bytes = readFileSync(path);
  const slots = [0, SLOT_BYTES].map((at) => bytes.subarray(at, at + SLOT_BYTES));
  const whole = slots.filter((slot) => crc32(slot.subarray(0, -4)) === slot.readUInt32BE(SLOT_BYTES - 4));
  const sequence = (slot: Buffer): number => Number(slot.readBigUInt64BE(SEQUENCE_AT));
  const [newest] = whole.sort((a, b) => sequence(b) - sequence(a));
  if (newest?.readUInt32BE(STATE_AT) !== RUNNING) return { log: 0, queues: 0 };
  return {
    log: Number(newest.readBigUInt64BE(DURABLE_AT)),
    queues: newest.readUInt32BE(HAS_DERIVED_AT) === 1 ? Number(newest.readBigUInt64BE(DERIVED_UPTO_AT)) : 0,
  };
}

/** Takes from a store what a power cut may take. */
export function cutPower(dir: string, synced: Synced, dice: Dice): void {
  // Bound to the boot: the next one does not believe it.
  rmSync(join(dir, "moraine/live"), { force: true });
  cutLog(join(dir, "commitlog"), synced.log, dice);
  const queues = join(dir, "consumequeue");
  if (!existsSync(queues)) return;
  for (const topic of readdirSync(queues)) {
    for (const queue of readdirSync(join(queues, topic))) cutQueue(join(queues, topic, queue), synced.queues, dice);
  }
}

function cutLog(folder: string, synced: number, dice: Dice): void {
  const names = readdirSync(folder).sort();
  // Directory entries are synced before a record behind them is acknowledged; that of the very first as soon as it is made.
  const fresh = names.slice(1).filter((name) => Number(name) >= synced);
  const lost = dice.chance(0.3) ? fresh.slice(dice.from(0, Math.max(0, fresh.length - 1))) : [];
  for (const name of names) {
    const path = join(folder, name);
    if (lost.includes(name)) rmSync(path);
    else tear(path, synced - Number(name), dice);
  }
}

/** Entries of records behind what is synced were written by nobody who had to wait for a sync. */
function cutQueue(folder: string, synced: number, dice: Dice): void {
  const names = readdirSync(folder).sort();
  let isLost = false;
  for (const name of names) {
    const path = join(folder, name);
    const bytes = readFileSync(path);
    const entries = Array.from(
      { length: Math.floor(bytes.length / QUEUE_ENTRY_BYTES) },
      (_, i) => i * QUEUE_ENTRY_BYTES,
    );
    const first = entries.find((at) => bytes.readInt32BE(at + 8) === 0 || Number(bytes.readBigInt64BE(at)) >= synced);
    isLost ||= first === 0 && dice.chance(0.2);
    if (isLost) rmSync(path);
    else if (first !== undefined) tear(path, first, dice);
  }
}

/** Makes pages behind `from` what they were before, whole or in part. */
function tear(path: string, from: number, dice: Dice): void {
  const bytes = readFileSync(path);
  const dirty = Math.max(0, from);
  for (let page = dirty - (dirty % PAGE_BYTES); page < bytes.length; page += PAGE_BYTES) {
    const fate = dice.from(0, 2);
    for (let at = page; at < Math.min(page + PAGE_BYTES, bytes.length); at += SECTOR_BYTES) {
      const isOld = fate === 0 || (fate === 1 && dice.chance(0.5));
      if (isOld) bytes.fill(0, Math.max(at, dirty), Math.max(Math.min(at + SECTOR_BYTES, bytes.length), dirty));
    }
  }
  writeFileSync(path, bytes);
}
