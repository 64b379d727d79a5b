/** What `moraine inspect` found, as JSON lines and as a page for a person. */
import type { QueueReport, RecordSample, Report } from "./inspect.ts";
import { bytesText, countText, numberText, safeText, tableLines, timeText } from "./readable.ts";

/** Queues of one topic that the page shows; JSON has all. */
const QUEUES_SHOWN = 32;
/** Index files that the page shows, the newest ones; JSON has all. */
const INDEX_FILES_SHOWN = 8;
/** RocketMQ stores its own bookkeeping under such names. */
const SYSTEM_TOPIC = /^(rmq_sys_|RMQ_SYS_|SCHEDULE_TOPIC_XXXX$|TRANS_CHECK_MAX_TIME_TOPIC$|OFFSET_MOVED_EVENT$)/;

/** One object a line, each with one member that names its kind. */
export function* inspectJson({ path, engine, health, log, queues, records }: Report): Generator<string> {
  const { clean, segmentBytes, queueFileEntries, files, indexFiles } = health;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  yield JSON.stringify({
    store: { path, engine, clean, ...log, segmentBytes, queueFileEntries, records, openedBy: openedBy(files), bytes },
  });
  for (const queue of queues) yield JSON.stringify({ queue });
  for (const indexFile of indexFiles) yield JSON.stringify({ indexFile });
  for (const file of files) yield JSON.stringify({ file });
}

/** The page: the store as a whole first, then its parts. */
export function* inspectText(report: Report, findings: number): Generator<string> {
  yield* summary(report, findings);
  yield* topics(report.queues);
  yield* indexFiles(report);
  yield* files(report);
}

function* summary({ path, engine, health, log, queues, records }: Report, findings: number): Generator<string> {
  const segments = health.files.filter(({ kind }) => kind === "commitlog").length;
  const topicCount = new Set(queues.map(({ topic }) => topic)).size;
  const entries = queues.reduce((sum, { min, max }) => sum + max - min, 0);
  const span = `${numberText(log.minOffset)} to ${numberText(log.endOffset)}`;
  const facts: [string, string][] = [
    ["state", health.clean ? "closed cleanly" : "not closed: crashed, or open in another process"],
    [
      "log",
      `${span}: ${bytesText(log.endOffset - log.minOffset)} in ${countText(segments, "file")} of ${bytesText(health.segmentBytes)}`,
    ],
    ["durable", `up to ${numberText(log.durableOffset)}, visible up to ${numberText(log.visibleOffset)}`],
    ["records", recordsText(records)],
    [
      "queues",
      `${countText(entries, "entry", "entries")} in ${countText(queues.length, "queue")} of ${countText(topicCount, "topic")}, ${numberText(health.queueFileEntries)} a file`,
    ],
    ["findings", findings === 0 ? "none" : `${numberText(findings)}, on standard error`],
  ];
  const names = openedBy(health.files);
  if (names.length > 0) facts.splice(1, 0, ["opened by", names.join(", ")]);
  yield `${safeText(path)} (${engine} engine, read-only)`;
  yield "";
  yield* tableLines(facts, [false, false], "  ");
}

/** Who has had the store open for writing, by what some leave behind; empty where nobody can be told. */
function openedBy(files: Report["health"]["files"]): string[] {
  const has = (test: (path: string) => boolean): boolean => files.some(({ path }) => test(path));
  const names: string[] = [];
  if (has((path) => path === "abort.bak")) names.push("RocketMQ 5 (abort.bak)");
  if (has((path) => path.startsWith("moraine/"))) names.push("moraine (moraine/)");
  return names;
}

function recordsText({ looked, more, versions, recordCrc }: RecordSample): string {
  if (looked === 0) return "none";
  const crc = recordCrc === 0 ? "none" : recordCrc === looked ? "each" : countText(recordCrc, "record");
  const which = more ? `the first ${numberText(looked)}` : `all ${numberText(looked)}`;
  return `version ${versions.join(" and ")}; ${crc} with a CRC over the whole record (${which} looked at)`;
}

function* topics(queues: readonly QueueReport[]): Generator<string> {
  const byTopic = new Map<string, QueueReport[]>();
  for (const queue of queues) {
    const list = byTopic.get(queue.topic);
    if (list === undefined) byTopic.set(queue.topic, [queue]);
    else list.push(queue);
  }
  for (const [topic, list] of byTopic) {
    const entries = list.reduce((sum, { min, max }) => sum + max - min, 0);
    yield "";
    yield `${safeText(topic)}: ${countText(entries, "entry", "entries")} in ${countText(list.length, "queue")}${SYSTEM_TOPIC.test(topic) ? " (system topic)" : ""}`;
    const rows = list
      .slice(0, QUEUES_SHOWN)
      .map((queue) => [
        String(queue.queueId),
        numberText(queue.min),
        numberText(queue.max),
        timeText(queue.beginTimestamp),
        timeText(queue.endTimestamp),
      ]);
    const head = ["queue", "min", "max", "first stored (UTC)", "last stored (UTC)"];
    yield* tableLines([head, ...rows], [true, true, true, false, false], "  ");
    if (list.length > QUEUES_SHOWN)
      yield `  and ${countText(list.length - QUEUES_SHOWN, "queue")} more: --json lists all`;
  }
}

function* indexFiles({ health }: Report): Generator<string> {
  const list = health.indexFiles;
  yield "";
  if (list.length === 0) {
    yield "No index files.";
    return;
  }
  const used = list.reduce((sum, file) => sum + file.used, 0);
  yield `Index: ${countText(used, "entry", "entries")} in ${countText(list.length, "file")}`;
  const hidden = list.length - INDEX_FILES_SHOWN;
  if (hidden > 0) yield `  ${countText(hidden, "older file")} before these: --json lists all`;
  const rows = list
    .slice(-INDEX_FILES_SHOWN)
    .map((file) => [
      file.file.replace(/^index\//, ""),
      numberText(file.used),
      numberText(file.slots),
      ...(file.used === 0
        ? ["-", "-", "-"]
        : [
            `${numberText(file.beginPhysicalOffset)} to ${numberText(file.endPhysicalOffset)}`,
            timeText(file.beginTimestamp),
            timeText(file.endTimestamp),
          ]),
    ]);
  const head = ["file", "entries", "slots", "log", "first stored (UTC)", "last stored (UTC)"];
  yield* tableLines([head, ...rows], [false, true, true, false, false, false], "  ");
}

function* files({ health }: Report): Generator<string> {
  const kinds = new Map<string, { count: number; bytes: number }>();
  for (const { kind, bytes } of health.files) {
    const sum = kinds.get(kind) ?? { count: 0, bytes: 0 };
    kinds.set(kind, { count: sum.count + 1, bytes: sum.bytes + bytes });
  }
  const total = health.files.reduce((sum, { bytes }) => sum + bytes, 0);
  yield "";
  yield `Files: ${numberText(health.files.length)}, ${bytesText(total)}`;
  const rows = [...kinds].map(([kind, { count, bytes }]) => [kind, numberText(count), bytesText(bytes)]);
  yield* tableLines(rows, [false, true, true], "  ");
}
