import { BATCH_HEADER_BYTES } from "../../src/binding/contract.ts";

export interface PlainMessage {
  topic: string;
  queueId?: number;
  body: string;
  properties?: string;
}

/** A batch as native/core/src/batch.rs draws it, from messages between 127.0.0.1:1 and 127.0.0.1:2. */
export function batchOf(messages: readonly PlainMessage[]): Uint8Array {
  return Buffer.concat(
    messages.map(({ topic, queueId = 0, body, properties = "" }) => {
      const parts = [body, topic, properties].map((part) => Buffer.from(part));
      const used = parts.reduce((sum, part) => sum + part.length, BATCH_HEADER_BYTES);
      const message = Buffer.alloc(Math.ceil(used / 8) * 8);
      [message.length, ...parts.map((part) => part.length)].forEach((value, at) => {
        message.writeUInt32LE(value, 4 * at);
      });
      message.writeInt32LE(queueId, 16);
      message.writeDoubleLE(1_700_000_000_000, 32);
      message.set([127, 0, 0, 1, ...Array(12).fill(0), 1], 48);
      message.set([127, 0, 0, 1, ...Array(12).fill(0), 2], 68);
      Buffer.concat(parts).copy(message, BATCH_HEADER_BYTES);
      return message;
    }),
  );
}
