/** `moraine get DIR`: messages of a topic, found by queue offset, key or time. */
import { type Store, type StoredMessage, StoreError } from "../index.ts";
import { choiceOption, numberOption, readArguments, textOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { BODIES, messageJson, messageText } from "./message-lines.ts";
import { withStore } from "./opened.ts";
import type { Output } from "./output.ts";
import { checkQueue, MAX_QUEUE_ID, queueMessages } from "./queue-messages.ts";

const USAGE = `usage: moraine get DIR --topic T [--queue Q [--offset N] | --key K | [--queue Q] --time MS] [--count N]
                   [--body none|sha256|hex|text] [--json]

Messages of a topic, found by queue offset, by key, or by time.

  --topic T       the topic
  --queue Q       of this queue, in its order (default: of all queues, in the order of the log)
  --offset N      from this queue offset on (default: from the smallest)
  --key K         those that carry this key, newest first
  --time MS       those stored at this time or later, in milliseconds since 1970
  --count N       N messages at most (default: 32)
  --body WHAT     none (default), sha256, hex, or text (UTF-8)
  --json          one object a line

A damaged message is named on standard error, the messages behind it follow; the exit code is then 2.`;

const DEFAULT_COUNT = 32;
/** What `lookup` answers at most. */
const MAX_LOOKUPS = 65_536;
/** Messages that are read ahead, over all queues together. */
const READ_AHEAD = 1024;
const MAX_AT_A_TIME = 128;

interface Selection {
  topic: string;
  queueId: number | undefined;
  queueOffset: number | undefined;
  key: string | undefined;
  time: number | undefined;
  count: number;
}

export const get: Command = {
  summary: "messages of a topic, by queue offset, key or time",
  usage: USAGE,
  async run(args: string[], output: Output): Promise<void> {
    const text = { type: "string" } as const;
    const options = { topic: text, queue: text, offset: text, key: text, time: text, count: text, body: text };
    const { dir, values } = readArguments(args, options);
    const topic = textOption(values, "topic");
    if (topic === undefined) throw new UsageError("--topic is missing");
    const key = textOption(values, "key");
    const selection: Selection = {
      topic,
      queueId: numberOption(values, "queue", MAX_QUEUE_ID),
      queueOffset: numberOption(values, "offset", Number.MAX_SAFE_INTEGER),
      key,
      time: numberOption(values, "time", Number.MAX_SAFE_INTEGER),
      count: numberOption(values, "count", key === undefined ? Number.MAX_SAFE_INTEGER : MAX_LOOKUPS) ?? DEFAULT_COUNT,
    };
    const body = choiceOption(values, "body", BODIES);
    checkSelection(selection);

    await withStore(dir, output, async (store) => {
      let left = selection.count;
      const messages = select(store, selection, output);
      if (left === 0) return;
      for (const message of messages) {
        const wait = output.line(output.json ? messageJson(message, body) : messageText(message, body));
        if (wait !== undefined) await wait;
        if (--left === 0) return;
      }
    });
  },
};

function checkSelection({ queueId, queueOffset, key, time }: Selection): void {
  if (queueOffset !== undefined && queueId === undefined) throw new UsageError("--offset needs --queue");
  if (key !== undefined && (queueId !== undefined || time !== undefined)) {
    throw new UsageError("--key looks through the whole topic: give it without --queue, --offset and --time");
  }
  if (queueOffset !== undefined && time !== undefined) {
    throw new UsageError("--offset and --time both say where to begin: give one of them");
  }
}

function select(store: Store, selection: Selection, output: Output): Iterable<StoredMessage> {
  const { topic, queueId, queueOffset, key, time, count } = selection;
  const queues = store.queues(topic);
  if (queues.length === 0) throw new UsageError(`there is no topic "${topic}"`);
  if (key !== undefined) return store.lookup(topic, key, { max: Math.max(count, 1) });
  if (queueId !== undefined) checkQueue(store, topic, queueId);
  const wanted = queueId === undefined ? queues : [queueId];
  const atATime = Math.min(Math.max(Math.floor(READ_AHEAD / wanted.length), 1), MAX_AT_A_TIME);
  const read = (id: number): Iterator<StoredMessage> => {
    if (time === undefined) return queueMessages(store, topic, id, queueOffset, output, atATime);
    return fromTime(queueMessages(store, topic, id, offsetAt(store, topic, id, time), output, atATime), time);
  };
  return inLogOrder(wanted.map(read));
}

/** Where a time begins in a queue; its beginning where damage is in the way. */
function offsetAt(store: Store, topic: string, queueId: number, time: number): number | undefined {
  try {
    return store.offsetByTime(topic, queueId, time, "lower");
  } catch (error) {
    if (error instanceof StoreError && error.code === "STORE_CORRUPT") return undefined;
    throw error;
  }
}

/** The offset for a time stays within the queue: behind the last message it is that of the last. */
function* fromTime(messages: Iterable<StoredMessage>, time: number): Generator<StoredMessage> {
  for (const message of messages) if (message.storeTimestamp >= time) yield message;
}

/** Messages of several queues, each in its order, by their place in the log. */
function* inLogOrder(queues: Iterator<StoredMessage>[]): Generator<StoredMessage> {
  const heads = queues.flatMap((queue) => next(queue));
  while (heads.length > 0) {
    let first = 0;
    for (let i = 1; i < heads.length; i++) {
      if ((heads[i] as Head).message.physicalOffset < (heads[first] as Head).message.physicalOffset) first = i;
    }
    const { message, queue } = heads[first] as Head;
    yield message;
    heads.splice(first, 1, ...next(queue));
  }
}

interface Head {
  message: StoredMessage;
  queue: Iterator<StoredMessage>;
}

function next(queue: Iterator<StoredMessage>): Head[] {
  const { value, done } = queue.next();
  return done === true ? [] : [{ message: value, queue }];
}
