/** Queues that a consumer takes for itself, for messages in order: 41 and 42. */
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { parseBody } from "../protocol/json.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { QueueLocks } from "../services/queue-locks.ts";
import type { Handlers } from "../transport/connection.ts";
import { answerJson, SUCCESS } from "./answers.ts";
import { listIn, membersOf, textIn } from "./entries.ts";
import type { MessageQueue } from "./queues.ts";

export interface QueueLockParts {
  readonly locks: QueueLocks;
}

interface LockRequest {
  readonly clientId: string;
  readonly group: string;
  readonly queues: readonly MessageQueue[];
}

export function queueLockHandlers({ locks }: QueueLockParts): Handlers {
  return [
    [RequestCode.LOCK_BATCH_MQ, (request) => lock(locks, request)],
    [RequestCode.UNLOCK_BATCH_MQ, (request) => unlock(locks, request)],
  ];
}

function lock(locks: QueueLocks, request: Command): Response {
  const { clientId, group, queues } = readLockRequest(request);
  return answerJson({ lockOKMQSet: locks.lock(group, clientId, queues) });
}

function unlock(locks: QueueLocks, request: Command): Response {
  const { clientId, group, queues } = readLockRequest(request);
  locks.unlock(group, clientId, queues);
  return SUCCESS;
}

function readLockRequest({ body }: Command): LockRequest {
  const json = parseBody(body);
  return {
    clientId: textIn(json, "clientId"),
    group: textIn(json, "consumerGroup"),
    queues: listIn(json, "mqSet").map(readQueue),
  };
}

function readQueue(json: unknown): MessageQueue {
  const { queueId } = membersOf(json);
  if (typeof queueId !== "number" || !Number.isSafeInteger(queueId)) {
    throw new RequestError(ResponseCode.INVALID_PARAMETER, "queueId of a queue in the body is not an integer");
  }
  return { brokerName: textIn(json, "brokerName"), queueId, topic: textIn(json, "topic") };
}
