/** Which engine runs: the addon that was built for this machine. The only importer of the engines. */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { StoreError } from "../errors.ts";
import type { Addon } from "./addon.ts";
import type { Engine } from "./contract.ts";
import { nativeEngine } from "./native.ts";

const require = createRequire(import.meta.url);
/** Two folders above this file, both in src/ and in dist/. */
export const packageRoot: URL = new URL("../../", import.meta.url);
/** What the name of an addon ends with; on Linux the C library decides, and the wrong one does not load. */
const abis: Record<string, string[]> = { linux: ["-gnu", "-musl"], win32: ["-msvc"] };

let native: Engine | undefined;

/** Throws STORE_NO_ENGINE, with every attempt, when there is none. */
export function loadEngine(wanted: "auto" | "native" | "wasm"): Engine {
  if (wanted === "wasm") {
    const message = 'engine is "wasm", but this version has no WebAssembly engine; use "native" or "auto"';
    throw new StoreError("STORE_NO_ENGINE", message, { details: { engine: wanted } });
  }
  native ??= nativeEngine(loadAddon(packageRoot));
  return native;
}

/** The addon under `root`/prebuilds. */
export function loadAddon(root: URL): Addon {
  const attempts: string[] = [];
  for (const path of addonPaths(root)) {
    try {
      return require(path) as Addon;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      attempts.push(`${path}: ${code === "MODULE_NOT_FOUND" ? "no such file" : message}`);
    }
  }
  const message = `no addon for this machine can be loaded; run \`npm run build\`. Tried:\n${attempts.join("\n")}`;
  throw new StoreError("STORE_NO_ENGINE", message, { details: { engine: "native", attempts } });
}

/** Where an addon for this machine can be, named as @napi-rs/cli names it. */
export function addonPaths(root: URL): string[] {
  return (abis[process.platform] ?? [""]).map((abi) =>
    fileURLToPath(new URL(`prebuilds/moraine.${process.platform}-${process.arch}${abi}.node`, root)),
  );
}
