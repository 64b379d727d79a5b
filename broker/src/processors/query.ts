/** Messages by key and by place in the log: 12 and 33. */
import { type Store, type StoredMessage, StoreError } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { MAX_FRAME_BYTES } from "../protocol/frame.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { ReadGate } from "../services/read-gate.ts";
import type { Handlers, RequestContext } from "../transport/connection.ts";

export interface QueryParts {
  readonly store: Store;
  readonly reads: ReadGate;
  readonly config: BrokerConfig;
}

export function queryHandlers(parts: QueryParts): Handlers {
  return [
    [RequestCode.QUERY_MESSAGE, (request, context) => queryByKey(parts, request, context)],
    [RequestCode.VIEW_MESSAGE_BY_ID, (request, context) => viewByOffset(parts, request, context)],
  ];
}

/** Most messages of an answer, RocketMQ's `maxMsgsNumBatch`. */
const MAX_MESSAGES = 64;
/** Most bytes of messages in an answer, so that clients take its frame. */
const MAX_BYTES = MAX_FRAME_BYTES - 65_536;
/** Messages that the store is asked for at once, at most. */
const MAX_STEP = 16;

async function queryByKey(
  parts: QueryParts,
  request: Command,
  { connection }: RequestContext,
): Promise<Response | undefined> {
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const key = fields.text("key");
  const { config, reads } = parts;
  const asked = fields.boolean("_UNIQUE_KEY_QUERY") ? config.defaultQueryMaxNum : fields.int("maxNum");
  const begin = withinTime(fields.long("beginTimestamp"));
  const end = withinTime(fields.long("endTimestamp"));
  const max = Math.max(Math.min(asked, MAX_MESSAGES), 1);
  const found = await reads.read(connection, () => lookUp(parts, topic, key, { begin, end, max }), sizeOf);
  if (found === undefined) return undefined;
  const [newest] = found;
  // How far the index has come is not known: the newest message found is in it.
  const ext = {
    indexLastUpdateTimestamp: newest?.storeTimestamp ?? 0,
    indexLastUpdatePhyoffset: newest?.physicalOffset ?? 0,
  };
  if (newest !== undefined) return { code: ResponseCode.SUCCESS, ext, body: found.map(({ raw }) => raw) };
  return { code: ResponseCode.QUERY_NOT_FOUND, remark: "can not find message, maybe time range not correct", ext };
}

/**
 * The newest messages, as many as fit into an answer, one at least. The store gives whole messages: so that it never gives many
 * more bytes than fit, it is asked for a few, and for more of them as long as they are small. Others have their turn in between.
 */
async function lookUp(
  { store, config }: QueryParts,
  topic: string,
  key: string,
  { begin, end, max }: { begin: number; end: number; max: number },
): Promise<StoredMessage[]> {
  const step = Math.max(Math.min(Math.floor((2 * MAX_BYTES) / config.maxMessageSize), MAX_STEP), 1);
  for (let count = Math.min(step, max); ; count = Math.min(count + step, max)) {
    const found = ask(() => store.lookup(topic, key, { begin, end, max: count }));
    const fitting = thatFit(found);
    if (count === max || found.length < count || fitting.length < found.length) return fitting;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function ask<T>(question: () => T): T {
  try {
    return question();
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_INVALID_ARGUMENT") throw error;
    throw new RequestError(ResponseCode.INVALID_PARAMETER, error.message, { cause: error });
  }
}

function withinTime(timestamp: number): number {
  return Math.min(Math.max(timestamp, 0), Number.MAX_SAFE_INTEGER);
}

/** The first ones, one at least. */
function thatFit(messages: readonly StoredMessage[]): StoredMessage[] {
  let bytes = 0;
  const fitting = messages.findIndex(({ raw }, i) => {
    bytes += raw.length;
    return i > 0 && bytes > MAX_BYTES;
  });
  return messages.slice(0, fitting < 0 ? messages.length : fitting);
}

function sizeOf(messages: readonly StoredMessage[]): number {
  return messages.reduce((sum, { raw }) => sum + raw.length, 0);
}

async function viewByOffset(
  { store, reads }: QueryParts,
  request: Command,
  { connection }: RequestContext,
): Promise<Response | undefined> {
  const offset = new Fields(request.ext).long("offset");
  const isOffset = Number.isSafeInteger(offset) && offset >= 0;
  const found = isOffset
    ? await reads.read(connection, async () => ({ message: await store.fetchAt(offset) }), sizeOfOne)
    : { message: undefined };
  if (found === undefined) return undefined;
  const { message } = found;
  if (message !== undefined) return { code: ResponseCode.SUCCESS, body: message.raw };
  throw new RequestError(ResponseCode.SYSTEM_ERROR, `can not find message by the offset, ${offset}`);
}

function sizeOfOne({ message }: { readonly message: StoredMessage | undefined }): number {
  return message?.raw.length ?? 0;
}
