// Rows in which messages are read. Each contestant's store is filled once, and read by a new process in every round.
import { CLASSES, floor, jsPeers, moraine, rocketmq, rocketmqRust, WASM } from "./peers.mjs";

const BODY = { bodyBytes: 1024 };
const ORDERED = ["better-sqlite3", "lmdb", "classic-level"];
const IN_CACHE = "Everything is in the system's cache. No network";

function reading(row) {
  return { class: CLASSES.read, kept: true, ...BODY, ...row };
}

/** How many times everything is read: more often by who is fast, so that every measurement takes a while. */
const [OFTEN, MANY, SOME, FEW, PART] = [100, 16, 5, 2, 0.2];
const raw = (passes) => ({ workload: "read", ...BODY, passes });
const touched = (passes) => ({ workload: "read", touched: true, ...BODY, passes });
const random = (passes) => ({ workload: "random", by: "offset", ...BODY, passes });
const lookup = (passes) => ({ workload: "random", by: "key", ...BODY, passes });
/** RocketMQ's, which Java's compiler has to see as often. */
const javaReading = (passes, ...asked) =>
  rocketmq(...asked).map((one) => ({ ...one, oracle: { ...one.oracle, passes } }));

export const READING = [
  reading({
    number: 15,
    name: "read",
    title: "catch-up read, raw records, 32 a call, 1 KiB, cached",
    main: true,
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Ours are copied into JavaScript's memory, their CRC was verified when a range was first read; RocketMQ's are slices of its mapping, whose bytes nobody touched, or, where it is said, were copied into an array; databases copy values, and check nothing`,
    contestants: [
      moraine(raw(MANY)),
      moraine({ ...raw(MANY), max: 256 }, "256 a call"),
      moraine(raw(FEW), "WebAssembly", WASM),
      floor(raw(OFTEN)),
      ...javaReading(MANY, "read", [[]]),
      ...javaReading(MANY, "read", [["--touch", "true"]], "rocketmq, bytes touched"),
      rocketmqRust("read"),
      ...jsPeers(ORDERED, raw(FEW)),
    ],
  }),
  reading({
    number: 16,
    name: "read-messages",
    title: "catch-up read, messages with tags and body touched, 32 a call, 1 KiB, cached",
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Touched is a tag, and a byte of each cache line of the body; RocketMQ's bytes were copied into an array, and no message was made of them: it is shown, and not counted as a peer`,
    contestants: [
      moraine(touched(SOME)),
      moraine(touched(FEW), "WebAssembly", WASM),
      floor(touched(OFTEN)),
      ...javaReading(MANY, "read", [["--touch", "true"]]).map((one) => ({ ...one, apart: true })),
      ...jsPeers([...ORDERED, "rocksdb-native"], touched(1)),
    ],
  }),
  reading({
    number: 18,
    name: "random",
    title: "random read by queue offset, one message a call, 1 KiB",
    main: true,
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Ours are copied and checked; RocketMQ's and LMDB's are places in their mappings, whose bytes nobody touched but where it is said`,
    contestants: [
      moraine(random(SOME)),
      moraine(random(FEW), "WebAssembly", WASM),
      floor(random(MANY)),
      ...javaReading(SOME, "get", [[]]),
      { ...javaReading(SOME, "get", [["--touch", "true"]], "rocketmq, bytes touched")[0], apart: true },
      ...jsPeers(["lmdb"], random(SOME)),
      ...jsPeers(["better-sqlite3"], random(1)),
      ...jsPeers(["rocksdb-native"], random(PART)),
    ],
  }),
  reading({
    number: 19,
    name: "lookup",
    title: "lookup by key, one message a call, 1 KiB",
    main: true,
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Ours compare the key in each message that the index names, so that there are no false hits; RocketMQ's answers are what the index has under the key's hash. Databases have the message under its key and nothing else`,
    contestants: [
      moraine(lookup(SOME)),
      moraine({ ...lookup(SOME), together: 16 }, "16 a call"),
      moraine(lookup(1), "WebAssembly", WASM),
      floor(lookup(SOME)),
      floor({ ...lookup(MANY), together: 16 }, "floor, 16 a call"),
      ...javaReading(FEW, "key", [[]]),
      rocketmqRust("key"),
      ...jsPeers(["lmdb"], lookup(SOME)),
      ...jsPeers(["better-sqlite3"], lookup(1)),
      ...jsPeers(["rocksdb-native"], lookup(PART)),
    ],
  }),
  reading({
    number: 20,
    name: "by-time",
    title: "queue offset by time, exact bound",
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Many messages share a millisecond: both find the first of them`,
    contestants: [
      moraine({ workload: "random", by: "time", ...BODY, passes: SOME }),
      ...javaReading(SOME, "time", [[]]),
    ],
  }),
  reading({
    number: 0,
    name: "filter",
    title: "get, 32 a call, a tag filter that drops 99 of 100, queue entries passed",
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Ours against ours: what a filter spares`,
    contestants: [
      moraine({ workload: "filtered", filtered: true, ...BODY }, "filter"),
      moraine({ workload: "filtered", ...BODY }, "no filter"),
    ],
  }),
];
