/** Batch topics, and inner batches as a client makes them: one message whose body holds several. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Message } from "../../src/index.ts";

/** `sysFlag` of an inner batch: it is one, and a consumer is to unwrap it. */
export const INNER_BATCH = 0xc0;

/** RocketMQ's wire form of messages (docs/store-format.md §2.9). */
export function wireBatch(bodies: readonly Uint8Array[], properties = ""): Uint8Array {
  const parts = bodies.map((body) => {
    const text = Buffer.from(properties);
    const part = Buffer.alloc(22 + body.length + text.length);
    part.writeInt32BE(part.length, 0);
    part.writeInt32BE(body.length, 16);
    part.set(body, 20);
    part.writeInt16BE(text.length, 20 + body.length);
    part.set(text, 22 + body.length);
    return part;
  });
  return Buffer.concat(parts);
}

/** An inner batch; `fields` replace its own. */
export function innerBatch(
  topic: string,
  queueId: number,
  bodies: readonly Uint8Array[],
  fields: Partial<Message> = {},
): Message {
  const properties = { ...(fields.properties as Record<string, string>), INNER_NUM: String(bodies.length) };
  return { topic, queueId, sysFlag: INNER_BATCH, body: wireBatch(bodies), ...fields, properties };
}

/** Writes RocketMQ's topic table: the topics have these attributes. */
export function writeTopics(directory: string, topics: Record<string, Record<string, string>>): void {
  const entries = Object.entries(topics).map(([topicName, attributes]) => [
    topicName,
    { attributes, order: false, perm: 6, readQueueNums: 2, topicName, topicSysFlag: 0, writeQueueNums: 2 },
  ]);
  const table = { dataVersion: { counter: 1 }, topicConfigTable: Object.fromEntries(entries) };
  mkdirSync(join(directory, "config"), { recursive: true });
  writeFileSync(join(directory, "config/topics.json"), JSON.stringify(table));
}

/** The attributes of a topic with batch queues. */
export const BATCH_QUEUES: Record<string, string> = { "queue.type": "BatchCQ" };
