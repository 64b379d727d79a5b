/**
 * The engine that this run of the contract suite is about, and what a test can count on beside the public API.
 *
 * Another engine is another project in vitest.config.ts with its name in MORAINE_ENGINE, and its line in `SUPPORTED`.
 */
export type EngineName = "native" | "wasm";

/** What not every engine has. Each is asked for by the tests that need it, with `describe.runIf` and `test.runIf`. */
export interface Supports {
  /** Its syncs are system calls of the process, so that a test can make them fail (test/faults). */
  readonly faults: boolean;
  /** It works beside the event loop in a thread of its own, which waits without waking up; several threads can have one store. */
  readonly threads: boolean;
  /** It knows what of a file is in memory, and reads the rest beside the event loop. */
  readonly coldReads: boolean;
}

const SUPPORTED: Readonly<Record<EngineName, Supports>> = {
  native: { faults: true, threads: true, coldReads: true },
  wasm: { faults: true, threads: false, coldReads: false },
};

export const ENGINE: EngineName = process.env.MORAINE_ENGINE === "wasm" ? "wasm" : "native";
/** Faults are made with a C compiler: where there is none, scripts/test.mjs says so. */
const missing: Partial<Supports> = process.env.MORAINE_TEST_FAULTS === "none" ? { faults: false } : {};
export const supports: Supports = { ...SUPPORTED[ENGINE], ...missing };
