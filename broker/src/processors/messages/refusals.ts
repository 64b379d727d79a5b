/** Why a message is not taken, in RocketMQ's codes and words. */
import { StoreError } from "moraine";
import { ResponseCode } from "../../protocol/codes.ts";
import { RequestError } from "../../protocol/request-error.ts";

/** Where RocketMQ sends those who are refused. */
export const HELP = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";

/** The error that a client is told for one of the store; what is none of the store is passed on as it is. */
export function storeRefusal(error: unknown, maxMessageBytes: number): unknown {
  if (!(error instanceof StoreError)) return error;
  switch (error.code) {
    case "STORE_BUSY":
      return new RequestError(
        ResponseCode.SYSTEM_BUSY,
        "[PC_SYNCHRONIZED]broker busy, start flow control for a while",
        { cause: error },
      );
    case "STORE_MESSAGE_TOO_LARGE":
    case "STORE_INVALID_ARGUMENT":
      return illegalMessage(maxMessageBytes, error);
    default:
      return new RequestError(
        ResponseCode.SERVICE_NOT_AVAILABLE,
        "service not available now. It may be caused by one of the following reasons: the broker's disk is full, " +
          `messages are put to the slave, message store has been shut down, etc. (${error.code})`,
        { cause: error },
      );
  }
}

export function illegalMessage(maxMessageBytes: number, cause?: Error): RequestError {
  const why = cause === undefined ? "" : ` (${cause.message})`;
  return new RequestError(
    ResponseCode.MESSAGE_ILLEGAL,
    "the message is illegal, maybe msg body or properties length not matched. " +
      `msg body length limit ${maxMessageBytes}B, msg properties length limit 32KB.${why}`,
    { cause },
  );
}

export function transactionRefusal(brokerAddress: string): RequestError {
  return new RequestError(
    ResponseCode.NO_PERMISSION,
    `the broker[${brokerAddress}] sending transaction message is forbidden`,
  );
}

export function timerRefusal(): RequestError {
  return new RequestError(
    ResponseCode.SYSTEM_ERROR,
    "accurate timer message is not enabled, timerWheelEnable is false",
  );
}

/** RocketMQ passes light queues over where they are switched off, but the store would make them. */
export function lightQueueRefusal(): RequestError {
  return new RequestError(
    ResponseCode.SYSTEM_ERROR,
    "this broker has no light queues; send the message without INNER_MULTI_DISPATCH",
  );
}

/** Topics of which RocketMQ keeps the last message of each key. The store does not write them: one that waited would be lost. */
export function compactionRefusal(topic: string, keys: string): RequestError {
  const remark =
    keys.trim() === ""
      ? "Required message key is missing"
      : `topic[${topic}] has cleanup.policy=COMPACTION, which this broker does not write`;
  return new RequestError(ResponseCode.MESSAGE_ILLEGAL, remark);
}

/** A light queue is no topic: nothing can be sent to it by itself. */
export function lightTopicRefusal(topic: string): RequestError {
  return new RequestError(ResponseCode.MESSAGE_ILLEGAL, `topic[${topic}] is a light queue, which this broker has not`);
}

export function missingGroup(group: string): RequestError {
  return new RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group not exist, ${group} ${HELP}`);
}

export function missingTopic(topic: string): RequestError {
  return new RequestError(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist, apply first please!${HELP}`);
}
