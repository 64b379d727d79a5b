/** An IPv4 or IPv6 address as text, and a port from 0 to 65535. */
export interface Host {
  readonly address: string;
  readonly port: number;
}

/**
 * A message to be stored.
 *
 * Everything is copied before a call returns: what happens to the object or its body afterwards does not matter.
 *
 * ```ts
 * store.put({ topic: "orders", queueId: 0, tags: "paid", keys: ["o-1"], body: Buffer.from("…") });
 * ```
 */
export interface Message {
  /** 1 to 127 characters of letters, digits, `%`, `|`, `-` and `_`; 255 after `%RETRY%` or `%DLQ%`. */
  readonly topic: string;
  /** 0 to 2^31 - 1. RocketMQ uses small numbers, counted from 0. */
  readonly queueId: number;
  /** At most `maxMessageBytes`; may be empty. */
  readonly body: Uint8Array;
  /** Stored as the property TAGS; not empty. */
  readonly tags?: string | undefined;
  /** Stored as the property KEYS, divided by spaces, each found by `lookup`; none is empty or has a space. */
  readonly keys?: readonly string[] | undefined;
  /**
   * Written behind TAGS and KEYS in the order given; a property `__CRC32#` is left to the store. Names and values are
   * not empty and have no character U+0002, names no U+0001. Bytes are a property string as it came from the wire.
   */
  readonly properties?: Readonly<Record<string, string>> | ReadonlyMap<string, string> | Uint8Array | undefined;
  /** Of the application: any 32-bit integer. Default 0. */
  readonly flag?: number | undefined;
  /** RocketMQ's MessageSysFlag. The two bits for IPv6 hosts follow from the addresses. Default 0. */
  readonly sysFlag?: number | undefined;
  /** Milliseconds since the epoch. Default: now. */
  readonly bornTimestamp?: number | undefined;
  /** Who made the message. Default 127.0.0.1, port 0. */
  readonly bornHost?: Host | undefined;
  /** The broker that stores it; part of `offsetMsgId`. Default 127.0.0.1, port 10911 (RocketMQ's). */
  readonly storeHost?: Host | undefined;
  /** Default 0. */
  readonly reconsumeTimes?: number | undefined;
  /** Physical offset of the half message that this one commits. Default 0. */
  readonly preparedTransactionOffset?: number | undefined;
  /**
   * Light queues that the message goes to beside its own, each at its next offset: names that begin with `%LMQ%`, each
   * once. Such a queue is read as the queue 0 of the topic with this name. Stored as INNER_MULTI_DISPATCH behind KEYS;
   * the store adds INNER_MULTI_QUEUE_OFFSET. The whole record has at most `maxMessageBytes` then.
   */
  readonly multiDispatch?: readonly string[] | undefined;
  /**
   * `true`: the body is a batch of messages in RocketMQ's wire form (`encodeMessages`), to be stored as one record for a
   * topic with batch queues. `sysFlag` gets the two bits for it, and the property INNER_NUM tells their number.
   */
  readonly innerBatch?: true | undefined;
}

/** A message whose body is made of others: as with `innerBatch: true`, from the messages instead of their wire form. */
export interface InnerBatchMessage extends Omit<Message, "body" | "innerBatch"> {
  readonly body?: undefined;
  /** 1 to 32,767. */
  readonly innerBatch: readonly GroupMessage[];
}

/** A message of a group or of a batch body: what RocketMQ's wire form has a place for (store-format chapter 2.9). */
export interface GroupMessage {
  readonly body: Uint8Array;
  readonly tags?: Message["tags"];
  readonly keys?: Message["keys"];
  readonly properties?: Message["properties"];
  readonly flag?: number | undefined;
  /** That of the group, where it is given at all. */
  readonly topic?: string | undefined;
  /** That of the group, where it is given at all. */
  readonly queueId?: number | undefined;
}

/** What all messages of a group share; defaults as in `Message`. */
export interface GroupOptions {
  /** No transaction type. */
  readonly sysFlag?: number | undefined;
  readonly bornTimestamp?: number | undefined;
  readonly bornHost?: Host | undefined;
  readonly storeHost?: Host | undefined;
  readonly reconsumeTimes?: number | undefined;
  /**
   * Properties of the group itself, written behind those of each message, as RocketMQ 4.9 to 5.3 do. Default: none.
   * A message that is an object has none of the same names. One of a wire batch may, as RocketMQ's brokers take it: its
   * record has both then, and who reads it finds that of the group.
   */
  readonly properties?: Message["properties"];
}

/** Bits of a message's `sysFlag`. */
export const SysFlag = {
  /** The born host has 16 address bytes. */
  bornHostV6: 0x10,
  /** The store host has 16 address bytes. */
  storeHostV6: 0x20,
  /** The client unwraps the body. */
  unwrapBody: 0x40,
  /** The body is a batch of messages. */
  innerBatch: 0x80,
} as const;

/** Names of the properties that have fields of their own. */
export const PropertyName = {
  tags: "TAGS",
  keys: "KEYS",
  /** Level of a message that waits for its delivery time. */
  delay: "DELAY",
  multiDispatch: "INNER_MULTI_DISPATCH",
  /** Number of messages in an inner batch. */
  innerNumber: "INNER_NUM",
  /** The whole-record CRC, always the last. */
  recordCrc: "__CRC32#",
} as const;

/** Longest property string of a record, whose length is a signed 16-bit number. */
export const MAX_PROPERTIES_BYTES = 32_767;
