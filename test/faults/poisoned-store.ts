/** Runs a process whose disk fails a sync for real: the answers of a poisoned store. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { QueueOffsets, StoreErrorCode, StoreState } from "../../src/index.ts";

const run = promisify(execFile);
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface ErrorFacts {
  code: StoreErrorCode;
  message: string;
  retriable: boolean;
  details: Record<string, unknown>;
  cause?: StoreErrorCode;
}

/** What the process has seen; poisoned-child.mjs fills it in. */
export interface PoisonedStore {
  state: StoreState;
  /** Of those who waited for the sync that failed. */
  waiters: ErrorFacts[];
  /** Of those who waited for messages then, and of those who tried later. */
  waits: ErrorFacts[];
  lateWaits: ErrorFacts[];
  /** The code that each call answers. */
  answers: Record<string, StoreErrorCode | "ok">;
  /** Of members of tables and groups. */
  tables?: Record<string, StoreErrorCode | "ok">;
  refusal?: ErrorFacts;
  bodies?: string[];
  /** Of the queue, and what reading it to its end gives. */
  offsets: QueueOffsets;
  readable: { nextOffset: number; messages: number; entries: number };
  stateAfterClose: StoreState;
  published: { path: string; code: StoreErrorCode }[];
  reopened: { state: StoreState; bodies: string[]; put: string; flush: string };
}

/**
 * Breaks the disk under a store. `told`: a flush waits for the sync that fails; `untold`: nobody does.
 * Needs a C compiler (`cc`), and the package built: the process imports it by its name.
 */
export async function poisonedStore(engine: string, scenario: "told" | "untold"): Promise<PoisonedStore> {
  return JSON.parse(await onBreakingDisk("poisoned-child.mjs", engine, scenario)) as PoisonedStore;
}

/** Runs a script of this folder, with a directory for a store in front of its arguments, on a disk that it can break. */
export async function onBreakingDisk(script: string, ...args: string[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "moraine-poisoned-"));
  try {
    const library = join(directory, "fail-sync.so");
    await run("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-o", library, beside("fail-sync.c"), "-ldl"]);
    const child = [beside(script), join(directory, "store"), ...args];
    // Behind what this process was started with: a sanitizer's runtime must be the first.
    const preloaded = [process.env.LD_PRELOAD, library].filter(Boolean).join(":");
    const env = { ...process.env, LD_PRELOAD: preloaded, MORAINE_FAIL_SYNC: join(directory, "broken") };
    const { stdout } = await run(process.execPath, child, { env, timeout: 30_000 });
    return stdout;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
