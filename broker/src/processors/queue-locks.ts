/** Queues that a consumer takes for itself, for messages in order: 41 and 42. */
import { answerJson, SUCCESS } from "../protocol/answers.ts";
import { type LockBatchResponseBody, readLockBatchRequest } from "../protocol/bodies/queue-locks.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { QueueLocks } from "../services/queue-locks.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers, RequestContext } from "../transport/connection.ts";
import { ownText } from "./own-text.ts";
import { isQueueOf } from "./queues.ts";

export interface QueueLockParts {
  readonly locks: QueueLocks;
  readonly topics: TopicTable;
}

/** Longest names that a lock is kept by: of a client, and of a group or a broker. */
const MAX_CLIENT_ID = 512;
const MAX_NAME = 255;

export function queueLockHandlers({ locks, topics }: QueueLockParts): Handlers {
  return [
    [RequestCode.LOCK_BATCH_MQ, (request, context) => lock(locks, topics, request, context)],
    [RequestCode.UNLOCK_BATCH_MQ, (request) => unlock(locks, request)],
  ];
}

/** Queues that there are not are nobody's: their locks would take memory for nothing. */
function lock(locks: QueueLocks, topics: TopicTable, request: Command, { connection }: RequestContext): Response {
  const { clientId, consumerGroup, mqSet } = readLockBatchRequest(request.body);
  if (clientId.length > MAX_CLIENT_ID || consumerGroup.length > MAX_NAME) {
    throw new RequestError(ResponseCode.INVALID_PARAMETER, "clientId or consumerGroup is too long");
  }
  const queues = mqSet
    .filter(({ topic, queueId, brokerName }) => isQueueOf(topics.get(topic), queueId) && brokerName.length <= MAX_NAME)
    .map(({ topic, queueId, brokerName }) => ({ topic: ownText(topic), queueId, brokerName: ownText(brokerName) }));
  const lockOKMQSet = locks.lock(ownText(consumerGroup), ownText(clientId), queues, connection.id);
  return answerJson({ lockOKMQSet } satisfies LockBatchResponseBody);
}

function unlock(locks: QueueLocks, request: Command): Response {
  const { clientId, consumerGroup, mqSet } = readLockBatchRequest(request.body);
  locks.unlock(consumerGroup, clientId, mqSet);
  return SUCCESS;
}
