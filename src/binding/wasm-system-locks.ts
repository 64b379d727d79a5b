/**
 * Locks of the system on a file, as `/proc/locks` lists them. `node:fs` can neither take one nor ask for one.
 *
 * What it does not list, this does not see: locks of other machines on a network file system, POSIX locks (Java's) of processes
 * in another pid namespace, that is in a sibling container, and everything where there is no /proc. Locks of open files (the
 * native engine's) are listed in every namespace of the machine.
 *
 * A line names device and inode. The device is that of the mount, for which some file systems (btrfs, overlayfs) tell `stat`
 * another; so either counts, that of `stat` or that of the mount that the file lies in. Where the mount cannot be found, the inode
 * counts alone: a lock on the first byte of another file with the same inode number keeps this one out then.
 */
import { fstatSync, readFileSync, realpathSync } from "node:fs";

/** A lock that somebody holds. */
export interface SystemLock {
  /** Of a POSIX lock; undefined for the lock of an open file, and for a process that has no id here. */
  readonly pid: number | undefined;
}

/** Times that the list is read. */
const MAX_READS = 4;

/** Held ones of both kinds that conflict; `-> ` stands in front of those that are waited for. */
const LINE = /^\d+: (?:POSIX|OFDLCK) +\S+ +\S+ +(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (?:\d+|EOF)$/;

/** The lock that somebody holds on byte 0 of an open file. `place` is its path. */
export function lockOnByteZero(descriptor: number, place: string): SystemLock | undefined {
  const stats = fstatSync(descriptor, { bigint: true });
  const inode = BigInt.asUintN(64, stats.ino);
  const devices = devicesOf(BigInt.asUintN(64, stats.dev), place);
  let held: SystemLock | undefined;
  let before: string | undefined;
  // The system tells it in pieces of 4 KiB, and whatever ends between two of them can hide a line of the next.
  for (let n = 0; n < MAX_READS; n++) {
    const list = textOf("/proc/locks");
    held ??= lockIn(list, inode, devices);
    if (held !== undefined || list === before || list.length < 4096) break;
    before = list;
  }
  return held;
}

/** The lock on byte 0 of the file in a list like `/proc/locks`; `devices` as `MAJOR:MINOR`, undefined for any. */
export function lockIn(list: string, inode: bigint, devices: ReadonlySet<string> | undefined): SystemLock | undefined {
  for (const line of list.split("\n")) {
    const [, pid, major = "", minor = "", file = "", start] = LINE.exec(line) ?? [];
    if (pid === undefined || start !== "0" || BigInt(file) !== inode) continue;
    const device = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
    if (devices === undefined || devices.has(device)) return { pid: Number(pid) > 0 ? Number(pid) : undefined };
  }
  return undefined;
}

function devicesOf(device: bigint, place: string): ReadonlySet<string> | undefined {
  const mounted = mountDevice(place, textOf("/proc/self/mountinfo"));
  if (mounted === undefined) return undefined;
  // Linux packs both numbers into one.
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffff_ffffn);
  return new Set([`${major}:${minor}`, mounted]);
}

/** `MAJOR:MINOR` of the mount that a path lies in, by a list like `/proc/self/mountinfo` (proc(5)). */
export function mountDevice(place: string, mounts: string): string | undefined {
  let path: string;
  try {
    path = realpathSync(place);
  } catch {
    // It lost its name at this moment.
    return undefined;
  }
  let longest = -1;
  let device: string | undefined;
  for (const line of mounts.split("\n")) {
    const [, , numbers, , escaped] = line.split(" ");
    if (numbers === undefined || escaped === undefined) continue;
    const mount = escaped.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    const isAbove = mount === "/" || path === mount || path.startsWith(`${mount}/`);
    // Of two on one place the later one covers the earlier.
    if (isAbove && mount.length >= longest) {
      longest = mount.length;
      device = numbers;
    }
  }
  return device;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not on this system, or not shown to us.
    return "";
  }
}
