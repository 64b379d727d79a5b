// Rows in which messages are put.
import { CLASSES, floor, jsPeers, moraine, rocketmq, rocketmqRust, WASM } from "./peers.mjs";

const DATABASES = ["lmdb", "better-sqlite3", "rocksdb-native", "classic-level"];

/** Ways of RocketMQ, of which the best one counts. */
const BATCH_64 = ["--batch", "64"];
const WINDOW_64 = ["--window", "64"];
const THREADS_8 = ["--threads", "8"];

/** The same amount for several families. */
const of = (messages, families) => Object.fromEntries(families.map((family) => [family, messages]));
const THEIRS = ["rocketmq", "rocketmq-rust", ...DATABASES];
/** Messages of 1 KiB that take about a second; RocketMQ's are as many as Java's compiler needs to be at its best. */
const KIBIBYTES = {
  "moraine, WebAssembly": 500_000,
  floor: 4_000_000,
  rocketmq: 400_000,
  "rocketmq-rust": 150_000,
  lmdb: 300_000,
  "better-sqlite3": 200_000,
  "rocksdb-native": 200_000,
  "classic-level": 30_000,
  fs: 600_000,
};

/** What is left out of every comparison of puts. */
const NO_BROKER =
  "All run inside one process: no network, no replication. Making the messages and their keys is in every time but that of columns, in which only the keys are. LMDB, LevelDB, SQLite and RocksDB keep no index of keys, the file has no CRC and no queues";

function put(number, name, title, bodyBytes, batch, messages, more) {
  const job = { workload: "put", bodyBytes, batch };
  return {
    number,
    name,
    title,
    class: CLASSES.process,
    messages,
    bodyBytes,
    leavesOut: NO_BROKER,
    contestants: [
      moraine(job),
      ...(batch > 1 ? [moraine({ ...job, form: "columns" }, "columns")] : []),
      moraine(job, "WebAssembly", WASM),
      floor(job),
      ...more.flatMap((peer) => (typeof peer === "string" ? jsPeers([peer], job) : [peer])),
    ],
  };
}

export const PUTTING = [
  {
    also: [25],
    ...put(1, "put-batch", "put, 1 KiB, batches of 64", 1024, 64, 1_000_000, [
      ...rocketmq("async", [BATCH_64]),
      rocketmqRust("async", "--batch", "64"),
      ...DATABASES,
      "fs",
    ]),
    amounts: KIBIBYTES,
    leavesOut: `${NO_BROKER}. RocketMQ puts batches of 64, which was seen to be its best way: single messages with a window of 64, or of 64 threads, were slower`,
    main: true,
  },
  {
    ...put(2, "put-batch-128", "put, 128 B, batches of 64", 128, 64, 2_000_000, [
      ...rocketmq("async", [BATCH_64]),
      "lmdb",
      "better-sqlite3",
      "rocksdb-native",
      "fs",
    ]),
    amounts: {
      ...KIBIBYTES,
      "moraine, WebAssembly": 1_000_000,
      floor: 10_000_000,
      lmdb: 1_500_000,
      "better-sqlite3": 400_000,
      "rocksdb-native": 300_000,
      fs: 1_500_000,
    },
    main: true,
  },
  {
    ...put(3, "put-batch-4k", "put, 4 KiB, batches of 64", 4096, 64, 400_000, [
      ...rocketmq("async", [BATCH_64, WINDOW_64]),
      rocketmqRust("async", "--batch", "64"),
      ...DATABASES,
      "fs",
    ]),
    amounts: { ...of(100_000, THEIRS), rocketmq: 200_000, floor: 2_000_000, "classic-level": 20_000, fs: 300_000 },
  },
  {
    ...put(4, "put-64k", "put, 64 KiB, one a call", 65_536, 1, 30_000, [
      ...rocketmq("async", [WINDOW_64, THREADS_8]),
      rocketmqRust("async"),
      ...DATABASES,
      "fs",
    ]),
    amounts: { ...of(8_000, THEIRS), rocketmq: 16_000, floor: 120_000, "classic-level": 2_000, fs: 15_000 },
  },
  {
    ...put(5, "put-one", "put, 1 KiB, one a call", 1024, 1, 1_000_000, [
      ...rocketmq("async", [THREADS_8, WINDOW_64]),
      rocketmqRust("async"),
      "lmdb",
      "better-sqlite3",
      "fs",
    ]),
    amounts: { ...KIBIBYTES, "rocketmq-rust": 60_000, lmdb: 100_000, "better-sqlite3": 60_000, fs: 300_000 },
    main: true,
  },
];

const appending = { workload: "append", bodyBytes: 1024, waiting: 64 };
export const APPENDING = [
  {
    number: 6,
    name: "append",
    title: "append, a promise a message, 64 outstanding, 1 KiB",
    class: CLASSES.process,
    messages: 800_000,
    amounts: { ...KIBIBYTES, "rocketmq-rust": 100_000 },
    bodyBytes: 1024,
    leavesOut: `${NO_BROKER}. The floor is copied one message a call, without promises`,
    contestants: [
      moraine(appending),
      moraine(appending, "WebAssembly", WASM),
      floor({ workload: "put", bodyBytes: 1024, batch: 1 }),
      ...rocketmq("async", [THREADS_8, WINDOW_64]),
      rocketmqRust("async", "--tasks", "64"),
    ],
  },
  {
    number: 8,
    name: "first-lap",
    title: "first lap: put, 1 KiB, batches of 64, into files that nobody has touched",
    class: CLASSES.process,
    messages: 800_000,
    amounts: { rocketmq: 400_000 },
    bodyBytes: 1024,
    leavesOut: `${NO_BROKER}. The warm-up went to another store, RocketMQ's to the front of the same files; the floor writes into a hole`,
    contestants: [
      moraine({ workload: "put", bodyBytes: 1024, batch: 64, firstLap: true }),
      moraine({ workload: "put", bodyBytes: 1024, batch: 64, firstLap: true, form: "columns" }, "columns"),
      floor({ workload: "put", bodyBytes: 1024, batch: 64, firstLap: true }),
      ...rocketmq("async", [BATCH_64]),
    ],
  },
];

function durable(number, inFlight, messages, amounts) {
  const job = { bodyBytes: 1024, durable: true };
  const group = { ...job, workload: "put", batch: inFlight };
  const append = { ...job, workload: "append", waiting: inFlight };
  const threads = ["--threads", String(inFlight)];
  return {
    number,
    name: `durable-${inFlight}`,
    title: `durable, 1 KiB, ${inFlight.toLocaleString("en")} in flight`,
    class: CLASSES.power,
    messages,
    amounts,
    bodyBytes: 1024,
    leavesOut:
      "No network, no replication. Databases, the file and the floor sync a group that is complete; ours and RocketMQ's form theirs of producers that wait one by one, a promise or a thread each. RocksDB's package has no synced write",
    contestants: [
      moraine(append),
      ...(inFlight > 1 ? [moraine({ ...group, form: "columns" }, "columns")] : []),
      moraine(append, "WebAssembly", WASM),
      floor(group),
      ...rocketmq(
        "sync",
        inFlight === 1 ? [[]] : inFlight > 64 ? [["--window", String(inFlight)]] : [threads, WINDOW_64],
      ),
      rocketmqRust("sync", "--tasks", String(inFlight)),
      ...jsPeers(["better-sqlite3", "lmdb", "classic-level", "fs"], group),
    ],
  };
}

export const DURABLE = [
  { ...durable(9, 1, 5_000), main: true },
  {
    ...durable(10, 64, 250_000, {
      "moraine, WebAssembly": 100_000,
      floor: 400_000,
      rocketmq: 100_000,
      "rocketmq-rust": 40_000,
      "better-sqlite3": 60_000,
      lmdb: 60_000,
      "classic-level": 20_000,
      fs: 200_000,
    }),
    main: true,
    also: [25],
  },
  durable(11, 1000, 800_000, {
    ...of(200_000, THEIRS),
    rocketmq: 400_000,
    "moraine, WebAssembly": 400_000,
    floor: 2_000_000,
    "rocketmq-rust": 40_000,
    "classic-level": 40_000,
  }),
];
