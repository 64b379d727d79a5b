/** `moraine dump DIR`: the messages of a store, in the order of the log or of one queue. */
import type { Store, StoredMessage } from "../index.ts";
import { choiceOption, numberOption, readArguments, textOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { damageFinding } from "./damage.ts";
import { BODIES, messageJson, messageText } from "./message-lines.ts";
import { withStore } from "./opened.ts";
import type { Output } from "./output.ts";
import { checkQueue, MAX_QUEUE_ID, queueMessages } from "./queue-messages.ts";

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
  if (topic !== undefined && queueId !== undefined) {
    checkQueue(store, topic, queueId);
    return queueMessages(store, topic, queueId, queueOffset, output);
  }
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
