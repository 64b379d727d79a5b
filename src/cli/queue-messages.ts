/** Messages of a queue for a command: damaged ones are findings, their neighbours follow. */
import { type Store, type StoredMessage, StoreError } from "../index.ts";
import { UsageError } from "./arguments.ts";
import type { Output } from "./output.ts";

export const MAX_QUEUE_ID: number = 2 ** 31 - 1;
/** Messages and bytes that are asked of a queue at a time. */
const GET_MAX = 128;
const GET_BYTES = 1 << 20;

/** Refuses a queue that does not exist, and says which ones do. */
export function checkQueue(store: Store, topic: string, queueId: number): void {
  const queues = store.queues(topic);
  if (queues.includes(queueId)) return;
  const known = queues.length > 0 ? `it has ${queues.join(", ")}` : "there is no such topic";
  throw new UsageError(`topic "${topic}" has no queue ${queueId}: ${known}`);
}

/**
 * Messages of a queue from an offset on, or from its smallest, as far as it reached when this began; a record that cannot
 * be read goes to the findings. `atATime`: messages that are read ahead.
 */
export function* queueMessages(
  store: Store,
  topic: string,
  queueId: number,
  queueOffset: number | undefined,
  output: Output,
  atATime: number = GET_MAX,
): Generator<StoredMessage> {
  const { min, max } = store.offsets(topic, queueId);
  let next = Math.max(queueOffset ?? min, min);
  while (next < max) {
    const at = next;
    try {
      const batch = store.get(topic, queueId, at, { max: Math.min(atATime, max - at), maxBytes: GET_BYTES });
      yield* batch.messages;
      next = Math.max(batch.nextOffset, at + 1);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "STORE_CORRUPT") throw error;
      const { file, offset, nextOffset } = error.details as { file?: string; offset?: number; nextOffset?: number };
      output.finding({ kind: "damaged", file: file ?? "", offset: offset ?? 0, length: 0, message: error.message });
      next = Math.max(nextOffset ?? 0, at + 1);
    }
  }
}
