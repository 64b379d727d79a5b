/** How a store comes to be opened: the path, the engine, and what is told on the way. */
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { EngineEvents, EngineOptions, EngineStore } from "./binding/contract.ts";
import { loadEngine } from "./binding/load.ts";
import { recoveryChannel } from "./diagnostics.ts";
import { argumentError, shown } from "./errors.ts";
import { Lifecycle } from "./lifecycle.ts";
import { type OpenProgress, type Settings, type StoreOptions, storeSettings } from "./options.ts";

/** An absolute path, so that a later change of the working directory does not matter. */
export function storePath(path: unknown): string {
  const text = path instanceof URL ? filePath(path) : path;
  if (typeof text !== "string") {
    throw argumentError("path", `path is ${shown(path)}; it must be a string or a file URL`);
  }
  if (text === "") throw argumentError("path", "path is empty; it must name the directory of the store");
  if (text.includes("\0")) throw argumentError("path", `path is ${shown(text)}; the character U+0000 is not allowed`);
  try {
    // `resolve` alone would do, but Bun's goes on with the name of a working directory that is gone.
    return isAbsolute(text) ? resolve(text) : resolve(process.cwd(), text);
  } catch (cause) {
    throw argumentError("path", `path is ${shown(text)}, and there is no working directory to find it in`, cause);
  }
}

function filePath(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw argumentError("path", `path is the URL ${url.href}; only local files can be opened`, cause);
  }
}

/** A store as an engine has opened it. */
export interface Opened {
  readonly engineName: "native" | "wasm";
  readonly engine: EngineStore;
  readonly lifecycle: Lifecycle;
  readonly settings: Settings;
  /** Another thread has opened it, and shared it. */
  readonly isAttached: boolean;
}

/** What an open store is told of. */
export type StoreEvents = Pick<EngineEvents, "onSettled" | "onArrived">;

/** Opens the directory with the engine that the options ask for. */
export async function openStore(
  path: string | URL,
  options: StoreOptions | undefined,
  events: StoreEvents,
): Promise<Opened> {
  const directory = storePath(path);
  const settings = storeSettings(options);
  const engine = loadEngine(settings.engine);
  const report = new ProgressReport(directory, settings.onProgress);
  const store = await engine.open(directory, engineOptions(settings), {
    onProgress: (phase, done, total) => report.progress({ phase, done, total }),
    ...events,
  });
  if (report.hasFailed) {
    await store.close();
    throw argumentError("options.onProgress", "option onProgress threw; the store was closed again", report.failure);
  }
  report.opened(store);
  const lifecycle = new Lifecycle(directory, settings.readOnly);
  return { engineName: engine.name, engine: store, lifecycle, settings, isAttached: false };
}

export function engineOptions(settings: Settings): EngineOptions {
  const {
    engine: _engine,
    onProgress: _onProgress,
    maxPendingBytes: _pending,
    clock,
    retention,
    ...options
  } = settings;
  return {
    ...options,
    ...(retention === undefined ? {} : { retention }),
    ...(clock === undefined ? {} : { clock }),
  };
}

/** Passes on how far opening has come. A listener that throws is not called again. */
class ProgressReport {
  readonly #path: string;
  readonly #listener: ((progress: OpenProgress) => void) | undefined;
  hasFailed = false;
  failure: unknown;

  constructor(path: string, listener: ((progress: OpenProgress) => void) | undefined) {
    this.#path = path;
    this.#listener = listener;
  }

  progress(progress: OpenProgress): void {
    if (recoveryChannel.hasSubscribers) recoveryChannel.publish({ path: this.#path, ...progress });
    if (this.#listener === undefined || this.hasFailed) return;
    try {
      this.#listener(progress);
    } catch (failure) {
      this.hasFailed = true;
      this.failure = failure;
    }
  }

  opened(store: EngineStore): void {
    if (!recoveryChannel.hasSubscribers) return;
    const { clean, findings } = store.health();
    recoveryChannel.publish({ path: this.#path, phase: "opened", done: 0, total: 0, clean, findings });
  }
}
