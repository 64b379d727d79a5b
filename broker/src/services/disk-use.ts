/** How full a disk is. */
import { statfs } from "node:fs/promises";

export interface DiskUse {
  /** Bytes. */
  readonly capacity: number;
  readonly free: number;
  /** As `df` reckons: of what is used, and what an ordinary user may use. */
  readonly usedPercent: number;
}

/** Of the disk that a path lies on. */
export async function diskUse(path: string): Promise<DiskUse> {
  const { bsize, blocks, bfree, bavail } = await statfs(path);
  const used = blocks - bfree;
  const usedPercent = Math.ceil((used * 100) / Math.max(used + bavail, 1));
  return { capacity: blocks * bsize, free: bfree * bsize, usedPercent };
}
