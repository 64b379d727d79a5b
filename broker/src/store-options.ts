/** The options of the store, from those that RocketMQ has for its own. */
import type { StoreOptions } from "moraine";
import type { BrokerConfig } from "./config/broker-config.ts";
import { deleteHour } from "./services/log-expiry.ts";

const QUEUE_ENTRY_BYTES = 20;
/**
 * As much as a frame: messages that wait for a delay or a retry are delivered, also when `maxMessageSize` has become less. What
 * clients send is checked against that.
 */
const LARGEST_MESSAGE_BYTES = 16_777_216;
const HOUR_MS = 3_600_000;

export function storeOptions(config: BrokerConfig): StoreOptions {
  return {
    // Visible at once, as in RocketMQ, whatever `flushDiskType`: with SYNC_FLUSH it is the answer that waits for the disk.
    flush: "async",
    flushIntervalMs: config.flushIntervalCommitLog,
    segmentBytes: config.mappedFileSizeCommitLog,
    queueFileEntries: Math.max(Math.floor(config.mappedFileSizeConsumeQueue / QUEUE_ENTRY_BYTES), 1),
    indexSlots: config.maxHashSlotNum,
    indexEntries: config.maxIndexNum,
    index: config.messageIndexEnable,
    recordCrc: config.enabledAppendPropCRC,
    maxMessageBytes: Math.max(config.maxMessageSize, LARGEST_MESSAGE_BYTES),
    delayLevels: config.messageDelayLevel,
    retention: {
      maxAgeMs: config.fileReservedTime * HOUR_MS,
      deleteHour: deleteHour(config),
      // What takes files above `diskMaxUsedSpaceRatio`, and old ones alone, is `services/log-expiry.ts`.
      ...(config.cleanFileForciblyEnable && { diskRatio: config.diskSpaceCleanForciblyRatio / 100 }),
    },
  };
}
