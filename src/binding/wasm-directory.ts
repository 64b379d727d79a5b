/** The directory of a store, as the WebAssembly engine finds or makes it (the twin of native/host/src/files.rs, `HostStorage::open`). */
import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { StoreError } from "../errors.ts";
import { errnoOf, ioFailure, refusedFile } from "./wasm-errno.ts";
import { makeDirectories, syncDirectory } from "./wasm-open.ts";

const ENOENT = 2;

/** The directory, absolute and without links; made where `create` says so. */
export function storeDirectory(path: string, create: boolean): string {
  const found = look(path) ?? (create ? made(path) : undefined);
  if (found === undefined) throw noStore(path, "there is no such directory");
  if (!found.isDirectory()) throw refusedFile("open", path, "is not a directory; a store is a directory");
  let root: string;
  try {
    // So that a later change of the working directory does not move the store.
    root = fs.realpathSync.native(path);
  } catch (error) {
    throw ioFailure(error, "realpath", path);
  }
  try {
    // One that cannot be listed is found here rather than by the first file that seems to be missing.
    fs.opendirSync(root).closeSync();
  } catch (error) {
    throw ioFailure(error, "open", path);
  }
  return root;
}

function look(path: string): fs.Stats | undefined {
  try {
    return fs.statSync(path);
  } catch (error) {
    if (errnoOf(error) === ENOENT) return undefined;
    throw ioFailure(error, "open", path);
  }
}

/** Makes a directory and those above it that are missing, and makes them survive a power cut. */
function made(path: string): fs.Stats {
  let first: string | undefined;
  try {
    first = makeDirectories(path);
  } catch (error) {
    throw ioFailure(error, "mkdir", path);
  }
  if (first !== undefined) {
    const last = dirname(resolve(first));
    for (let above = dirname(resolve(path)); ; above = dirname(above)) {
      syncDirectory(above, above);
      if (above === last || above === dirname(above)) break;
    }
  }
  return fs.statSync(path);
}

function noStore(path: string, reason: string): StoreError {
  const message = `${path} is no store: ${reason}; give the directory that holds commitlog`;
  return new StoreError("STORE_INVALID_ARGUMENT", message, { details: { argument: "path", path } });
}
