/** 25 messages, written by a running RocketMQ with its clock overridden: ours are the same files, byte for byte. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Store } from "../../src/index.ts";
import { golden } from "../unit/golden.ts";
import { ASIDE, CONFIGURATION, filesOf, type Put, replayed } from "./golden-store.ts";
import { bytes, openStore, temporaryDirectory, thrown } from "./temporary-store.ts";

interface ByTime {
  topic: string;
  queueId: number;
  timestamp: number;
  LOWER: number;
  UPPER: number;
}

interface Got {
  topic: string;
  queueId: number;
  offset: number;
  maxMsgNums: number;
  status: string;
  nextBeginOffset: number;
  minOffset: number;
  maxOffset: number;
  count: number;
  bytes: number;
}

interface Run {
  puts: Put[];
  topicA0StoreTimes: number[];
  offsetByTime: ByTime[];
  getMessage: Got[];
  "queryMessage.TopicA.K3.physicalOffsets": number[];
  files: Record<string, { size: number; prefixHexRestZero: string }>;
}

const run = golden("store.run.25msgs").expected as unknown as Run;
const restarted = golden("store.restart.normal").expected as Record<string, number | boolean>;

/** A file of the vector: its first bytes, all others zero. */
function content({ size, prefixHexRestZero }: { size: number; prefixHexRestZero: string }): Buffer {
  const whole = Buffer.alloc(size);
  whole.write(prefixHexRestZero, "hex");
  return whole;
}

/** Where a checkpoint says where its last record starts. RocketMQ writes it when it opens the store again. */
const CONFIRM_OFFSET_AT = 32;

describe("store.run.25msgs", () => {
  test("leaves RocketMQ's files, byte for byte", async () => {
    const path = await temporaryDirectory();
    await (await replayed(path)).close();

    const wanted = new Map(
      Object.entries(run.files)
        .filter(([name]) => !ASIDE.has(name))
        .map(([name, file]) => [name, content(file)]),
    );

    const found = filesOf(path);
    expect([...found.keys()].sort()).toEqual([...wanted.keys()].sort());
    for (const [name, file] of wanted) {
      expect(Buffer.from(found.get(name) as Uint8Array).toString("hex"), name).toBe(file.toString("hex"));
    }
  });

  test.each(["while it is open", "opened again"])(
    "answers by offset, time and key as RocketMQ does, %s",
    async (when) => {
      const path = await temporaryDirectory();
      let store = await replayed(path);
      if (when === "opened again") {
        await store.close();
        store = await openStore(CONFIGURATION, path);
      }
      expectAnswers(store);
    },
  );
});

/** Java makes the queue that it is asked for, and finds it empty; we answer that there is none, and make none. */
function statusOfOurs({ queueId, status }: Got): string {
  if (queueId !== 7) return status;
  expect(status).toBe("NO_MESSAGE_IN_QUEUE");
  return "NO_MATCHED_LOGIC_QUEUE";
}

describe("store.restart.normal", () => {
  test("a store that was closed and is opened again reports what RocketMQ does", async () => {
    const path = await temporaryDirectory();
    await (await replayed(path)).close();
    const store = await openStore(CONFIGURATION, path);
    expect(restarted.loadOk).toBe(true);
    expect(store.health()).toMatchObject({ clean: true, findings: [] });
    expect(store.log.minOffset).toBe(restarted.minPhyOffset);
    expect(store.log.endOffset).toBe(restarted.maxPhyOffset);
    expect(store.offsets("TopicA", 0).max).toBe(restarted.topicA0Max);
    expect(store.offsets("TopicB", 0).max).toBe(restarted.topicB0Max);
    await store.close();
    expect(Number(readFileSync(join(path, "checkpoint")).readBigInt64BE(CONFIRM_OFFSET_AT))).toBe(
      restarted.checkpointConfirmPhyOffset,
    );
  });

  test("and puts behind it, at the next queue offsets", async () => {
    const path = await temporaryDirectory();
    await (await replayed(path)).close();
    const store = await openStore(CONFIGURATION, path);
    const { physicalOffset, queueOffset } = store.put({ topic: "TopicA", queueId: 0, body: bytes("next") });
    expect([physicalOffset, queueOffset]).toEqual([restarted.maxPhyOffset, restarted.topicA0Max]);
  });
});

function expectAnswers(store: Store): void {
  const times = run.topicA0StoreTimes.map((_, offset) => store.timeOf("TopicA", 0, offset));
  expect(times).toEqual(run.topicA0StoreTimes);
  for (const { topic, queueId, timestamp, LOWER, UPPER } of run.offsetByTime) {
    expect(store.offsetByTime(topic, queueId, timestamp, "lower"), `lower ${timestamp}`).toBe(LOWER);
    expect(store.offsetByTime(topic, queueId, timestamp, "upper"), `upper ${timestamp}`).toBe(UPPER);
  }
  for (const line of run.getMessage) {
    const { topic, queueId, offset, maxMsgNums } = line;
    if (offset < 0) {
      // Java: too small, and 0 instead. Here it is no offset at all.
      expect(line).toMatchObject({ status: "OFFSET_TOO_SMALL", nextBeginOffset: 0 });
      expect(thrown(() => store.get(topic, queueId, offset))).toMatchObject({ code: "STORE_INVALID_ARGUMENT" });
      continue;
    }
    const found = store.get(topic, queueId, offset, { max: maxMsgNums });
    expect(
      {
        status: found.status,
        nextBeginOffset: found.nextOffset,
        minOffset: found.minOffset,
        maxOffset: found.maxOffset,
        count: found.messages.length,
        bytes: found.bytes.length,
      },
      `get ${topic}/${queueId} at ${offset}`,
    ).toEqual({
      status: statusOfOurs(line),
      nextBeginOffset: line.nextBeginOffset,
      minOffset: line.minOffset,
      maxOffset: line.maxOffset,
      count: line.count,
      bytes: line.bytes,
    });
  }
  const hits = [...store.lookup("TopicA", "K3")].map((found) => found.physicalOffset);
  expect(hits).toEqual(run["queryMessage.TopicA.K3.physicalOffsets"]);
}
