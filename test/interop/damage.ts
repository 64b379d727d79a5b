/** Random damage to the files of a store. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Dice } from "./dice.ts";

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

/** Files of the store that both engines read. */
function filesOf(dir: string, folders: readonly string[]): string[] {
  return folders.flatMap((folder) => {
    const path = join(dir, folder);
    if (!existsSync(path)) return [];
    if (statSync(path).isFile()) return [folder];
    const names = readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
    return names.map((name) => join(folder, name)).filter((name) => statSync(join(dir, name)).isFile());
  });
}

const ALL = ["commitlog", "consumequeue", "batchconsumequeue", "index", "checkpoint"];

/** Places of a file that hold something. */
function used(bytes: Buffer): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

/** Kinds of damage; each says what it did. */
const KINDS: Record<string, (dir: string, dice: Dice) => string | undefined> = {
  "flipped bits": (dir, dice) => {
    const name = dice.one(filesOf(dir, dice.chance(0.6) ? ["commitlog"] : ALL));
    const bytes = readFileSync(join(dir, name));
    const flipped = Array.from({ length: dice.from(1, 3) }, () => dice.from(0, Math.max(0, used(bytes) - 1)));
    for (const at of flipped) bytes[at] = (bytes[at] as number) ^ (1 << dice.from(0, 7));
    writeFileSync(join(dir, name), bytes);
    return `${name}: a bit of byte ${flipped.join(", ")}`;
  },
  "zeroed pages": (dir, dice) => {
    const name = dice.one(filesOf(dir, ALL));
    const bytes = readFileSync(join(dir, name));
    const size = dice.one([SECTOR_BYTES, PAGE_BYTES]);
    const at = dice.from(0, Math.floor(Math.max(0, used(bytes) - 1) / size)) * size;
    bytes.fill(0, at, Math.min(at + size, bytes.length));
    writeFileSync(join(dir, name), bytes);
    return `${name}: ${size} bytes from ${at} on zeroed`;
  },
  "truncated file": (dir, dice) => {
    const name = dice.one(filesOf(dir, ALL));
    const length = dice.from(0, statSync(join(dir, name)).size);
    truncateSync(join(dir, name), length);
    return `${name}: cut to ${length} bytes`;
  },
  "missing file": (dir, dice) => {
    const name = dice.one(filesOf(dir, ALL));
    rmSync(join(dir, name));
    return `${name}: removed`;
  },
  "missing folder": (dir, dice) => {
    const name = dice.one(["consumequeue", "index", "checkpoint"]);
    rmSync(join(dir, name), { recursive: true, force: true });
    return `${name}: removed`;
  },
  "torn tail": (dir, dice) => {
    const name = filesOf(dir, ["commitlog"]).findLast((file) => used(readFileSync(join(dir, file))) > 0);
    if (name === undefined) return undefined;
    const bytes = readFileSync(join(dir, name));
    const end = used(bytes);
    const from = Math.max(0, end - dice.from(1, 2000));
    bytes.fill(0, from, dice.chance(0.5) ? end : Math.min(from + SECTOR_BYTES, end));
    writeFileSync(join(dir, name), bytes);
    return `${name}: from ${from} of ${end} on torn`;
  },
  abort: (dir, dice) => {
    const path = join(dir, "abort");
    if (existsSync(path)) rmSync(path);
    else writeFileSync(path, String(dice.from(1, 9999)));
    return existsSync(path) ? "abort: made" : "abort: removed";
  },
};

/** Damages a store; what was done. */
export function damage(dir: string, dice: Dice): string[] {
  const count = dice.one([1, 1, 1, 2, 3]);
  const names = Object.keys(KINDS);
  return Array.from({ length: count }, () => KINDS[dice.one(names)]?.(dir, dice)).filter((done) => done !== undefined);
}
