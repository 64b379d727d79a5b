/** Whether a directory is one of a store, before its lock is taken. */
import { WasmInstance } from "./wasm-instance.ts";

/** Throws STORE_INVALID_ARGUMENT for a directory that holds other things; with `create` an empty one will do. */
export function checkPlace(root: string, path: string, create: boolean): void {
  const instance = new WasmInstance([root], true, { onProgress: () => true });
  try {
    const [shown = 0] = instance.give(path);
    instance.call("check_place", shown, create ? 1 : 0);
  } finally {
    instance.end();
  }
}
