/** Answers to those who sent a message. */
import type { PutResult, PutResults } from "moraine";
import type { BrokerConfig } from "../../config/broker-config.ts";
import type { Response } from "../../protocol/command.ts";
import type { OffsetMessageIds } from "../../protocol/message-ids.ts";
import type { RequestError } from "../../protocol/request-error.ts";

/** Where the messages of a request stand. */
export interface Stored {
  readonly physicalOffsets: Iterable<number>;
  /** Of the first message. */
  readonly queueOffset: number;
  readonly endOffset: number;
  readonly messages: number;
  readonly bytes: number;
}

export function storedOne({ physicalOffset, queueOffset, endOffset, size }: PutResult): Stored {
  return { physicalOffsets: [physicalOffset], queueOffset, endOffset, messages: 1, bytes: size };
}

export function storedMany(results: PutResults): Stored {
  return {
    physicalOffsets: results.physicalOffsets,
    queueOffset: results.queueOffsets[0] as number,
    endOffset: results.endOffset,
    messages: results.count,
    bytes: results.sizes.reduce((sum, size) => sum + size, 0),
  };
}

export interface Sent {
  readonly stored: Stored;
  /** The queue that was asked for, or chosen: of a delayed message, too. */
  readonly queueId: number;
  readonly transactionId: string | undefined;
  readonly batchUniqId: string | undefined;
}

export function sentAnswer(code: number, sent: Sent, ids: OffsetMessageIds, config: BrokerConfig): Response {
  const { stored, queueId, transactionId, batchUniqId } = sent;
  let msgId = "";
  for (const offset of stored.physicalOffsets) msgId += msgId === "" ? ids.of(offset) : `,${ids.of(offset)}`;
  const { queueOffset } = stored;
  return {
    code,
    ext: {
      MSG_REGION: config.regionId,
      TRACE_ON: config.traceOn,
      batchUniqId,
      msgId,
      queueId,
      queueOffset,
      transactionId,
    },
  };
}

/** Clients look for the region and the trace switch in refusals, too. */
export function refusedAnswer({ code, message }: RequestError, config: BrokerConfig): Response {
  return { code, remark: message, ext: { MSG_REGION: config.regionId, TRACE_ON: config.traceOn } };
}
