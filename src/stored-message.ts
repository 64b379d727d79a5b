/**
 * A record of the commit log as an object: fields are decoded when they are touched (store-format chapter 2.1).
 *
 * The engine has checked the bytes. They belong to the caller all the same and may be written over, so nothing here
 * trusts a length in them further than the record reaches.
 */
import { inspect } from "node:util";
import { StoreError } from "./errors.ts";
import { addressText, hostText, offsetMessageId } from "./hosts.ts";
import { type Host, PropertyName, SysFlag } from "./message.ts";
import { decodeProperties, splitKeys } from "./properties.ts";

/** Places of the fields in front of the born host, the first one whose size varies. */
const At = {
  size: 0,
  magic: 4,
  bodyCrc: 8,
  queueId: 12,
  flag: 16,
  queueOffset: 20,
  physicalOffset: 28,
  sysFlag: 36,
  bornTimestamp: 40,
  bornHost: 48,
} as const;
/** Magic of records whose topic length has two bytes. */
const MAGIC_V2 = 0xdaa320ab | 0;
const PORT_BYTES = 4;
/** Bytes of the smallest record, with IPv4 hosts and nothing in it but its fields. */
const SMALLEST_RECORD_BYTES = 91;

/** Bytes that hold records, shared by the messages in them. */
export class RecordBytes {
  readonly bytes: Uint8Array;
  #text: Buffer | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  int8(at: number): number {
    return ((this.bytes[at] as number) << 24) >> 24;
  }

  int16(at: number): number {
    const { bytes } = this;
    return (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16)) >> 16;
  }

  int32(at: number): number {
    const { bytes } = this;
    return (
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
    );
  }

  /** The nearest double: exact up to 2^53. */
  int64(at: number): number {
    return this.int32(at) * 0x1_0000_0000 + (this.int32(at + 4) >>> 0);
  }

  /** Text of UTF-8 bytes; what is no UTF-8 reads as U+FFFD, as in Java. */
  text(from: number, to: number): string {
    const { bytes } = this;
    this.#text ??= Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#text.toString("utf8", from, to);
  }
}

/** Where the parts of a record lie, counted from the start of the bytes that hold it. */
interface Layout {
  /** Address bytes, 4 or 16. */
  readonly bornAddressBytes: number;
  readonly storeTimestamp: number;
  readonly storeHost: number;
  readonly storeAddressBytes: number;
  readonly reconsumeTimes: number;
  readonly body: number;
  readonly bodyEnd: number;
  readonly topic: number;
  readonly topicEnd: number;
  readonly properties: number;
}

/** The JSON form of a message, without its body: the names of `moraine dump --json`. */
export interface StoredMessageJson {
  physicalOffset: number;
  topic: string;
  queueId: number;
  queueOffset: number;
  size: number;
  bodyCrc: number;
  sysFlag: number;
  flag: number;
  bornTimestamp: number;
  /** `10.0.0.1:40001` or `[2001:db8::2]:40001`. */
  bornHost: string;
  storeTimestamp: number;
  storeHost: string;
  reconsumeTimes: number;
  preparedTransactionOffset: number;
  properties: Record<string, string>;
  bodySize: number;
}

/**
 * A message as it is stored. It owns its bytes (with `into`: it is a view on the caller's) and stays valid after the
 * store was closed.
 */
export class StoredMessage {
  readonly #record: RecordBytes;
  readonly #at: number;
  /** Bytes of the whole record. */
  readonly size: number;
  readonly #queueOffset: number;
  #layout: Layout | undefined;
  #body: Uint8Array | undefined;
  #topic: string | undefined;
  #properties: Map<string, string> | undefined;
  #keys: string[] | undefined;

  /** `queueOffset`: where the message was found in its queue; without it, what its record says. */
  constructor(record: RecordBytes, at: number, size: number, queueOffset?: number) {
    this.#record = record;
    this.#at = at;
    this.size = size;
    this.#queueOffset = queueOffset ?? record.int64(at + At.queueOffset);
  }

  /** Place in its queue. */
  get queueOffset(): number {
    return this.#queueOffset;
  }

  get topic(): string {
    if (this.#topic === undefined) {
      const { topic, topicEnd } = this.#parts();
      this.#topic = this.#record.text(topic, topicEnd);
    }
    return this.#topic;
  }

  get queueId(): number {
    return this.#record.int32(this.#at + At.queueId);
  }

  /** The body as stored (compressed, if `sysFlag` says so), a view on the bytes of the record. */
  get body(): Uint8Array {
    if (this.#body === undefined) {
      const { body, bodyEnd } = this.#parts();
      this.#body = this.#record.bytes.subarray(body, bodyEnd);
    }
    return this.#body;
  }

  /** The property TAGS. */
  get tags(): string | undefined {
    return this.properties.get(PropertyName.tags);
  }

  /** The words of the property KEYS. */
  get keys(): readonly string[] {
    this.#keys ??= splitKeys(this.properties.get(PropertyName.keys) ?? "");
    return this.#keys;
  }

  /** All properties by RocketMQ's rules of decoding, TAGS, KEYS and `__CRC32#` among them. */
  get properties(): ReadonlyMap<string, string> {
    if (this.#properties === undefined) {
      const text = this.#record.text(this.#parts().properties, this.#at + this.size);
      this.#properties = decodeProperties(text);
    }
    return this.#properties;
  }

  /** Light queues that the message went to beside its own: the names in the property INNER_MULTI_DISPATCH. */
  get multiDispatch(): string[] {
    const names = this.properties.get(PropertyName.multiDispatch) ?? "";
    return names.split(",").filter((name) => name !== "");
  }

  /** Whether the body is a batch of messages: the bit of `sysFlag` for it. */
  get innerBatch(): boolean {
    return (this.sysFlag & SysFlag.innerBatch) !== 0;
  }

  get flag(): number {
    return this.#record.int32(this.#at + At.flag);
  }

  get sysFlag(): number {
    return this.#record.int32(this.#at + At.sysFlag);
  }

  /** 31-bit CRC of the body. */
  get bodyCrc(): number {
    return this.#record.int32(this.#at + At.bodyCrc);
  }

  /** Byte position in the commit log. */
  get physicalOffset(): number {
    return this.#record.int64(this.#at + At.physicalOffset);
  }

  /** Behind the record in the commit log. */
  get endOffset(): number {
    return this.physicalOffset + this.size;
  }

  get bornTimestamp(): number {
    return this.#record.int64(this.#at + At.bornTimestamp);
  }

  get bornHost(): Host {
    return this.#host(this.#at + At.bornHost, this.#parts().bornAddressBytes);
  }

  get storeTimestamp(): number {
    return this.#record.int64(this.#parts().storeTimestamp);
  }

  get storeHost(): Host {
    const { storeHost, storeAddressBytes } = this.#parts();
    return this.#host(storeHost, storeAddressBytes);
  }

  get reconsumeTimes(): number {
    return this.#record.int32(this.#parts().reconsumeTimes);
  }

  get preparedTransactionOffset(): number {
    return this.#record.int64(this.#parts().reconsumeTimes + 4);
  }

  /** RocketMQ's id of the message: store host and physical offset. */
  get offsetMsgId(): string {
    const { storeHost, storeAddressBytes } = this.#parts();
    const address = this.#record.bytes.subarray(storeHost, storeHost + storeAddressBytes);
    return offsetMessageId(address, this.#record.int32(storeHost + storeAddressBytes), this.physicalOffset);
  }

  /** The whole record, as a broker sends it. */
  get raw(): Uint8Array {
    return this.#record.bytes.subarray(this.#at, this.#at + this.size);
  }

  toJSON(): StoredMessageJson {
    return {
      physicalOffset: this.physicalOffset,
      topic: this.topic,
      queueId: this.queueId,
      queueOffset: this.queueOffset,
      size: this.size,
      bodyCrc: this.bodyCrc,
      sysFlag: this.sysFlag,
      flag: this.flag,
      bornTimestamp: this.bornTimestamp,
      bornHost: hostText(this.bornHost),
      storeTimestamp: this.storeTimestamp,
      storeHost: hostText(this.storeHost),
      reconsumeTimes: this.reconsumeTimes,
      preparedTransactionOffset: this.preparedTransactionOffset,
      properties: Object.fromEntries(this.properties),
      bodySize: this.body.length,
    };
  }

  #host(at: number, addressBytes: number): Host {
    return {
      address: addressText(this.#record.bytes, at, addressBytes === 16),
      port: this.#record.int32(at + addressBytes),
    };
  }

  #parts(): Layout {
    this.#layout ??= layoutOf(this.#record, this.#at, this.size);
    return this.#layout;
  }
}

// Fields that are decoded when touched are getters, which `console.log` would not show.
Object.defineProperty(StoredMessage.prototype, inspect.custom, {
  value(this: StoredMessage): object {
    return { ...this.toJSON(), body: this.body };
  },
});

function layoutOf(record: RecordBytes, at: number, size: number): Layout {
  const sysFlag = record.int32(at + At.sysFlag);
  const bornAddressBytes = (sysFlag & SysFlag.bornHostV6) === 0 ? 4 : 16;
  const storeAddressBytes = (sysFlag & SysFlag.storeHostV6) === 0 ? 4 : 16;
  const storeTimestamp = at + At.bornHost + bornAddressBytes + PORT_BYTES;
  const storeHost = storeTimestamp + 8;
  const reconsumeTimes = storeHost + storeAddressBytes + PORT_BYTES;
  const body = reconsumeTimes + 4 + 8 + 4;
  const bodyEnd = body + record.int32(body - 4);
  const isV2 = record.int32(at + At.magic) === MAGIC_V2;
  const topic = bodyEnd + (isV2 ? 2 : 1);
  const topicEnd = topic + (isV2 ? record.int16(bodyEnd) : record.int8(bodyEnd));
  const properties = topicEnd + 2;
  const end = properties + record.int16(topicEnd);
  const inOrder = body <= bodyEnd && topic <= topicEnd && properties <= end;
  if (!inOrder || end !== at + size || end > record.bytes.length) {
    throw new StoreError("STORE_CORRUPT", "the bytes of this message are no record any more: they were written over", {
      details: { reason: "lengths do not add up" },
    });
  }
  return {
    bornAddressBytes,
    storeTimestamp,
    storeHost,
    storeAddressBytes,
    reconsumeTimes,
    body,
    bodyEnd,
    topic,
    topicEnd,
    properties,
  };
}

/** Messages that stand in `bytes` one behind the other, in as many lists as `counts` has lengths for, of which the first `lists` count. */
export function messagesByCount(bytes: Uint8Array, counts: Float64Array, lists: number): StoredMessage[][] {
  const messages = messagesIn(bytes);
  let end = 0;
  return Array.from({ length: lists }, (_, list) => {
    const start = end;
    end += counts[list] as number;
    return messages.slice(start, end);
  });
}

/**
 * Messages that stand in `bytes` one behind the other. `queueOffsets` has the place of each in its queue, or is that of the
 * first, behind which the others follow; without it the records' own are taken.
 */
export function messagesIn(bytes: Uint8Array, queueOffsets?: Float64Array | number): StoredMessage[] {
  const record = new RecordBytes(bytes);
  const messages: StoredMessage[] = [];
  let at = 0;
  while (at + SMALLEST_RECORD_BYTES <= bytes.length) {
    const size = record.int32(at + At.size);
    if (size < SMALLEST_RECORD_BYTES || at + size > bytes.length) break;
    const place = messages.length;
    const queueOffset = typeof queueOffsets === "number" ? queueOffsets + place : queueOffsets?.[place];
    messages.push(new StoredMessage(record, at, size, queueOffset));
    at += size;
  }
  return messages;
}
