/** Questions to a store that are answered at once: by offset, by key, by time, and what there is. */
import { checkInteger, checkOffset, checkQueueId, readOptions } from "./arguments.ts";
import { AskedKeys, readKeys } from "./asked-keys.ts";
import type { EngineStore } from "./binding/contract.ts";
import { argumentError, shown } from "./errors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { messagesByCount, messagesIn, type StoredMessage } from "./stored-message.ts";
import { checkTopic } from "./topic.ts";

/** Range of a queue; all 0 for a queue that does not exist. */
export interface QueueOffsets {
  readonly min: number;
  /** Behind the last message that can be read. */
  readonly max: number;
  /** What the next message will get. */
  readonly next: number;
}

/** One entry of a consume queue. */
export interface QueueEntry {
  readonly physicalOffset: number;
  readonly size: number;
  /** Hash of the tags, or the time at which a delayed message is due; never an address in an extension file. */
  readonly tagsCode: number;
}

export interface LookupOptions {
  /** Least and greatest store timestamp, both included. Default: any. */
  readonly begin?: number | undefined;
  readonly end?: number | undefined;
  /** Most messages of a key. Default 64, at most 65,536. */
  readonly max?: number | undefined;
}

export interface EntriesOptions {
  /** Queue offset to begin at. Default: the queue's minimum, also for less. */
  readonly from?: number | undefined;
  /** Most entries. Default 1024, at most 1,000,000. */
  readonly max?: number | undefined;
}

const LOOKUP_OPTIONS: readonly string[] = ["begin", "end", "max"];
const ENTRIES_OPTIONS: readonly string[] = ["from", "max"];
const DEFAULT_LOOKUPS = 64;
const MAX_LOOKUPS = 65_536;
const DEFAULT_ENTRIES = 1024;
const MAX_ENTRIES = 1_000_000;
/** Numbers of an entry as the engine gives it. */
const ENTRY_STRIDE = 3;

/** Checks the arguments of a question, and asks the engine. */
export class Queries {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  readonly #asked: AskedKeys = new AskedKeys();

  constructor(engine: EngineStore, lifecycle: Lifecycle) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
  }

  at(physicalOffset: number): StoredMessage | undefined {
    const record = this.#engine.at(checkOffset("physicalOffset", physicalOffset));
    return record === undefined ? undefined : messagesIn(record)[0];
  }

  lookup(topic: string, key: string, options: LookupOptions | undefined): StoredMessage[] {
    checkTopic(topic);
    const checked = checkLookupOptions(options);
    this.#asked.begin(topic);
    this.#asked.add("key", key);
    return messagesIn(this.#lookUp(checked, this.#asked.counts(1)));
  }

  lookupAll(topic: string, keys: readonly string[], options: LookupOptions | undefined): StoredMessage[][] {
    checkTopic(topic);
    const read = readKeys(keys);
    const checked = checkLookupOptions(options);
    this.#asked.begin(topic);
    read.forEach((key, place) => {
      this.#asked.add(`keys[${place}]`, key);
    });
    const counts = this.#asked.counts(read.length);
    return messagesByCount(this.#lookUp(checked, counts), counts, read.length);
  }

  #lookUp({ begin, end, max }: CheckedLookupOptions, counts: Float64Array): Uint8Array {
    this.#checkStillOpen();
    return this.#engine.lookup(this.#asked.bytes, this.#asked.length, counts, begin, end, max);
  }

  offsets(topic: string, queueId: number): QueueOffsets {
    checkQueue(topic, queueId);
    const { min, max, next } = this.#engine.offsets(topic, queueId);
    return { min, max, next };
  }

  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: "lower" | "upper"): number {
    checkQueue(topic, queueId);
    checkOffset("timestamp", timestamp);
    if (boundary !== "lower" && boundary !== "upper") {
      throw argumentError("boundary", `boundary is ${shown(boundary)}; it must be "lower" or "upper"`);
    }
    return this.#engine.offsetByTime(topic, queueId, timestamp, boundary);
  }

  timeOf(topic: string, queueId: number, queueOffset: number): number | undefined {
    checkQueue(topic, queueId);
    return this.#engine.timeOf(topic, queueId, checkOffset("queueOffset", queueOffset));
  }

  topics(): string[] {
    return this.#engine.topics().sort();
  }

  queues(topic: string): number[] {
    checkTopic(topic);
    return this.#engine.queues(topic).sort((a, b) => a - b);
  }

  entries(topic: string, queueId: number, options: EntriesOptions | undefined): QueueEntry[] {
    checkQueue(topic, queueId);
    const { from = 0, max = DEFAULT_ENTRIES } = readOptions(options, ENTRIES_OPTIONS);
    checkOffset("options.from", from);
    checkInteger("options.max", max, 1, MAX_ENTRIES);
    this.#checkStillOpen();
    const { entries } = this.#engine.entries(topic, queueId, from, max);
    const found: QueueEntry[] = [];
    for (let i = 0; i + ENTRY_STRIDE <= entries.length; i += ENTRY_STRIDE) {
      found.push({
        physicalOffset: entries[i] as number,
        size: entries[i + 1] as number,
        tagsCode: entries[i + 2] as number,
      });
    }
    return found;
  }

  /** A getter of an option may have closed the store. */
  #checkStillOpen(): void {
    this.#lifecycle.checkReadable();
  }
}

function checkQueue(topic: string, queueId: number): void {
  checkTopic(topic);
  checkQueueId(queueId);
}

type CheckedLookupOptions = Readonly<Record<"begin" | "end" | "max", number>>;

function checkLookupOptions(options: LookupOptions | undefined): CheckedLookupOptions {
  const { begin = 0, end = Number.MAX_SAFE_INTEGER, max = DEFAULT_LOOKUPS } = readOptions(options, LOOKUP_OPTIONS);
  checkOffset("options.begin", begin);
  checkOffset("options.end", end);
  checkInteger("options.max", max, 1, MAX_LOOKUPS);
  return { begin, end, max };
}
