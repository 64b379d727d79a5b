/** The WebAssembly engine: the same core where no addon loads. */
import { StoreError } from "../errors.ts";
import type { Engine, EngineEvents, EngineStore } from "./contract.ts";
import { storeDirectory } from "./wasm-directory.ts";
import { WasmInstance } from "./wasm-instance.ts";
import { acquireLock, type WasmLock } from "./wasm-lock.ts";
import { loadModule } from "./wasm-module.ts";
import { optionBytes, type WasmOptions } from "./wasm-options.ts";
import { checkPlace } from "./wasm-place.ts";
import { noThreads, setClock, WasmStore } from "./wasm-store.ts";
import { rebuildStore, salvageStore, verifyStore } from "./wasm-tasks.ts";

/** Throws STORE_NO_ENGINE where the module cannot be loaded. */
export function wasmEngine(): Engine {
  loadModule();
  return {
    name: "wasm",
    open: async (path, options, events) => openStore(path, options, events),
    sharedSettings: () => {
      throw noThreads();
    },
    attach: async () => {
      throw noThreads();
    },
    verify: (path, options, deep, onProgress) => verifyStore(path, options, deep, undefined, onProgress),
    rebuild: rebuildStore,
    salvage: salvageStore,
  };
}

function openStore(path: string, options: WasmOptions, events: EngineEvents): EngineStore {
  const { readOnly, create, clock } = options;
  checkSlots(options);
  const root = storeDirectory(path, create && !readOnly);
  let instance: WasmInstance | undefined;
  let lock: WasmLock | undefined;
  try {
    instance = new WasmInstance([root], readOnly, {
      onProgress: (phase, done, total) => {
        events.onProgress(phase, done, total);
        return true;
      },
    });
    checkPlace(instance, path, create && !readOnly);
    if (!readOnly) {
      lock = acquireLock(root);
      instance.files.removeLeftovers();
    }
    if (clock !== undefined) setClock(instance, clock);
    const [bytes = 0] = instance.give(optionBytes(options));
    instance.call("open", bytes);
    return new WasmStore(instance, path, options, lock, events);
  } catch (error) {
    instance?.end();
    lock?.undo();
    throw error instanceof StoreError ? error : new StoreError("STORE_IO", (error as Error).message, { cause: error });
  }
}

/** The slots of an index file are held in memory, 4 bytes each. */
const MOST_SLOTS = 8_000_000;

function checkSlots({ index, indexSlots }: WasmOptions): void {
  if (!index || indexSlots <= MOST_SLOTS) return;
  const message = `indexSlots is ${indexSlots}: the WebAssembly engine has memory for ${MOST_SLOTS}; give fewer, or use the native engine`;
  throw new StoreError("STORE_UNSUPPORTED", message, { details: { engine: "wasm", argument: "options.indexSlots" } });
}
