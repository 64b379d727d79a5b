// The row that speaks of everything at once.
import { CLASSES, floor, moraine, rocketmq, rocketmqRust, WASM } from "./peers.mjs";

const job = { workload: "headline", bodyBytes: 1024, producers: 256 };

export const HEADLINE = [
  {
    number: 26,
    name: "headline",
    title: "256 producers each waiting for its acknowledgement, 8 queues, a consumer that reads in 32s, 1 KiB",
    main: true,
    class: CLASSES.process,
    messages: 800_000,
    amounts: { "moraine, WebAssembly": 400_000, floor: 4_000_000, rocketmq: 400_000, "rocketmq-rust": 60_000 },
    bodyBytes: 1024,
    leavesOut:
      "No network is in it, and no replication: a broker adds both. The white paper of a managed RocketMQ has 72,216, 125,168 and 128,226 messages a second on 4, 8 and 16 cores for the whole broker. The floor copies one message a call, and nobody waits or reads. RocketMQ has its messages from one thread, 256 outstanding: 256 threads of two cores contend for its lock, and put 2,300 a second",
    contestants: [
      moraine(job),
      moraine({ ...job, worker: true }, "consumer in a worker"),
      moraine(job, "WebAssembly", WASM),
      floor({ workload: "put", bodyBytes: 1024, batch: 1 }),
      ...rocketmq("async", [["--window", "256", "--readers", "1"]]),
      rocketmqRust("async", "--tasks", "256", "--readers", "1"),
    ],
  },
];
