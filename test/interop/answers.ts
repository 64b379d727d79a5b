/** Whether a store answers every question as RocketMQ does. */
import { expect } from "vitest";
import type { Store } from "../../src/index.ts";
import { type Expected, hasKey, type TimeLine } from "./expected.ts";

/** RocketMQ answers a key query with so many offsets at most. */
const JAVA_KEY_LIMIT = 64;

/** Compares `offsets`, `entries`, `get`, `offsetByTime` and `lookup` with what RocketMQ answered; `others` are queues not asked of. */
export function expectSameAnswers(store: Store, expected: Expected, others: ReadonlySet<string> = new Set()): void {
  expectSameQueues(store, expected, others);
  expectSameGets(store, expected);
  expectSameTimes(store, expected);
  expectSameKeys(store, expected);
}

const queueName = ({ topic, queueId }: { topic: string; queueId: number }): string => `${topic}/${queueId}`;

function expectSameQueues(store: Store, expected: Expected, others: ReadonlySet<string>): void {
  const ours = store.topics().flatMap((topic) => store.queues(topic).map((queueId) => ({ topic, queueId })));
  const asked = ours.map(queueName).filter((name) => !others.has(name));
  expect(asked.sort()).toEqual(expected.queues.map(queueName).sort());
  for (const { topic, queueId, minOffset, maxOffset } of expected.queues) {
    expect(store.offsets(topic, queueId), queueName({ topic, queueId })).toMatchObject({
      min: minOffset,
      max: maxOffset,
    });
    const entries = expected.entries
      .filter((line) => line.topic === topic && line.queueId === queueId)
      .map(({ offset, size, tagsCode, ext }) => ({
        physicalOffset: offset,
        size,
        tagsCode: ext?.tagsCode ?? tagsCode,
      }));
    const found = store.entries(topic, queueId, { from: minOffset, max: maxOffset - minOffset + 1 });
    expect([...found], queueName({ topic, queueId })).toEqual(entries);
  }
}

function expectSameGets(store: Store, expected: Expected): void {
  for (const line of expected.gets) {
    const { topic, queueId, offset, physicalOffsets } = line;
    const question = `get ${queueName(line)} at ${offset}`;
    const found = store.get(topic, queueId, offset);
    expect({ status: found.status, min: found.minOffset, max: found.maxOffset }, question).toEqual({
      status: line.status,
      min: line.minOffset,
      max: line.maxOffset,
    });
    // RocketMQ stops at the end of a queue file, we go on.
    const ours = found.messages.map((message) => message.physicalOffset);
    expect(ours.slice(0, physicalOffsets.length), question).toEqual(physicalOffsets);
    const max = messagesAt(expected, physicalOffsets);
    const asMany = max === 0 ? found : store.get(topic, queueId, offset, { max });
    expect(asMany.nextOffset, question).toBe(line.nextBeginOffset);
  }
}

/** Number of the messages in records: those of a batch queue hold several. */
function messagesAt(expected: Expected, physicalOffsets: number[]): number {
  const batches = new Map(expected.entries.map(({ offset, batchSize }) => [offset, batchSize ?? 1]));
  return physicalOffsets.reduce((sum, offset) => sum + (batches.get(offset) ?? 1), 0);
}

function expectSameTimes(store: Store, expected: Expected): void {
  for (const line of expected.times) {
    const { topic, queueId, timestamp } = line;
    // 4.9 answers the nearest message and knows no boundary.
    const { lower, upper } =
      line.upper === null ? boundaries(expected, line) : { lower: line.offset, upper: line.upper };
    const question = `time ${queueName(line)} at ${timestamp}`;
    expect(store.offsetByTime(topic, queueId, timestamp, "lower"), `${question}, lower`).toBe(lower);
    expect(store.offsetByTime(topic, queueId, timestamp, "upper"), `${question}, upper`).toBe(upper);
  }
}

/** LOWER and UPPER of a queue, from the store times of its messages. */
function boundaries(expected: Expected, { topic, queueId, timestamp }: TimeLine): { lower: number; upper: number } {
  const times = new Map(expected.messages.map((message) => [message.offset, message.storeTimestamp]));
  const queue = expected.queues.find((line) => line.topic === topic && line.queueId === queueId);
  const entries = expected.entries.filter((line) => line.topic === topic && line.queueId === queueId);
  const at = entries.map(({ index, offset }) => ({ index, time: times.get(offset) ?? -1 }));
  const lower = at.find(({ time }) => time >= timestamp)?.index ?? queue?.maxOffset ?? 0;
  const upper = at.findLast(({ time }) => time <= timestamp)?.index ?? queue?.minOffset ?? 0;
  return { lower, upper };
}

function expectSameKeys(store: Store, expected: Expected): void {
  const byOffset = new Map(expected.messages.map((message) => [message.offset, message]));
  for (const line of expected.keys) {
    const question = `key ${line.topic} ${line.key}`;
    const ours = [...store.lookup(line.topic, line.key, { max: 10_000 })].map((message) => message.physicalOffset);
    expect(ours, `${question}: newest first`).toEqual([...new Set(ours)].sort((a, b) => b - a));
    const hits = line.physicalOffsets.filter((offset) => {
      const message = byOffset.get(offset);
      return message !== undefined && hasKey(message, line);
    });
    if (line.physicalOffsets.length < JAVA_KEY_LIMIT) expect(new Set(ours), question).toEqual(new Set(hits));
    else expect(ours, question).toEqual(expect.arrayContaining(hits));
  }
}
