/** The same messages by columns. */
import {
  encodeMessages,
  type Host,
  type InnerBatchMessage,
  type Message,
  type MessageColumns,
} from "../../src/index.ts";
import { INNER_BATCH } from "./inner-batch.ts";

/** The property string that a message has before the store adds to it. */
function propertiesOf({ tags, keys, multiDispatch, properties, innerBatch }: Message | InnerBatchMessage): Buffer {
  const pairs: [name: string, value: string][] = [];
  if (tags !== undefined) pairs.push(["TAGS", tags]);
  if (keys !== undefined && keys.length > 0) pairs.push(["KEYS", keys.join(" ")]);
  if (multiDispatch !== undefined && multiDispatch.length > 0) {
    pairs.push(["INNER_MULTI_DISPATCH", multiDispatch.join(",")]);
  }
  if (properties instanceof Map) pairs.push(...properties);
  else if (!(properties instanceof Uint8Array)) pairs.push(...Object.entries(properties ?? {}));
  const own = Buffer.from(pairs.map(([name, value]) => `${name}\u0001${value}\u0002`).join(""));
  const given = properties instanceof Uint8Array ? properties : Buffer.alloc(0);
  const number = Array.isArray(innerBatch) ? `INNER_NUM\u0001${innerBatch.length}\u0002` : "";
  return Buffer.concat([own, given, Buffer.from(number)]);
}

/** Columns of messages, which all have the store host of the first. Between their parts lie bytes of nobody. */
export function columnsOf(messages: readonly (Message | InnerBatchMessage)[]): MessageColumns {
  const parts: Uint8Array[] = [];
  let end = 0;
  const placed = (part: Uint8Array): [number, number] => {
    parts.push(Buffer.from("?"), part);
    end += 1 + part.length;
    return [end - part.length, end];
  };
  const topics = [...new Set(messages.map(({ topic }) => topic))];
  const hosts: Host[] = [{ address: "127.0.0.1", port: 0 }];
  const hostOf = (host: Host | undefined): number => (host === undefined ? 0 : hosts.push(host) - 1);
  const bodies = messages.flatMap(({ body, innerBatch }) => placed(body ?? encodeMessages(innerBatch as [])));
  const properties = messages.flatMap((message) => placed(propertiesOf(message)));
  const sysFlags = messages.map(
    ({ sysFlag = 0, innerBatch }) => sysFlag | (innerBatch === undefined ? 0 : INNER_BATCH),
  );
  return {
    topics,
    bytes: Buffer.concat(parts),
    queueIds: Int32Array.from(messages, ({ queueId }) => queueId),
    bodies: Uint32Array.from(bodies),
    properties: Uint32Array.from(properties),
    topicOf: Uint32Array.from(messages, ({ topic }) => topics.indexOf(topic)),
    bornHostOf: Uint32Array.from(messages, ({ bornHost }) => hostOf(bornHost)),
    bornHosts: hosts,
    storeHost: messages[0]?.storeHost,
    flags: Int32Array.from(messages, ({ flag = 0 }) => flag),
    sysFlags: Int32Array.from(sysFlags),
    reconsumeTimes: Int32Array.from(messages, ({ reconsumeTimes = 0 }) => reconsumeTimes),
    preparedTransactionOffsets: Float64Array.from(messages, (each) => each.preparedTransactionOffset ?? 0),
    bornTimestamps: Float64Array.from(messages, ({ bornTimestamp = 0 }) => bornTimestamp),
  };
}

/** `count` messages of five bytes each to `orders`, queue 0; `fields` replace columns. */
export function plainColumns(count: number, fields: Partial<MessageColumns> = {}): MessageColumns {
  return {
    topics: ["orders"],
    queueIds: new Int32Array(count),
    bytes: Buffer.from(Array.from({ length: count }, (_, i) => `m${String(i).padStart(4, "0")}`).join("")),
    bodies: Uint32Array.from({ length: 2 * count }, (_, i) => ((i + 1) >> 1) * 5),
    ...fields,
  };
}
