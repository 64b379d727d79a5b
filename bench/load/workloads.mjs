// The workloads on our side. Each opens an empty directory, warms up, measures, checks what it wrote, and closes.
import { randomFillSync } from "node:crypto";
import { Store } from "moraine";

const TOPIC = "BenchTopic";
const QUEUES = 8;
const BODY_BYTES = 1024;
const CHECKED = 1000;

const body = randomFillSync(Buffer.alloc(BODY_BYTES));

/** Message number `n`: one tag and one key of 32 characters, as the RocketMQ side has TAGS and UNIQ_KEY. */
function message(n) {
  // One of a hundred messages of each queue has another tag.
  const tags = Math.floor(n / QUEUES) % 100 === 99 ? "TagB" : "TagA";
  return { topic: TOPIC, queueId: n % QUEUES, tags, keys: [`7F0000010BAD00000000000${100_000_000 + n}`], body };
}

/** Seconds that `work` takes. */
async function timed(work) {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** Every queue is dense, and samples of the messages are what was put. */
function check(store, count) {
  let found = 0;
  for (let queue = 0; queue < QUEUES; queue++) {
    const { min, max } = store.offsets(TOPIC, queue);
    if (min !== 0) throw new Error(`queue ${queue} starts at ${min}`);
    found += max;
    const step = Math.max(1, Math.floor(max / (CHECKED / QUEUES)));
    for (let offset = 0; offset < max; offset += step) {
      const [read] = store.get(TOPIC, queue, offset, { max: 1 }).messages;
      if (read?.queueOffset !== offset || !body.equals(read.body))
        throw new Error(`queue ${queue} offset ${offset} is wrong`);
    }
  }
  if (found !== count) throw new Error(`${found} messages instead of ${count}`);
}

function putBatches(store, from, count) {
  const batch = new Array(64);
  for (let n = from; n < from + count; n += 64) {
    batch.length = Math.min(64, from + count - n);
    for (let i = 0; i < batch.length; i++) batch[i] = message(n + i);
    store.putBatch(batch);
  }
}

/** @type {Record<string, { flush: "async" | "sync", durability: string, run(store: Store, from: number, count: number): unknown }>} */
const WORKLOADS = {
  "put-batch": { flush: "async", durability: "survives kill -9", run: putBatches },
  "put-one": {
    flush: "async",
    durability: "survives kill -9",
    run(store, from, count) {
      for (let n = from; n < from + count; n++) store.put(message(n));
    },
  },
  "append-durable": {
    flush: "sync",
    durability: "survives power loss",
    async run(store, from, count) {
      let next = from;
      const waiter = async () => {
        while (next < from + count) await store.append(message(next++));
      };
      await Promise.all(Array.from({ length: 64 }, waiter));
    },
  },
  "batch-durable": {
    flush: "sync",
    durability: "survives power loss",
    async run(store, from, count) {
      for (let n = from; n < from + count; n += 64) {
        putBatches(store, n, Math.min(64, from + count - n));
        await store.flush();
      }
    },
  },
};

/** Runs a workload in `dir` and answers with its figures. */
export async function run(name, dir, messages) {
  const cpuStart = process.cpuUsage();
  const warmUp = Math.min(Math.floor(messages / 4), 200_000);
  const result =
    name in READS ? await read(dir, messages, READS[name]) : await write(WORKLOADS[name], dir, messages, warmUp);
  const cpu = process.cpuUsage(cpuStart);
  return {
    workload: name,
    messages,
    ...result,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    maxResidentBytes: process.resourceUsage().maxRSS * 1024,
  };
}

async function write(workload, dir, messages, warmUp) {
  const store = await Store.open(dir, { flush: workload.flush });
  await workload.run(store, 0, warmUp);
  const seconds = await timed(() => workload.run(store, warmUp, messages));
  await store.flush();
  check(store, warmUp + messages);
  await store.close();
  return { durability: workload.durability, seconds, messagesPerSecond: messages / seconds };
}

/** Filters of the reading workloads. */
const READS = { read: undefined, unfiltered: undefined, filter: { tags: "TagB || TagC" } };

/**
 * Reads a store of `messages` messages front to back, again and again, 32 at a time. What counts are the queue entries
 * passed; without a filter each is a message read.
 */
async function read(dir, messages, filter) {
  const store = await Store.open(dir);
  putBatches(store, 0, messages);
  await store.flush();
  const pass = (limit) => {
    let passed = 0;
    let found = 0;
    for (let queue = 0, offset = 0; passed < limit; ) {
      const answer = store.get(TOPIC, queue, offset, { max: 32, filter });
      found += answer.messages.length;
      passed += answer.nextOffset - offset;
      offset = answer.nextOffset;
      if (offset === answer.maxOffset) [queue, offset] = [(queue + 1) % QUEUES, 0];
    }
    const share = found / passed;
    if (filter ? Math.abs(share - 0.01) > 0.001 : share !== 1)
      throw new Error(`${found} messages of ${passed} entries`);
    return passed;
  };
  pass(messages / 4);
  let count = 0;
  const seconds = await timed(() => {
    count = pass((filter ? 40 : 2) * messages);
  });
  check(store, messages);
  await store.close();
  return { durability: "read", seconds, messagesPerSecond: count / seconds };
}
