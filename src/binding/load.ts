/**
 * Which engine runs: the addon that was built for this machine, or the WebAssembly module where none loads. The only
 * importer of the engines.
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { type EngineDiagnostics, engineChannel } from "../diagnostics.ts";
import { argumentError, StoreError, shown } from "../errors.ts";
import type { Addon } from "./addon.ts";
import type { Engine } from "./contract.ts";
import { nativeEngine } from "./native.ts";
import { wasmEngine } from "./wasm.ts";

type EngineName = Engine["name"];

const require = createRequire(import.meta.url);
/** Two folders above this file, both in src/ and in dist/. */
export const packageRoot: URL = new URL("../../", import.meta.url);
/** What the name of an addon ends with; on Linux the C library decides, and the wrong one does not load. */
const abis: Record<string, string[]> = { linux: ["-gnu", "-musl"], win32: ["-msvc"] };

/** In the order in which they are tried. */
const makers: Readonly<Record<EngineName, () => Engine>> = {
  native: () => nativeEngine(loadAddon(packageRoot)),
  wasm: wasmEngine,
};
/** What came of it, the first time and for good. */
const made: Partial<Record<EngineName, Engine | StoreError>> = {};
let fallbackIsTold = false;

/**
 * The engine that a call asks for, or MORAINE_ENGINE where it does not say; "auto" where neither does. Throws
 * STORE_NO_ENGINE, with every attempt, when there is none.
 */
export function loadEngine(asked: "auto" | EngineName | undefined): Engine {
  const wanted = asked ?? fromEnvironment();
  const failures: StoreError[] = [];
  for (const name of wanted === "auto" ? (Object.keys(makers) as EngineName[]) : [wanted]) {
    const engine = make(name);
    if (!(engine instanceof StoreError)) {
      if (failures.length > 0) tellFallback(engine.name, attemptsOf(failures));
      return engine;
    }
    failures.push(engine);
  }
  const attempts = attemptsOf(failures);
  const message = `${NOTHING_LOADS[wanted]}; run \`npm run build\`, or install the package again. Tried:\n${attempts.join("\n")}`;
  throw new StoreError("STORE_NO_ENGINE", message, { cause: failures[0], details: { engine: wanted, attempts } });
}

const NOTHING_LOADS = {
  auto: "no engine can be loaded",
  native: "no addon for this machine can be loaded",
  wasm: "the WebAssembly engine cannot be loaded",
} as const;

function fromEnvironment(): "auto" | EngineName {
  const value = process.env.MORAINE_ENGINE;
  if (value === undefined || value === "") return "auto";
  if (value === "auto" || value === "native" || value === "wasm") return value;
  const must = 'it must be "auto", "native" or "wasm"';
  throw argumentError("MORAINE_ENGINE", `the environment variable MORAINE_ENGINE is ${shown(value)}; ${must}`);
}

function make(name: EngineName): Engine | StoreError {
  const known = made[name];
  if (known !== undefined) return known;
  let outcome: Engine | StoreError;
  try {
    outcome = makers[name]();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    outcome = error;
  }
  made[name] = outcome;
  return outcome;
}

function attemptsOf(failures: StoreError[]): string[] {
  return failures.flatMap(({ message, details }) => (details.attempts as string[] | undefined) ?? [message]);
}

/** Once, as soon as somebody listens. */
function tellFallback(engine: EngineName, attempts: string[]): void {
  if (fallbackIsTold || !engineChannel.hasSubscribers) return;
  fallbackIsTold = true;
  engineChannel.publish({ engine, attempts } satisfies EngineDiagnostics);
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
