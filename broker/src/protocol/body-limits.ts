/** How large the body of a request may be: what is parsed is parsed at once, and nothing else is served meanwhile. */
import { RequestCode } from "./codes.ts";
import { MAX_FRAME_BYTES } from "./frame.ts";

const MAX_BODY_BYTES = 1_048_576;

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

/** In bytes, by the code of the request. */
export function maxBodyBytes(code: number): number {
  return LARGE.has(code) ? MAX_FRAME_BYTES : MAX_BODY_BYTES;
}
