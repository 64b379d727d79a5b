/** Files and directories of a store as the WebAssembly engine opens them: files are regular ones, links are not followed. */
import { closeSync, constants, fstatSync, fsyncSync, mkdirSync, openSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf, ioFailure, refusedFile } from "./wasm-errno.ts";

/** Neither a link is followed nor the other end of a pipe waited for. Windows has neither flag. */
const PLAIN: number = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
/** Of files of ours, less the process's umask. */
const MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const ENOENT = 2;

export const READ: number = constants.O_RDONLY;
export const READ_WRITE: number = constants.O_RDWR;
export const CREATE_NEW: number = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/** Descriptor of a regular file; `path` is what an error calls it, relative to the store directory. */
export function openFile(place: string, path: string, flags: number, mode: number = MODE): number {
  let descriptor: number;
  try {
    descriptor = openSync(place, flags | PLAIN, mode);
  } catch (error) {
    throw ioFailure(error, "open", path);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw refusedFile("open", path, kindOf(stats));
    return descriptor;
  } catch (error) {
    closeQuietly(descriptor);
    throw ioFailure(error, "fstat", path);
  }
}

/**
 * Makes a directory and those above it that are missing; returns the topmost that was made. By hand: `recursive` of node:fs
 * never ends where the system refuses a name below a directory that is there, as in /proc.
 */
export function makeDirectories(directory: string): string | undefined {
  try {
    return madeHere(directory);
  } catch (error) {
    const above = dirname(directory);
    if (errnoOf(error) !== ENOENT || above === directory) throw error;
    const first = makeDirectories(above);
    const made = madeHere(directory);
    return first ?? made;
  }
}

/** Undefined where the directory is there already. */
function madeHere(directory: string): string | undefined {
  try {
    mkdirSync(directory, DIRECTORY_MODE);
    return directory;
  } catch (error) {
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return undefined;
    throw error;
  }
}

/** Makes the names in a directory survive a power cut. Windows has no such call. */
export function syncDirectory(place: string, path: string): void {
  if (process.platform === "win32") return;
  let descriptor: number;
  try {
    descriptor = openSync(place, READ);
  } catch (error) {
    throw ioFailure(error, "open", path);
  }
  try {
    fsyncSync(descriptor);
  } catch (error) {
    throw ioFailure(error, "fsync", path);
  } finally {
    closeQuietly(descriptor);
  }
}

/** Closes what nothing was written through that is not synced or done without: there is nobody to tell of a failure. */
export function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // Linux has given the descriptor up whatever it says.
  }
}

function kindOf(stats: Stats): string {
  if (stats.isSymbolicLink()) return "is a symbolic link, want a file";
  if (stats.isDirectory()) return "is a directory, want a file";
  if (stats.isFIFO()) return "is a FIFO, want a file";
  if (stats.isSocket()) return "is a socket, want a file";
  return "is a device, want a file";
}
