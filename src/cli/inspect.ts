/** `moraine inspect DIR`: what a store holds, how far it reaches, and how it was left. */
import { type Store, StoreError } from "../index.ts";
import { readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { damageFinding } from "./damage.ts";
import { inspectJson, inspectText } from "./inspect-lines.ts";
import { withStore } from "./opened.ts";
import type { Output } from "./output.ts";

const USAGE = `usage: moraine inspect DIR [--json]

Files and sizes, positions, clean or crashed, topics and queues with their ranges, index files.

  --json   one object a line: {"store": …}, {"queue": …} and so on, names as in the API

What was noticed (damage, a crash) is named on standard error; the exit code is then 2.`;

/** Records at the beginning of the log whose version is looked at. */
const SAMPLE = 1000;
/** How the last property begins of a record that carries a CRC over all of it: 20 bytes, the digits and a separator included. */
const RECORD_CRC_NAME = Buffer.from("__CRC32#\u0001", "latin1");
const RECORD_CRC_BYTES = 20;
/** Magic number of a record whose topic length has two bytes (RocketMQ 5.1 and later). */
const MAGIC_V2 = 0xdaa320ab;

/** Offsets of a queue and the store times of its first and last message. */
export interface QueueReport {
  topic: string;
  queueId: number;
  min: number;
  max: number;
  next: number;
  beginTimestamp: number | undefined;
  endTimestamp: number | undefined;
}

/** What the first records look like. */
export interface RecordSample {
  /** Records looked at, and whether there are more. */
  looked: number;
  more: boolean;
  versions: number[];
  /** Records with a CRC over the whole record. */
  recordCrc: number;
}

/** Everything that is shown, as a value. */
export interface Report {
  path: string;
  engine: string;
  health: ReturnType<Store["health"]>;
  log: Store["log"];
  queues: QueueReport[];
  records: RecordSample;
}

export const inspect: Command = {
  summary: "files, positions, topics and queues, index files, and how the store was left",
  usage: USAGE,
  async run(args: string[], output: Output): Promise<void> {
    const { dir } = readArguments(args, {});
    await withStore(dir, output, async (store) => {
      const lines = output.json ? inspectJson : inspectText;
      const report = examine(store, output);
      for (const line of lines(report, output.findings)) {
        const wait = output.line(line);
        if (wait !== undefined) await wait;
      }
    });
  },
};

function examine(store: Store, output: Output): Report {
  const report = {
    path: store.path,
    engine: store.engine,
    health: store.health(),
    log: store.log,
    queues: [...queueReports(store, output)],
  };
  return { ...report, records: sampleRecords(store, report.health.segmentBytes, output) };
}

function* queueReports(store: Store, output: Output): Generator<QueueReport> {
  for (const topic of store.topics()) {
    for (const queueId of unlessBad([], `consumequeue/${topic}`, output, () => store.queues(topic))) {
      const { min, max, next } = store.offsets(topic, queueId);
      const time = (queueOffset: number): number | undefined => {
        if (min === max) return undefined;
        const file = `consumequeue/${topic}/${queueId}`;
        return unlessBad(undefined, file, output, () => store.timeOf(topic, queueId, queueOffset));
      };
      yield { topic, queueId, min, max, next, beginTimestamp: time(min), endTimestamp: time(max - 1) };
    }
  }
}

/** What `ask` answers; where a store holds something that cannot be asked for, a finding and `otherwise`. */
function unlessBad<T>(otherwise: T, file: string, output: Output, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_CORRUPT") throw error;
    const { file: named = file, offset = 0 } = error.details;
    output.finding({ kind: "unreadable", file: named, offset, length: 0, message: error.message });
    return otherwise;
  }
}

function sampleRecords(store: Store, segmentBytes: number, output: Output): RecordSample {
  const sample: RecordSample = { looked: 0, more: false, versions: [], recordCrc: 0 };
  const versions = new Set<number>();
  for (const item of store.scan({})) {
    if (sample.looked === SAMPLE) {
      sample.more = true;
      break;
    }
    if (item.kind === "damaged") output.finding(damageFinding(item, segmentBytes));
    if (item.kind !== "message") continue;
    const raw = Buffer.from(item.message.raw.buffer, item.message.raw.byteOffset, item.message.raw.byteLength);
    const crcAt = raw.length - RECORD_CRC_BYTES;
    sample.looked++;
    versions.add(raw.readUInt32BE(4) === MAGIC_V2 ? 2 : 1);
    if (raw.subarray(crcAt, crcAt + RECORD_CRC_NAME.length).equals(RECORD_CRC_NAME)) sample.recordCrc++;
  }
  sample.versions.push(...[...versions].sort());
  return sample;
}
