/** Bits of a message's `sysFlag`, and what a topic's attributes make of its messages. */
import type { TopicConfig } from "../../protocol/bodies/topic-config.ts";

export const SysFlag = {
  multiTags: 0x2,
  /** Two bits: one of `MessageType`. */
  type: 0xc,
  innerBatch: 0x80,
} as const;

export const MessageType = {
  none: 0,
  /** The first half of a transaction, which nobody may see. */
  prepared: 0x4,
  commit: 0x8,
  rollback: 0xc,
} as const;

export function typeOf(sysFlag: number): number {
  return sysFlag & SysFlag.type;
}

/** Whether batches are stored as one record each. */
export function isBatchTopic({ attributes }: TopicConfig): boolean {
  return attributes["queue.type"] === "BatchCQ";
}
