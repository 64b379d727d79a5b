// Rows of size: many queues, many messages, long runs.
import { CLASSES, floor, jsPeers, moraine, rocketmq, WASM } from "./peers.mjs";

const manyQueues = (queues) => {
  const spec = moraine({}, `${queues.toLocaleString("en")} ${queues === 1 ? "queue" : "queues"}`);
  const job = { contestant: "moraine", queues };
  return {
    ...spec,
    x: queues,
    job: [
      { ...job, workload: "manyQueuesPut" },
      { ...job, workload: "manyQueuesOpen" },
    ],
  };
};

export const SCALE = [
  {
    number: 7,
    name: "sustained",
    title: "put, 1 KiB, for a minute with retention, the last sync counted",
    class: CLASSES.process,
    metric: "bytesPerSecond",
    gigabytes: true,
    messages: 1,
    bodyBytes: 1024,
    leavesOut:
      "The floor writes files of 1 GiB one behind the other and syncs each. RocketMQ's store cannot be told here to keep to a size, and is not in this row",
    contestants: [
      minute(moraine({ workload: "sustained", bodyBytes: 1024 })),
      minute(floor({ workload: "device", contestant: "none" })),
    ],
  },
  {
    number: 13,
    also: [22],
    name: "many-queues",
    title: "8 queues against 100,000: put, 1 KiB, batches of 64 (13), and a clean open (22)",
    class: CLASSES.process,
    messages: 400_000,
    smoke: 20_000,
    curve: "queues",
    bodyBytes: 1024,
    leavesOut:
      "RocketMQ fails at 20,000 queues, so it is asked for fewer; its clean open of 100,000 queues, which are 200,000 files, was seen to take 48 to 150 s and is not repeated here",
    contestants: [
      ...[1, 8, 64, 10_000, 100_000].map(manyQueues),
      ...rocketmq("async", [
        ["--batch", "64", "--queues", "64"],
        ["--batch", "64", "--queues", "4000"],
      ]),
    ],
  },
  {
    number: 24,
    name: "memory",
    title: "memory after many messages, 128 B, batches of 64",
    class: CLASSES.process,
    metric: "privateBytes",
    lessIsBetter: true,
    messages: 10_000_000,
    bodyBytes: 128,
    leavesOut: "Private memory at its most, without pages of files; the longest pause is of Node.js's own collector",
    contestants: [
      moraine({ workload: "memoryAfter", bodyBytes: 128 }),
      moraine({ workload: "memoryAfter", bodyBytes: 128, form: "columns" }, "columns"),
      moraine({ workload: "memoryAfter", bodyBytes: 128 }, "WebAssembly", WASM),
      ...jsPeers(["lmdb", "rocksdb-native", "better-sqlite3"], { workload: "memoryAfter", bodyBytes: 128 }),
    ],
  },
];

/** A run of so many seconds, with what the command line says of size. */
function minute(contestant) {
  return { ...contestant, timed: 60 };
}

/** The same work over something that grows: cost a message should stay flat. */
function curve(name, title, x, values, jobOf, more = () => ({})) {
  return {
    number: 0,
    name,
    title,
    curve: x,
    class: CLASSES.process,
    messages: 400_000,
    bodyBytes: 1024,
    leavesOut: "Ours alone: what counts is whether the line is flat",
    contestants: values.map((value) => ({
      ...moraine(jobOf(value), `${x}: ${value.toLocaleString("en")}`),
      ...more(value),
      x: value,
    })),
  };
}

/** A curve of stores that are filled once. */
const reading = (row) => ({ ...row, class: CLASSES.read, kept: true });
const STORES = [10_000, 100_000, 1_000_000, 4_000_000];

export const CURVES = [
  curve(
    "scale-messages",
    "put, 128 B, batches of 64, over the number of messages",
    "messages",
    [100_000, 1_000_000, 10_000_000, 100_000_000],
    (messages) => ({ workload: "memoryAfter", bodyBytes: 128, messages }),
    (messages) => (messages > 10_000_000 ? { rounds: 1 } : {}),
  ),
  curve(
    "scale-files",
    "put, 1 KiB, batches of 64, over the files of the log",
    "files",
    [1, 10, 100, 1000],
    (files) => ({
      workload: "put",
      bodyBytes: 1024,
      batch: 64,
      options: { segmentBytes: Math.ceil(640e6 / files) },
    }),
  ),
  reading(
    curve(
      "scale-random",
      "random read by queue offset, 1 KiB, cached, over the messages of a store",
      "messages",
      STORES,
      (messages) => ({
        workload: "random",
        by: "offset",
        bodyBytes: 1024,
        messages,
        passes: 1_000_000 / messages,
      }),
    ),
  ),
  reading(
    curve(
      "scale-lookup",
      "lookup by key, 1 KiB, cached, over the messages of a store",
      "messages",
      STORES,
      (messages) => ({
        workload: "random",
        by: "key",
        bodyBytes: 1024,
        messages,
        passes: 500_000 / messages,
      }),
    ),
  ),
  curve(
    "scale-keys",
    "put, 1 KiB, batches of 64, over the keys of each message",
    "keys",
    [0, 1, 2, 4, 8, 16],
    (keys) => ({
      workload: "put",
      bodyBytes: 1024,
      batch: 64,
      keys,
    }),
  ),
  curve(
    "scale-body",
    "put, batches of 64, over the bytes of a body",
    "bytes",
    [16, 128, 1024, 4096, 16_384],
    (bodyBytes) => ({
      workload: "put",
      bodyBytes,
      batch: 64,
    }),
  ),
  curve(
    "scale-batch",
    "put, 1 KiB, over the messages of a batch",
    "messages a call",
    [1, 4, 16, 64, 256, 1024],
    (batch) => ({
      workload: "put",
      bodyBytes: 1024,
      batch,
    }),
  ),
];
