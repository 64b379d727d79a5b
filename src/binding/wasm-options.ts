/** Options as the WebAssembly module reads them (wasm/src/options.rs): numbers in a fixed order, NaN for what is not given. */
import type { EngineOptions } from "./contract.ts";

/** `checkpointBytes`: of the log, between two queue checkpoints; only tests that kill a store hand it in. */
export type WasmOptions = EngineOptions & { checkpointBytes?: number };

export function optionBytes(options: WasmOptions): Uint8Array {
  const { retention } = options;
  const numbers = [
    flag(options.flush === "sync"),
    options.segmentBytes,
    options.queueFileEntries,
    options.indexSlots,
    options.indexEntries,
    flag(options.recordCrc),
    flag(options.index),
    flag(options.indexTags),
    flag(options.compat === "4.9"),
    options.maxMessageBytes,
    flag(options.readOnly),
    flag(options.create),
    process.pid,
    options.checkpointBytes ?? Number.NaN,
    retention?.maxAgeMs ?? Number.NaN,
    retention?.maxBytes ?? Number.NaN,
    retention?.deleteHour ?? Number.NaN,
    retention?.diskRatio ?? Number.NaN,
    flag(retention !== undefined),
    ...options.delayLevels,
  ];
  return new Uint8Array(new Float64Array(numbers).buffer);
}

function flag(value: boolean): number {
  return value ? 1 : 0;
}
