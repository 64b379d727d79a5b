/** The WebAssembly module: read, compiled, and held against what this side expects of one. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { StoreError } from "../errors.ts";

/** Which exports, imports and layouts this side knows. The module has its number in a section of its own. */
export const WASM_ABI = 2;
const ABI_SECTION = "moraine";

/** Pages of 64 KiB that the memory of an instance begins with: as many as the module is linked for. */
export const INITIAL_PAGES = 32;

/** The module of this package: beside both src/ and dist/. */
export const MODULE_PATH: URL = new URL("../../wasm/moraine.wasm", import.meta.url);

/** By where they come from; all instances of a thread share the compiled code. */
const loaded: Map<string, WebAssembly.Module> = new Map();

/** The compiled module; throws STORE_NO_ENGINE with the reason where there is none that fits. */
export function loadModule(path: URL = MODULE_PATH): WebAssembly.Module {
  const known = loaded.get(path.href);
  if (known !== undefined) return known;
  const module = compiled(path);
  const version = versionOf(module);
  if (version !== WASM_ABI) {
    const has = version === undefined ? "has no version" : `is of version ${version}`;
    throw unusable(path, `the module ${has}, and this copy of moraine needs version ${WASM_ABI}`);
  }
  loaded.set(path.href, module);
  return module;
}

function compiled(path: URL): WebAssembly.Module {
  // Node.js --jitless has none.
  if (typeof WebAssembly === "undefined") throw unusable(path, "this runtime has no WebAssembly");
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw unusable(path, code === "ENOENT" ? "no such file" : message, error);
  }
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw unusable(path, (error as Error).message, error);
  }
}

/** Read without running anything; undefined where there is none. */
function versionOf(module: WebAssembly.Module): number | undefined {
  const [section] = WebAssembly.Module.customSections(module, ABI_SECTION);
  return section?.byteLength === 4 ? new DataView(section).getUint32(0, true) : undefined;
}

function unusable(path: URL, reason: string, cause?: unknown): StoreError {
  const attempts = [`${fileURLToPath(path)}: ${reason}`];
  const message = `the WebAssembly engine cannot be loaded; install the package again. Tried:\n${attempts.join("\n")}`;
  return new StoreError("STORE_NO_ENGINE", message, { cause, details: { engine: "wasm", attempts } });
}
