/** Queues that a consumer takes for itself, for messages in order: 41 and 42. */
import { type LockBatchResponseBody, readLockBatchRequest } from "../protocol/bodies/queue-locks.ts";
import { RequestCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import type { QueueLocks } from "../services/queue-locks.ts";
import type { Handlers } from "../transport/connection.ts";
import { answerJson, SUCCESS } from "./answers.ts";

export interface QueueLockParts {
  readonly locks: QueueLocks;
}

export function queueLockHandlers({ locks }: QueueLockParts): Handlers {
  return [
    [RequestCode.LOCK_BATCH_MQ, (request) => lock(locks, request)],
    [RequestCode.UNLOCK_BATCH_MQ, (request) => unlock(locks, request)],
  ];
}

function lock(locks: QueueLocks, request: Command): Response {
  const { clientId, consumerGroup, mqSet } = readLockBatchRequest(request.body);
  return answerJson({ lockOKMQSet: locks.lock(consumerGroup, clientId, mqSet) } satisfies LockBatchResponseBody);
}

function unlock(locks: QueueLocks, request: Command): Response {
  const { clientId, consumerGroup, mqSet } = readLockBatchRequest(request.body);
  locks.unlock(consumerGroup, clientId, mqSet);
  return SUCCESS;
}
