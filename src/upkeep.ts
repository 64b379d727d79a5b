/** Looking after a store in a directory: verifying it, making its derived files again, saving what is left of it. */
import { abortError, checkSignal, onAbort, throwIfAborted } from "./abort.ts";
import { readOptions } from "./arguments.ts";
import type {
  EngineTask,
  EngineVerified,
  RebuildResult,
  SalvageResult,
  TaskProgress,
  VerifyFinding,
} from "./binding/contract.ts";
import { loadEngine } from "./binding/load.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { engineOptions, storePath } from "./opening.ts";
import { type OpenProgress, type Settings, storeSettings } from "./options.ts";

export interface VerifyOptions {
  /** Every byte; else structure, sizes, the ends of log and queues, and samples. Default: false. */
  readonly deep?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Phases are `log` (bytes), `queues` (queues), `index` and `files`. */
  readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
}

/** Which engine works, for those who do so without a store that is open. */
interface EngineChoice {
  readonly engine?: "auto" | "native" | "wasm" | undefined;
}

export interface RebuildOptions extends EngineChoice {
  /** Consume queues, batch queues and extension files. Default: true where neither is given, else false. */
  readonly queues?: boolean | undefined;
  /** The key index. Default: as `queues`. */
  readonly index?: boolean | undefined;
  readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
}

export interface SalvageOptions extends EngineChoice {
  readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
}

const VERIFY_OPTIONS: readonly string[] = ["deep", "signal", "onProgress"];
const REBUILD_OPTIONS: readonly string[] = ["queues", "index", "onProgress", "engine"];
const SALVAGE_OPTIONS: readonly string[] = ["onProgress", "engine"];

/**
 * Holds everything in the store of a directory against everything else: records, queue entries, index, checkpoint,
 * sidecar, tables. Takes no lock and changes nothing; also where the store cannot be opened. Of a store that another
 * process is writing it shows what was on disk at some moment: what is put meanwhile can seem to be missing.
 *
 * Resolves with what it found, `[]` for a store in which everything is right. Rejects with `STORE_ABORTED` once the signal
 * is aborted, with `STORE_INVALID_ARGUMENT` where there is no store.
 */
export async function verifyStore(
  path: string | URL,
  options?: VerifyOptions & EngineChoice,
): Promise<VerifyFinding[]> {
  const directory = storePath(path);
  const { engine, ...rest } = readOptions(options, [...VERIFY_OPTIONS, "engine"]);
  const settings = defaults(engine);
  const start: VerifyStart = (deep, onProgress) =>
    loadEngine(settings.engine).verify(directory, engineOptions(settings), deep, onProgress);
  return verifyWith(start, rest, undefined);
}

/**
 * Makes queues, index or both again from the log, in bounded memory, under the lock of the store, which is closed before
 * and after. Ended in the middle, it goes on when the store is next opened for writing.
 *
 * Rejects with `STORE_LOCKED` where the store is open, `STORE_UNSUPPORTED_FORMAT`, `STORE_CORRUPT` for a log that cannot be
 * one, `STORE_FULL`, `STORE_IO`.
 */
export async function rebuildStore(path: string | URL, options?: RebuildOptions): Promise<RebuildResult> {
  const directory = storePath(path);
  const given = readOptions(options, REBUILD_OPTIONS);
  const queues = checkFlag("queues", given.queues);
  const index = checkFlag("index", given.index);
  const isBoth = queues === undefined && index === undefined;
  if (queues === false && index === false) {
    throw argumentError("options.queues", "options.queues and options.index are false; there is nothing to be done");
  }
  const what = { queues: queues ?? (isBoth || index === false), index: index ?? (isBoth || queues === false) };
  const settings = defaults(given.engine);
  return untilDone(
    (progress) => loadEngine(settings.engine).rebuild(directory, engineOptions(settings), what, progress),
    given.onProgress,
  );
}

/**
 * Saves every whole record of a store into a new one in `out`, which must be empty or not there; the old one is only read.
 * Messages keep their queue offsets and all they say; their places in the log change, and so do their `offsetMsgId`s.
 * `config/` is copied; deleted topics stay deleted. What was lost is told; an error leaves `out` with what was saved until then.
 */
export async function salvageStore(
  path: string | URL,
  out: string | URL,
  options?: SalvageOptions,
): Promise<SalvageResult> {
  const [from, to] = [storePath(path), storePath(out)];
  const { onProgress, engine } = readOptions(options, SALVAGE_OPTIONS);
  const settings = defaults(engine);
  return untilDone(
    (progress) => loadEngine(settings.engine).salvage(from, to, engineOptions(settings), progress),
    onProgress,
  );
}

/** Begins to verify. */
export type VerifyStart = (deep: boolean, onProgress: TaskProgress) => EngineTask<EngineVerified>;

/** Something that ends a task early, as closing its store does: told how to, it answers with the error to reject with. */
export interface Interruption {
  add(stop: () => void): void;
  delete(stop: () => void): void;
  error(): StoreError;
}

/** Verifies as options ask. */
export async function verifyWith(
  start: VerifyStart,
  options: VerifyOptions | undefined,
  interruption: Interruption | undefined,
): Promise<VerifyFinding[]> {
  const { deep, signal, onProgress } = readOptions(options, VERIFY_OPTIONS);
  const isDeep = checkFlag("deep", deep) ?? false;
  checkSignal(signal);
  throwIfAborted(signal);
  const report = new Listener(onProgress);
  const task = start(isDeep, report.tell);
  const stop = (): void => task.stop();
  report.onFailure = stop;
  const forget = signal === undefined ? undefined : onAbort(signal, stop);
  let isInterrupted = false;
  const interrupt = (): void => {
    isInterrupted = true;
    task.stop();
  };
  interruption?.add(interrupt);
  try {
    const { complete, findings } = await task.done;
    report.throwFailure();
    if (isInterrupted && interruption !== undefined) throw interruption.error();
    if (signal?.aborted) throw abortError(signal);
    if (complete) return findings;
    throw new StoreError("STORE_ABORTED", "verifying was ended");
  } finally {
    forget?.();
    interruption?.delete(interrupt);
  }
}

async function untilDone<T>(
  start: (onProgress: TaskProgress) => EngineTask<T>,
  onProgress: ((progress: OpenProgress) => void) | undefined,
): Promise<T> {
  const report = new Listener(onProgress);
  const result = await start(report.tell).done;
  report.throwFailure();
  return result;
}

/** Passes on how far work has come. A listener that throws is not called again. */
class Listener {
  readonly #listener: ((progress: OpenProgress) => void) | undefined;
  #failure: { cause: unknown } | undefined;
  onFailure: () => void = () => {};

  constructor(listener: unknown) {
    if (listener !== undefined && typeof listener !== "function") {
      throw argumentError("options.onProgress", `onProgress is ${shown(listener)}; it must be a function`);
    }
    this.#listener = listener as ((progress: OpenProgress) => void) | undefined;
  }

  readonly tell: TaskProgress = (phase, done, total) => {
    if (this.#listener === undefined || this.#failure !== undefined) return;
    try {
      this.#listener({ phase, done, total });
    } catch (cause) {
      this.#failure = { cause };
      this.onFailure();
    }
  };

  throwFailure(): void {
    if (this.#failure === undefined) return;
    throw argumentError("options.onProgress", "option onProgress threw", this.#failure.cause);
  }
}

function checkFlag(name: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === "boolean") return value;
  throw argumentError(`options.${name}`, `${name} is ${shown(value)}; it must be true or false`);
}

/** Settings for a store of which nothing is known: what is on disk wins. */
function defaults(engine: EngineChoice["engine"]): Settings {
  return storeSettings({ engine });
}
