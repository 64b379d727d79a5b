/** `moraine put DIR`: appends messages. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Message, type PutResult, Store, StoreError, storeOptions } from "../index.ts";
import { numberOption, readArguments, textOption, textsOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { LineTooLong, readLines } from "./lines.ts";
import { type Output, OutputClosed } from "./output.ts";
import { MAX_QUEUE_ID } from "./queue-messages.ts";
import { numberText, safeText } from "./readable.ts";

const USAGE = `usage: moraine put DIR --topic T [--queue Q] [--tags S] [--keys K,…] [--property N=V]…
                   [--body S | --lines] [--json]

Appends one message, or one for each line of standard input, and prints where they are. Makes a store where there is none.

  --topic T       the topic
  --queue Q       the queue (default: 0)
  --tags S        tags
  --keys K,…      keys, divided by commas
  --property N=V  a property; may be given several times
  --body S        the body, as UTF-8 (default: an empty one)
  --lines         one message a line of standard input, the line without its end as body; an empty line is an empty body
  --json          one object a line

What is printed is in the log; with exit code 0 or 2 all of it survives a power cut. No other process may have the store
open for writing.`;

/** Everything but the body. */
type Header = Omit<Message, "body">;

export const put: Command = {
  summary: "append messages",
  usage: USAGE,
  async run(args: string[], output: Output): Promise<void> {
    const text = { type: "string" } as const;
    const { dir, values } = readArguments(args, {
      topic: text,
      queue: text,
      tags: text,
      keys: text,
      property: { type: "string", multiple: true },
      body: text,
      lines: { type: "boolean" },
    });
    const topic = textOption(values, "topic");
    if (topic === undefined) throw new UsageError("--topic is missing");
    const header: Header = {
      topic,
      queueId: numberOption(values, "queue", MAX_QUEUE_ID) ?? 0,
      tags: textOption(values, "tags"),
      keys: textOption(values, "keys")?.split(","),
      properties: properties(textsOption(values, "property")),
    };
    const body = textOption(values, "body");
    const isLines = values.lines === true;
    if (isLines && body !== undefined) throw new UsageError("--body and --lines are two sources of bodies: give one");

    const first: Message = { ...header, body: Buffer.from(body ?? "", "utf8") };
    if (!existsSync(join(dir, "commitlog"))) await tryInScratchStore(first);
    const store = await Store.open(dir);
    try {
      for (const finding of store.health().findings) output.finding(finding);
      const printer = new Printer(output, topic, header.queueId);
      if (isLines) await putLines(store, header, printer);
      else await printer.print([store.put(first)]);
      await store.flush();
    } finally {
      await store.close();
    }
  },
};

function properties(pairs: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw new UsageError(`--property ${pair}: NAME=VALUE is expected`);
    const name = pair.slice(0, at);
    if (found.has(name)) throw new UsageError(`--property ${pair}: ${name} is given twice`);
    found.set(name, pair.slice(at + 1));
  }
  return found;
}

/**
 * Puts the message, or an empty line's, into a store that is thrown away: what is wrong with it is known before there is
 * a store for it.
 */
async function tryInScratchStore(message: Message): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "moraine-put-"));
  try {
    const store = await Store.open(scratch, { index: false });
    try {
      store.put(message);
    } finally {
      await store.close();
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A message for each line of standard input, as they come; Ctrl-C ends the input like its end. */
async function putLines(store: Store, header: Header, printer: Printer): Promise<void> {
  const input = process.stdin;
  let isInterrupted = false;
  const interrupt = (): void => {
    isInterrupted = true;
    input.destroy();
  };
  process.once("SIGINT", interrupt);
  let stored = 0;
  try {
    for await (const lines of readLines(input, storeOptions.maxMessageBytes.default)) {
      const results = store.putBatch(lines.map((body) => ({ ...header, body })));
      stored += results.count;
      await printer.print(results);
    }
  } catch (error) {
    if (isInterrupted && (error as NodeJS.ErrnoException).code === "ERR_STREAM_PREMATURE_CLOSE") return;
    throw inLines(error, stored);
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/** The error with the number of lines that are in the log, so that whoever mends it knows where to go on. */
function inLines(error: unknown, before: number): unknown {
  if (error instanceof LineTooLong) {
    return new StoreError("STORE_MESSAGE_TOO_LARGE", `${error.message}; ${storedText(error.line - 1)}`, {
      cause: error,
    });
  }
  if (!(error instanceof StoreError)) return error;
  const stored = before + (error.details.stored ?? 0);
  return new StoreError(error.code, `${error.message}; ${storedText(stored)}`, {
    cause: error,
    details: error.details,
  });
}

function storedText(lines: number): string {
  return lines === 0 ? "nothing was stored" : `the first ${numberText(lines)} lines were stored`;
}

/** Prints where messages are. Who does not listen any more keeps nothing from being stored. */
class Printer {
  readonly #output: Output;
  readonly #topic: string;
  readonly #queueId: number;
  #isHeard = true;

  constructor(output: Output, topic: string, queueId: number) {
    this.#output = output;
    this.#topic = topic;
    this.#queueId = queueId;
  }

  /** Lines are written at once, so that a program can wait for them. */
  async print(results: Iterable<PutResult>): Promise<void> {
    if (!this.#isHeard) return;
    try {
      for (const result of results)
        await this.#output.line(this.#output.json ? this.#json(result) : this.#text(result));
      await this.#output.flush();
    } catch (error) {
      if (!(error instanceof OutputClosed)) throw error;
      this.#isHeard = false;
    }
  }

  #json({ physicalOffset, endOffset, queueOffset, size, storeTimestamp, offsetMsgId }: PutResult): string {
    const place = { topic: this.#topic, queueId: this.#queueId, queueOffset, physicalOffset, endOffset, size };
    return JSON.stringify({ ...place, storeTimestamp, offsetMsgId });
  }

  #text({ physicalOffset, queueOffset, size }: PutResult): string {
    const place = `${safeText(this.#topic)}/${this.#queueId} #${queueOffset}`;
    return `${place}  at ${numberText(physicalOffset)}, ${numberText(size)} B`;
  }
}
