/** Messages by key and by place in the log: 12 and 33. */
import { type Store, type StoredMessage, StoreError } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { MAX_FRAME_BYTES } from "../protocol/frame.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Handlers } from "../transport/connection.ts";

export interface QueryParts {
  readonly store: Store;
  readonly config: BrokerConfig;
}

export function queryHandlers(parts: QueryParts): Handlers {
  return [
    [RequestCode.QUERY_MESSAGE, (request) => queryByKey(parts, request)],
    [RequestCode.VIEW_MESSAGE_BY_ID, (request) => viewByOffset(parts.store, request)],
  ];
}

/** Most messages of an answer, RocketMQ's `maxMsgsNumBatch`. */
const MAX_MESSAGES = 64;
/** Most bytes of messages in an answer, so that clients take its frame. */
const MAX_BYTES = MAX_FRAME_BYTES - 65_536;

function queryByKey({ store, config }: QueryParts, request: Command): Response {
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const key = fields.text("key");
  const asked = fields.boolean("_UNIQUE_KEY_QUERY") ? config.defaultQueryMaxNum : fields.int("maxNum");
  const begin = withinTime(fields.long("beginTimestamp"));
  const end = withinTime(fields.long("endTimestamp"));
  const max = Math.max(Math.min(asked, MAX_MESSAGES), 1);
  const found = lookUp(store, topic, key, { begin, end, max });
  const [newest] = found;
  // How far the index has come is not known: the newest message found is in it.
  const ext = {
    indexLastUpdateTimestamp: newest?.storeTimestamp ?? 0,
    indexLastUpdatePhyoffset: newest?.physicalOffset ?? 0,
  };
  if (newest !== undefined) return { code: ResponseCode.SUCCESS, ext, body: thatFit(found) };
  return { code: ResponseCode.QUERY_NOT_FOUND, remark: "can not find message, maybe time range not correct", ext };
}

function lookUp(
  store: Store,
  topic: string,
  key: string,
  options: { begin: number; end: number; max: number },
): StoredMessage[] {
  try {
    return store.lookup(topic, key, options);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_INVALID_ARGUMENT") throw error;
    throw new RequestError(ResponseCode.INVALID_PARAMETER, error.message, { cause: error });
  }
}

function withinTime(timestamp: number): number {
  return Math.min(Math.max(timestamp, 0), Number.MAX_SAFE_INTEGER);
}

/** The records of the first ones, one at least. */
function thatFit(messages: readonly StoredMessage[]): Uint8Array[] {
  const records: Uint8Array[] = [];
  let bytes = 0;
  for (const { raw } of messages) {
    bytes += raw.length;
    if (records.length > 0 && bytes > MAX_BYTES) break;
    records.push(raw);
  }
  return records;
}

async function viewByOffset(store: Store, request: Command): Promise<Response> {
  const offset = new Fields(request.ext).long("offset");
  const isOffset = Number.isSafeInteger(offset) && offset >= 0;
  const message = isOffset ? await store.fetchAt(offset) : undefined;
  if (message !== undefined) return { code: ResponseCode.SUCCESS, body: message.raw };
  throw new RequestError(ResponseCode.SYSTEM_ERROR, `can not find message by the offset, ${offset}`);
}
