// Rows in which messages are read. Each contestant's store is filled once, and read by a new process in every round.
import { CLASSES, floor, jsPeers, moraine, rocketmq, rocketmqRust, WASM } from "./peers.mjs";

const BODY = { bodyBytes: 1024 };
const ORDERED = ["better-sqlite3", "lmdb", "classic-level"];
const IN_CACHE = "Everything is in the system's cache. No network";

function reading(row) {
  return { class: CLASSES.read, kept: true, ...BODY, ...row };
}

const raw = { workload: "read", ...BODY };
const touched = { workload: "read", touched: true, ...BODY };
const random = { workload: "random", by: "offset", ...BODY, reads: 400_000 };
const lookup = { workload: "random", by: "key", ...BODY, reads: 400_000 };

export const READING = [
  reading({
    number: 15,
    name: "read",
    title: "catch-up read, raw records, 32 a call, 1 KiB, cached",
    main: true,
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Ours are copied into JavaScript's memory, their CRC was verified when a range was first read; RocketMQ's are slices of its mapping, whose bytes nobody touched, or, where it is said, were copied into an array; databases copy values, and check nothing`,
    contestants: [
      moraine(raw),
      moraine({ ...raw, max: 256 }, "256 a call"),
      moraine(raw, "WebAssembly", WASM),
      floor(raw),
      ...rocketmq("read", [[]]),
      ...rocketmq("read", [["--touch", "true"]], "rocketmq, bytes touched"),
      rocketmqRust("read"),
      ...jsPeers(ORDERED, raw),
    ],
  }),
  reading({
    number: 16,
    name: "read-messages",
    title: "catch-up read, messages with tags and body touched, 32 a call, 1 KiB, cached",
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Touched is a tag, and a byte of each cache line of the body; RocketMQ's bytes were copied into an array, and no message was made of them`,
    contestants: [
      moraine(touched),
      moraine(touched, "WebAssembly", WASM),
      floor(touched),
      ...rocketmq("read", [["--touch", "true"]]),
      ...jsPeers([...ORDERED, "rocksdb-native"], touched),
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
      moraine(random),
      moraine(random, "WebAssembly", WASM),
      floor(random),
      ...rocketmq("get", [[]]),
      { ...rocketmq("get", [["--touch", "true"]], "rocketmq, bytes touched")[0], apart: true },
      ...jsPeers(["lmdb", "better-sqlite3", "rocksdb-native"], random),
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
      moraine(lookup),
      moraine(lookup, "WebAssembly", WASM),
      floor(lookup),
      floor({ ...lookup, together: 16 }, "floor, 16 a call"),
      ...rocketmq("key", [[]]),
      rocketmqRust("key"),
      ...jsPeers(["lmdb", "better-sqlite3", "rocksdb-native"], lookup),
    ],
  }),
  reading({
    number: 20,
    name: "by-time",
    title: "queue offset by time, exact bound",
    messages: 200_000,
    leavesOut: `${IN_CACHE}. Many messages share a millisecond: both find the first of them`,
    contestants: [moraine({ workload: "random", by: "time", ...BODY, reads: 400_000 }), ...rocketmq("time", [[]])],
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
