/** Whether a directory is one of a store. To be asked before its lock is taken, which leaves names there. */
import type { WasmInstance } from "./wasm-instance.ts";

/** Throws STORE_INVALID_ARGUMENT for a directory that holds other things; with `create` an empty one will do. */
export function checkPlace(instance: WasmInstance, path: string, create: boolean): void {
  const [shown = 0] = instance.give(path);
  instance.call("check_place", shown, create ? 1 : 0);
}
