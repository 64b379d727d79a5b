import type { EngineEvents, EngineOptions } from "../../src/binding/contract.ts";

/** A store that is small on disk. */
export const smallStore: EngineOptions = {
  flush: "async",
  flushIntervalMs: 500,
  segmentBytes: 1 << 20,
  queueFileEntries: 1000,
  indexSlots: 100,
  indexEntries: 400,
  recordCrc: true,
  index: true,
  indexTags: false,
  compat: "5",
  maxMessageBytes: 1 << 16,
  delayLevels: [1000, 5000],
  readOnly: false,
  create: true,
};

export const noEvents: EngineEvents = { onProgress() {}, onSettled() {}, onArrived() {} };
