/** How large the body of a request may be: what is parsed is parsed at once, and nothing else is served meanwhile. */
import { RequestCode } from "./codes.ts";
import { MAX_FRAME_BYTES } from "./frame.ts";

const MAX_BODY_BYTES = 1_048_576;
/** An ordered consumer names each queue that it has: 10,000 of them with names of usual lengths, and as many again. */
const MAX_QUEUES_BYTES = 4_194_304;

/** Bodies that are messages, or lists of all topics or groups. */
const LARGE: ReadonlySet<number> = new Set([
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE,
  RequestCode.SEND_REPLY_MESSAGE,
  RequestCode.SEND_REPLY_MESSAGE_V2,
  RequestCode.CONSUMER_SEND_MSG_BACK,
  RequestCode.REGISTER_BROKER,
  RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
  RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
]);

/** Bodies that name queues. */
const OF_QUEUES: ReadonlySet<number> = new Set([RequestCode.LOCK_BATCH_MQ, RequestCode.UNLOCK_BATCH_MQ]);

/** In bytes, by the code of the request. */
export function maxBodyBytes(code: number): number {
  if (LARGE.has(code)) return MAX_FRAME_BYTES;
  return OF_QUEUES.has(code) ? MAX_QUEUES_BYTES : MAX_BODY_BYTES;
}
