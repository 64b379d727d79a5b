/** Carries out what a plan of the WebAssembly engine has left to do, in order (wasm/src/deferred.rs): syncs without waiting. */
import * as fs from "node:fs";
import { isThere } from "./wasm-entries.ts";
import { type FailedCall, failedCall, inCall } from "./wasm-failed-call.ts";
import type { WasmFiles } from "./wasm-files.ts";
import { closeQuietly, openFile, READ, READ_WRITE } from "./wasm-open.ts";

const decoder: InstanceType<typeof TextDecoder> = new TextDecoder();
const HEAD_BYTES = 24;

// Kinds of steps.
const SYNC = 0;
const SYNC_FILE = 1;
const SYNC_DIRECTORY = 2;
const SYNC_ALL = 3;
const WRITE = 4;
const CREATE = 5;
const MAKE_DIRECTORY = 6;
const REMOVE = 7;

interface Step {
  readonly kind: number;
  readonly root: number;
  readonly number: number;
  readonly path: string;
  readonly rest: Uint8Array;
}

/** Resolves with the call that has failed; nothing after it is done. `between` is awaited between two steps. */
export async function carryOut(
  steps: Uint8Array,
  files: WasmFiles,
  between: () => Promise<void>,
): Promise<FailedCall | undefined> {
  let isFirst = true;
  for (const step of decoded(steps)) {
    if (!isFirst) await between();
    isFirst = false;
    try {
      await run(step, files);
    } catch (error) {
      return failedCall(error, CALLS[step.kind] ?? "call", step.path);
    }
  }
  return undefined;
}

const CALLS: readonly string[] = [
  "fdatasync",
  "fdatasync",
  "fsync",
  "fdatasync",
  "pwrite",
  "open",
  "mkdir",
  "unlink",
  "rename",
];

function* decoded(steps: Uint8Array): Generator<Step> {
  const view = new DataView(steps.buffer, steps.byteOffset, steps.byteLength);
  for (let at = 0; at < steps.length; ) {
    const pathAt = at + HEAD_BYTES;
    const restAt = pathAt + view.getUint32(at + 16, true);
    const end = restAt + view.getUint32(at + 20, true);
    yield {
      kind: view.getUint32(at, true),
      root: view.getUint32(at + 4, true),
      number: view.getFloat64(at + 8, true),
      path: decoder.decode(steps.subarray(pathAt, restAt)),
      rest: steps.subarray(restAt, end),
    };
    at = end;
  }
}

async function run({ kind, root, number, path, rest }: Step, files: WasmFiles): Promise<void> {
  const place = files.place(root, path);
  if (kind === SYNC) await synced(number);
  else if (kind === SYNC_FILE) await syncFile(place, files);
  else if (kind === SYNC_DIRECTORY) await syncDirectory(place);
  else if (kind === SYNC_ALL) await syncAll(root, files);
  else if (kind === WRITE) files.write(place, number, rest);
  else if (kind === CREATE) files.create(root, path, number);
  else if (kind === MAKE_DIRECTORY) files.makeDirectory(place);
  else if (kind === REMOVE) removeIfThere(place, files);
  else files.rename(place, files.place(root, decoder.decode(rest)));
}

function synced(handle: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(handle, (error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

async function syncFile(place: string, files: WasmFiles): Promise<void> {
  // A descriptor of its own: the ones that are kept may be closed before the sync is over.
  const handle = openFile(place, "", READ_WRITE);
  const failed = files.beginSync(place);
  try {
    await synced(handle);
  } catch (error) {
    failed();
    throw error;
  } finally {
    closeQuietly(handle);
  }
}

/** As that of wasm-open.ts, without holding up the thread. */
async function syncDirectory(place: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = inCall("open", () => fs.openSync(place, READ));
  try {
    await new Promise<void>((resolve, reject) => {
      fs.fsync(handle, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  } finally {
    closeQuietly(handle);
  }
}

/** Files at a time: as many as Node has threads for. */
const AT_ONCE = 4;

async function syncAll(root: number, files: WasmFiles): Promise<void> {
  const dirty = files.takeDirty(root);
  const line = dirty.files.filter(isThere).values();
  const work = async () => {
    for (const file of line) await syncFile(file, files);
  };
  // All have ended, whatever came of one of them: nothing goes on behind the back of who is told.
  const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
  for (const outcome of ended) if (outcome.status === "rejected") throw outcome.reason;
  for (const directory of dirty.directories) if (isThere(directory)) await syncDirectory(directory);
}

function removeIfThere(place: string, files: WasmFiles): void {
  if (isThere(place)) files.remove(place);
}
