/** Runs a process whose disk stops answering for a while: what becomes of those who append. */
import type { StoreErrorCode } from "../../src/index.ts";
import { preloaded } from "./preloaded.ts";

export interface Refusal {
  code: StoreErrorCode;
  message: string;
  retriable: boolean;
  details: Record<string, unknown>;
}

/** What stalled-child.mjs has seen. */
export interface Stalled {
  maxPendingBytes: number;
  /** Bytes of the record of each message. */
  recordBytes: number;
  /** Appends that were taken and settled well, by their numbers, as they settled; those that were refused meanwhile. */
  settled: number[];
  refused: number;
  refusal: Refusal;
  /** Numbers of messages that were stored by `put`. */
  put: number[];
  /** Of a `put` while there is no room. */
  putRefusal?: Refusal;
  /** Of the append of a wrong message in the middle of the others. */
  wrong?: Refusal;
  pressure: { idle: number; growing: number[]; stalled: number; after: number };
  /** Of the log that is not durable: as much as was appended during the stall. */
  undurableBytes: number;
  /** How much larger the heap became between an early and a late refusal. */
  grownHeapBytes: number;
  /** How many had settled when the disk still stood. */
  settledWhileStalled: number;
  /** Codes of appends in line when the store was closed; undefined where it was not. */
  closed?: string[];
  /** Numbers of the messages in the store when it was opened again. */
  found: number[];
}

/** `syncs`: no sync comes back. `prefill`: the log gets no more room. `closing`: as that, and the store is closed then. */
export async function stalledDisk(engine: string, scenario: "syncs" | "prefill" | "closing"): Promise<Stalled> {
  const files = { MORAINE_STALL_SYNC: "sync-stalls", MORAINE_STALL_PREFILL: "prefill-stalls" };
  return JSON.parse(await preloaded("stall-disk.c", files, "stalled-child.mjs", [engine, scenario])) as Stalled;
}
