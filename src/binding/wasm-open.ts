/** Files and directories of a store as the WebAssembly engine opens them: files are regular ones, links are not followed. */
import { closeSync, constants, fstatSync, fsyncSync, openSync, type Stats } from "node:fs";
import { ioFailure, refusedFile } from "./wasm-errno.ts";

/** Neither a link is followed nor the other end of a pipe waited for. Windows has neither flag. */
const PLAIN: number = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
/** As RocketMQ makes its files, less the process's umask. */
const MODE = 0o644;

export const READ: number = constants.O_RDONLY;
export const READ_WRITE: number = constants.O_RDWR;
export const CREATE_NEW: number = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/** Descriptor of a regular file; `path` is what an error calls it, relative to the store directory. */
export function openFile(place: string, path: string, flags: number): number {
  let descriptor: number;
  try {
    descriptor = openSync(place, flags | PLAIN, MODE);
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
