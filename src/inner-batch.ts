/**
 * Inner batches: many messages in the body of one record, for topics with batch queues (store-format chapter 2.9). The
 * record's sysFlag has two bits that say so, its property INNER_NUM their number.
 */
import { types } from "node:util";
import { elementsOf } from "./arguments.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { type GroupMessage, PropertyName, SysFlag } from "./message.ts";
import { encodeWire, readWireBatch } from "./wire-batch.ts";

/** Most messages that a queue entry can say it has: a signed 16-bit number. */
const MAX_INNER_MESSAGES = 32_767;

/** Bits of sysFlag that every inner batch has. */
export const INNER_BATCH_FLAGS: number = SysFlag.innerBatch | SysFlag.unwrapBody;

/** An inner batch as a record has it. */
export interface InnerBatch {
  readonly body: Uint8Array;
  /** The property that tells the number of messages. */
  readonly property: Uint8Array;
}

/** Makes the body of a batch of messages, or counts those of a body that is there: `given` is the field `innerBatch`. */
export function innerBatch(given: unknown, body: unknown): InnerBatch {
  if (given === true) {
    if (!types.isUint8Array(body)) {
      throw argumentError(
        "body",
        `body is ${shown(body)}; with innerBatch: true it must be a batch in RocketMQ's wire form`,
      );
    }
    return counted(
      body,
      readWireBatch("body", body, () => {}),
    );
  }
  if (!Array.isArray(given)) {
    throw argumentError("innerBatch", `innerBatch is ${shown(given)}; it must be true, or an array of messages`);
  }
  if (body !== undefined) {
    throw argumentError("body", `body is ${shown(body)}; it is made of the messages in innerBatch, leave it out`);
  }
  // A copy: as many messages are counted as are written.
  const messages = elementsOf("innerBatch", given, MAX_INNER_MESSAGES) as GroupMessage[] | undefined;
  if (messages === undefined) throw tooMany();
  if (messages.length === 0)
    throw argumentError("innerBatch", "innerBatch is empty; it must have one message at least");
  return counted(encodeWire("innerBatch", messages), messages.length);
}

function counted(body: Uint8Array, count: number): InnerBatch {
  if (count > MAX_INNER_MESSAGES) throw tooMany();
  return { body, property: Buffer.from(`${PropertyName.innerNumber}\u0001${count}\u0002`) };
}

function tooMany(): StoreError {
  return new StoreError(
    "STORE_MESSAGE_TOO_LARGE",
    `innerBatch has more than ${MAX_INNER_MESSAGES} messages, which is the most that a batch queue can count`,
    { details: { argument: "innerBatch", maximum: MAX_INNER_MESSAGES } },
  );
}
