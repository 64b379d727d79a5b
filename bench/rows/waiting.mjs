// Rows of time: how long somebody waits.
import { CLASSES, floor, moraine, rocketmq, rocketmqRust } from "./peers.mjs";

const latency = { workload: "durableLatency", bodyBytes: 1024, durable: true };

export const WAITING = [
  {
    number: 12,
    name: "durable-latency",
    title: "latency of a durable append, 1 KiB, at half of what 64 in flight reach",
    class: CLASSES.power,
    metric: "p50Micros",
    lessIsBetter: true,
    messages: 200_000,
    bodyBytes: 1024,
    leavesOut:
      "Open-loop: counted from when each message was due, whoever was late. The floor is one sync behind the other, for which nothing waits. What others take was only measured closed-loop, and is not comparable",
    contestants: [
      moraine(latency),
      moraine(latency, "WebAssembly", { MORAINE_ENGINE: "wasm" }),
      floor({ workload: "syncLatency", bodyBytes: 1024, durable: true, batch: 1 }),
    ],
  },
  {
    number: 14,
    name: "wake",
    title: "from the return of a put to whoever waits for its queue",
    class: CLASSES.process,
    metric: "p50Micros",
    lessIsBetter: true,
    messages: 5_000,
    smoke: 200,
    bodyBytes: 1024,
    leavesOut:
      "RocketMQ's readers poll in a broker: its store has nobody to wake. Half of a millisecond was seen from its put until its queues have the message",
    contestants: [
      moraine({ workload: "wake", bodyBytes: 1024 }, "same thread"),
      moraine({ workload: "wake", bodyBytes: 1024, worker: true }, "worker"),
    ],
  },
  {
    number: 23,
    name: "consume",
    title: "one thread puts batches of 64, another takes them as they come, 1 KiB",
    class: CLASSES.process,
    metric: "consumedPerSecond",
    messages: 500_000,
    bodyBytes: 1024,
    leavesOut: "No network. Each consumer takes the raw records, 32 a call; RocketMQ's has slices of its mapping",
    contestants: [
      moraine({ workload: "consume", bodyBytes: 1024 }),
      ...rocketmq("async", [
        ["--batch", "64", "--readers", "1"],
        ["--window", "64", "--readers", "1"],
      ]),
      rocketmqRust("async", "--batch", "64", "--readers", "1"),
    ],
  },
];
