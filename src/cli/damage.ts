/** A damaged range of the log as a finding. */
import type { Finding } from "../index.ts";

/** What `scan` yields for a range that holds no readable record. */
export interface DamagedRange {
  physicalOffset: number;
  size: number;
  reason: string;
}

/** `segmentBytes`: size of a commit log file, whose name is the offset of its first byte in 20 digits. */
export function damageFinding({ physicalOffset, size, reason }: DamagedRange, segmentBytes: number): Finding {
  const start = physicalOffset - (physicalOffset % segmentBytes);
  const file = `commitlog/${String(start).padStart(20, "0")}`;
  return { kind: "damaged", file, offset: physicalOffset, length: size, message: reason };
}
