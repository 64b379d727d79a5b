/**
 * Looking after stores with the WebAssembly engine: each task has an instance of its own, and works through to its end without
 * letting the event loop go on; what it tells on the way is told at once.
 */
import * as fs from "node:fs";
import { join, resolve, sep } from "node:path";
import { StoreError } from "../errors.ts";
import type {
  DerivedFiles,
  EngineOptions,
  EngineTask,
  EngineVerified,
  RebuildResult,
  SalvageResult,
  TaskProgress,
} from "./contract.ts";
import { storeDirectory } from "./wasm-directory.ts";
import { ioFailure } from "./wasm-errno.ts";
import { WasmInstance } from "./wasm-instance.ts";
import { acquireLock } from "./wasm-lock.ts";
import { optionBytes } from "./wasm-options.ts";
import { checkPlace } from "./wasm-place.ts";

/** What an open store says of its files: its end, below which offset its queues are complete, its first open index file. */
export type LiveStore = readonly [end: number, queuesBelow: number, indexOpenFrom: string | null];

/** A salvage that was not finished leaves this in the new store. */
const SALVAGE_NOTE = "moraine/salvage";

export function verifyStore(
  path: string,
  options: EngineOptions,
  deep: boolean,
  live: LiveStore | undefined,
  onProgress: TaskProgress,
): EngineTask<EngineVerified> {
  return task(onProgress, (tell) => {
    const root = storeDirectory(path, false);
    return withInstance([root], true, tell, (instance) => {
      checkPlace(instance, path, false);
      const [end, below, index] = live ?? [Number.NaN, 0, null];
      const [bytes = 0, indexBytes = 0] = instance.give(optionBytes(options), index ?? "");
      instance.call("verify", bytes, deep ? 1 : 0, end, below, indexBytes);
      return instance.json<EngineVerified>();
    });
  });
}

export function rebuildStore(
  path: string,
  options: EngineOptions,
  { queues, index }: DerivedFiles,
  onProgress: TaskProgress,
): EngineTask<RebuildResult> {
  return task(onProgress, (tell) => {
    const root = storeDirectory(path, false);
    return withInstance([root], false, tell, (instance) => {
      checkPlace(instance, path, false);
      return locked(root, () => {
        const [bytes = 0] = instance.give(optionBytes(options));
        instance.call("rebuild", bytes, queues ? 1 : 0, index ? 1 : 0);
        return instance.json<RebuildResult>();
      });
    });
  });
}

export function salvageStore(
  path: string,
  out: string,
  options: EngineOptions,
  onProgress: TaskProgress,
): EngineTask<SalvageResult> {
  return task(onProgress, (tell) => {
    const from = storeDirectory(path, false);
    // The new one is the second root of the instance, and is made only when the first one is known to be a store.
    withInstance([from], true, tell, (instance) => checkPlace(instance, path, false));
    refuseFilled(out, from);
    const to = storeDirectory(out, true);
    return withInstance([from, to], false, tell, (instance) =>
      locked(to, () => {
        const [bytes = 0] = instance.give(optionBytes(options));
        instance.call("salvage", bytes);
        return instance.json<SalvageResult>();
      }),
    );
  });
}

/** Begins with the next turn of the event loop, so that it can be stopped before. */
function task<T>(onProgress: TaskProgress, work: (tell: Tell) => T): EngineTask<T> {
  let stopped = false;
  const done = new Promise<T>((settle, reject) => {
    setImmediate(() => {
      try {
        const result = work((phase, doneBytes, total) => {
          onProgress(phase, doneBytes, total);
          return !stopped;
        });
        // Timers have their turn first: a time limit that has passed meanwhile counts.
        setImmediate(() => settle(result));
      } catch (error) {
        reject(error);
      }
    });
  });
  return {
    done,
    stop: () => {
      stopped = true;
    },
  };
}

type Tell = (phase: string, done: number, total: number) => boolean;

function withInstance<T>(roots: string[], readOnly: boolean, tell: Tell, work: (instance: WasmInstance) => T): T {
  const instance = new WasmInstance(roots, readOnly, { onProgress: tell });
  try {
    return work(instance);
  } finally {
    instance.end();
  }
}

function locked<T>(root: string, work: () => T): T {
  const lock = acquireLock(root);
  try {
    return work();
  } finally {
    lock.release();
  }
}

/** The new store must be empty, and not lie in the old one. */
function refuseFilled(to: string, from: string): void {
  const absolute = resolve(to);
  if (absolute === from || absolute.startsWith(from + sep)) {
    throw outError(`${to} lies in the store that is to be saved, which is not changed`);
  }
  let names: string[];
  try {
    names = fs.readdirSync(to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw ioFailure(error, "opendir", to);
  }
  if (names.length === 0) return;
  throw fs.existsSync(join(to, SALVAGE_NOTE))
    ? outError(`${to} holds what a salvage left that was cut off; delete it and begin again`)
    : outError(`${to} is not empty; name a directory that is, or that is not there`);
}

function outError(message: string): StoreError {
  return new StoreError("STORE_INVALID_ARGUMENT", message, { details: { argument: "out" } });
}
