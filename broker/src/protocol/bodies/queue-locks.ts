/** LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42). */
import { type MessageQueue, readMessageQueue } from "./message-queue.ts";
import { readBody, readBoolean, readList, readText } from "./reading.ts";

export interface LockBatchRequestBody {
  readonly clientId: string;
  readonly consumerGroup: string;
  readonly mqSet: readonly MessageQueue[];
  readonly onlyThisBroker: boolean;
}

/** Of both: their requests are alike. */
export function readLockBatchRequest(bytes: Uint8Array): LockBatchRequestBody {
  const body = readBody(bytes);
  return {
    clientId: readText(body, "clientId"),
    consumerGroup: readText(body, "consumerGroup"),
    mqSet: readList(body, "mqSet", readMessageQueue),
    onlyThisBroker: readBoolean(body, "onlyThisBroker"),
  };
}

export interface LockBatchResponseBody {
  readonly lockOKMQSet: readonly MessageQueue[];
}
