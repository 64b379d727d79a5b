/** Messages as columns: what a broker has from the wire, without an object for each message. */
import type { Host } from "./message.ts";

/**
 * Messages to be stored, one behind the other: message `i` is made of the `i`th value of each column. Bodies and property
 * strings stand in `bytes`, where they came from the wire, and go from there to the log. Nothing is kept after the call.
 *
 * ```ts
 * const bytes = Buffer.from("hello" + "world");
 * store.putColumns({
 *   topics: ["orders"],
 *   queueIds: Int32Array.of(0, 1),
 *   bytes,
 *   bodies: Uint32Array.of(0, 5, 5, 10),
 * });
 * ```
 */
export interface MessageColumns {
  /** Topics that the messages go to; as in `Message`. */
  readonly topics: readonly string[];
  /** Queue of each message, from 0. The length of this column is the number of messages. */
  readonly queueIds: Int32Array;
  /** What `bodies` and `properties` point into. */
  readonly bytes: Uint8Array;
  /** Two numbers a message: where its body begins in `bytes`, and where it ends. */
  readonly bodies: Uint32Array;
  /** Two numbers a message: where its property string (store-format chapter 2.4) begins in `bytes`, and where it ends. Default: none. */
  readonly properties?: Uint32Array | undefined;
  /** Place of each message's topic in `topics`. Default: all go to the first. */
  readonly topicOf?: Uint32Array | undefined;
  /** Who made the messages. Default: 127.0.0.1, port 0. */
  readonly bornHosts?: readonly Host[] | undefined;
  /** Place of each message's host in `bornHosts`. Default: the first. */
  readonly bornHostOf?: Uint32Array | undefined;
  /** The broker that stores them. Default: 127.0.0.1, port 10911. */
  readonly storeHost?: Host | undefined;
  /** Default: 0. */
  readonly flags?: Int32Array | undefined;
  /** The two bits for IPv6 hosts follow from the addresses. Default: 0. */
  readonly sysFlags?: Int32Array | undefined;
  /** Default: 0. */
  readonly reconsumeTimes?: Int32Array | undefined;
  /** Physical offsets of the half messages that these commit. Default: 0. */
  readonly preparedTransactionOffsets?: Float64Array | undefined;
  /** Milliseconds since the epoch. Default: now. */
  readonly bornTimestamps?: Float64Array | undefined;
}
