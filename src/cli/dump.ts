/** `moraine dump DIR`: the messages of a store, in the order of the log or of one queue. */
import { type Store, type StoredMessage, StoreError } from "../index.ts";
import { choiceOption, numberOption, readArguments, textOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { damageFinding } from "./damage.ts";
import { BODIES, messageJson, messageText } from "./message-lines.ts";
import { withStore } from "./opened.ts";
import type { Output } from "./output.ts";

const USAGE = `usage: moraine dump DIR [--from OFFSET | --topic T [--queue Q [--offset N]]] [--count N]
                    [--body none|sha256|hex|text] [--json]

Messages in the order of the log, or of one queue.

  --from OFFSET   from this physical offset on, where a record begins (default: from the beginning)
  --topic T       only messages of this topic
  --queue Q       only those of this queue, in the order of the queue
  --offset N      from this queue offset on (default: from the smallest)
  --count N       stop after N messages
  --body WHAT     none (default), sha256, hex, or text (UTF-8)
  --json          one object a line

A damaged range is named on standard error, the messages behind it follow; the exit code is then 2.`;

const MAX_QUEUE_ID = 2 ** 31 - 1;
/** Messages and bytes that are asked of a queue at a time. */
const GET_MAX = 128;
const GET_BYTES = 1 << 20;

interface Selection {
  from: number | undefined;
  topic: string | undefined;
  queueId: number | undefined;
  queueOffset: number | undefined;
}

export const dump: Command = {
  summary: "messages, in the order of the log or of a queue",
  usage: USAGE,
  async run(args: string[], output: Output): Promise<void> {
    const text = { type: "string" } as const;
    const { dir, values } = readArguments(args, {
      from: text,
      topic: text,
      queue: text,
      offset: text,
      count: text,
      body: text,
    });
    const selection: Selection = {
      from: numberOption(values, "from", Number.MAX_SAFE_INTEGER),
      topic: textOption(values, "topic"),
      queueId: numberOption(values, "queue", MAX_QUEUE_ID),
      queueOffset: numberOption(values, "offset", Number.MAX_SAFE_INTEGER),
    };
    const count = numberOption(values, "count", Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
    const body = choiceOption(values, "body", BODIES);
    checkSelection(selection);

    await withStore(dir, output, async (store) => {
      let left = count;
      if (left === 0) return;
      for (const message of select(store, selection, output)) {
        const wait = output.line(output.json ? messageJson(message, body) : messageText(message, body));
        if (wait !== undefined) await wait;
        if (--left === 0) return;
      }
    });
  },
};

function checkSelection({ from, topic, queueId, queueOffset }: Selection): void {
  if (queueId !== undefined && topic === undefined) throw new UsageError("--queue needs --topic");
  if (queueOffset !== undefined && queueId === undefined) throw new UsageError("--offset needs --topic and --queue");
  if (from !== undefined && queueId !== undefined) {
    throw new UsageError("--from is a place in the log, --queue walks a queue: give one of them");
  }
}

function select(store: Store, selection: Selection, output: Output): Iterable<StoredMessage> {
  const { from, topic, queueId, queueOffset } = selection;
  if (topic !== undefined && queueId !== undefined) return queueMessages(store, topic, queueId, queueOffset, output);
  return logMessages(store, from, topic, output);
}

/** Messages of the log; damaged ranges go to the findings. */
function* logMessages(
  store: Store,
  from: number | undefined,
  topic: string | undefined,
  output: Output,
): Generator<StoredMessage> {
  const { segmentBytes } = store.health();
  for (const item of store.scan(from === undefined ? {} : { from })) {
    if (item.kind === "damaged") {
      // Where a walk begins in the middle of a record, what is left of it looks like damage.
      const hint = item.physicalOffset === from ? "; or --from is not where a record begins" : "";
      output.finding(damageFinding({ ...item, reason: `${item.reason}${hint}` }, segmentBytes));
    } else if (item.kind === "message" && (topic === undefined || item.message.topic === topic)) {
      yield item.message;
    }
  }
}

/** Messages of a queue, as far as it reached when this began; a record that cannot be read goes to the findings. */
function* queueMessages(
  store: Store,
  topic: string,
  queueId: number,
  queueOffset: number | undefined,
  output: Output,
): Generator<StoredMessage> {
  const queues = store.queues(topic);
  if (!queues.includes(queueId)) {
    const known = queues.length > 0 ? `it has ${queues.join(", ")}` : "there is no such topic";
    throw new UsageError(`topic "${topic}" has no queue ${queueId}: ${known}`);
  }
  const { min, max } = store.offsets(topic, queueId);
  let next = Math.max(queueOffset ?? min, min);
  while (next < max) {
    const at = next;
    try {
      const batch = store.get(topic, queueId, at, { max: Math.min(GET_MAX, max - at), maxBytes: GET_BYTES });
      yield* batch.messages;
      next = Math.max(batch.nextOffset, at + 1);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "STORE_CORRUPT") throw error;
      const { file, offset, nextOffset } = error.details as { file?: string; offset?: number; nextOffset?: number };
      output.finding({ kind: "damaged", file: file ?? "", offset: offset ?? 0, length: 0, message: error.message });
      next = Math.max(nextOffset ?? 0, at + 1);
    }
  }
}
