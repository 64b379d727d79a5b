/** Runs a process whose disk fails a sync for real: the answers of a poisoned store. */
import type { QueueOffsets, StoreErrorCode, StoreState } from "../../src/index.ts";
import { preloaded } from "./preloaded.ts";

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
export function onBreakingDisk(script: string, ...args: string[]): Promise<string> {
  return preloaded("fail-sync.c", { MORAINE_FAIL_SYNC: "broken" }, script, args);
}
