/** Plans of stores that RocketMQ and we write by turns: everything that happens to one, made from a seed alone. */
import type { Message } from "../../src/index.ts";
import { innerBatch } from "../contract/inner-batch.ts";
import { Dice } from "./dice.ts";

/** RocketMQ's releases, as the oracle's `--rocketmq` names them. */
export type Release = "4" | "5" | "5.3.3";

/** What one of both does before it is the other's turn. */
export interface OurTurn {
  who: "ours";
  flush: "async" | "sync";
  recordCrc: boolean;
  /** Looked at read-only before it is opened for writing. */
  readFirst: boolean;
  /** Closed and opened again in front of each piece but the first. */
  pieces: Piece[][];
}

export interface Piece {
  /** `putGroup`: the messages have one topic and queue, and share all that a group shares. */
  how: "put" | "putBatch" | "append" | "putGroup";
  messages: Message[];
  flushed: boolean;
}

export interface JavaTurn {
  who: "java";
  flush: "async" | "sync";
  recordCrc: boolean;
  /** Steps of the oracle (oracle/README.md). */
  steps: Record<string, unknown>[];
}

/** What is done to a copy once both had their turns. */
export interface Rebuild {
  who: "ours" | "java";
  /** Whether the index goes with the queues. */
  index: boolean;
  checkpoint: boolean;
}

export interface Round {
  turns: (OurTurn | JavaTurn)[];
  rebuild: Rebuild;
}

export interface TurnPlan {
  seed: number;
  rocketmq: Release;
  segmentBytes: number;
  queueFileEntries: number;
  indexSlots: number;
  indexEntries: number;
  /** Whether we index tags as RocketMQ 5.4 does. */
  indexTags: boolean;
  /** Light queues that messages go to beside their own; none in stores without. */
  lightQueues: string[];
  /** A topic with batch queues, which RocketMQ enters into its topic table when it makes the store. */
  batchTopic: string | undefined;
  /** Bytes of extension files; undefined in stores without. */
  extensionFileBytes: number | undefined;
  rounds: Round[];
}

/** The plan of a seed: 4.9.8 and 5.4.0 by turns, every tenth 5.3.3. */
export function turnPlan(seed: number, rounds: number): TurnPlan {
  const dice = new Dice(seed);
  const rocketmq: Release = seed % 10 === 0 ? "5.3.3" : seed % 2 === 0 ? "4" : "5";
  const shape: Shape = {
    rocketmq,
    segmentBytes: dice.one([4096, 8192, 16_384, 65_536]),
    topics: topicsOf(dice, rocketmq),
    queues: dice.from(1, 4),
    // RocketMQ 4.9 is not asked: its light queues came with 4.9.3 and changed until 5.
    lightQueues: rocketmq !== "4" && dice.chance(0.4) ? ["%LMQ%a", "%LMQ%b", "%LMQ%group%queue"] : [],
    batchTopic: rocketmq !== "4" && dice.chance(0.4) ? "TopicInner" : undefined,
    n: 0,
  };
  const extensionFileBytes = rocketmq !== "4" && dice.chance(0.2) ? dice.one([400, 4000]) : undefined;
  const javaFirst = shape.batchTopic !== undefined || extensionFileBytes !== undefined;
  return {
    seed,
    rocketmq,
    segmentBytes: shape.segmentBytes,
    queueFileEntries: dice.one([10, 16, 50, 100]),
    indexSlots: dice.one([16, 64, 100]),
    indexEntries: dice.one([64, 100, 256, 1024]),
    indexTags: rocketmq === "5" ? dice.chance(0.8) : dice.chance(0.1),
    lightQueues: shape.lightQueues,
    batchTopic: shape.batchTopic,
    extensionFileBytes,
    rounds: Array.from({ length: rounds }, (_, at) => roundOf(dice, shape, javaFirst && at === 0)),
  };
}

/** What holds for all turns of a plan, and the number of the next message. */
interface Shape {
  rocketmq: Release;
  segmentBytes: number;
  topics: string[];
  queues: number;
  lightQueues: string[];
  batchTopic: string | undefined;
  n: number;
}

/** 4.9 takes a record whose topic is longer than 127 bytes for the end of the log. */
function topicsOf(dice: Dice, rocketmq: Release): string[] {
  const long = rocketmq === "4" ? "t".repeat(127) : `%RETRY%${"t".repeat(dice.from(121, 240))}`;
  return ["TopicA", "%RETRY%group-a", "orders_eu", long].slice(0, dice.from(1, 4));
}

/** `makes`: RocketMQ makes the store, and its kinds of queues with the first messages. */
function roundOf(dice: Dice, shape: Shape, makes: boolean): Round {
  const turns = makes || dice.chance(0.5) ? (["java", "ours"] as const) : (["ours", "java"] as const);
  return {
    turns: turns.map((who) => (who === "ours" ? ourTurn(dice, shape) : javaTurn(dice, shape, makes ? 1 : 0))),
    rebuild: { who: dice.chance(0.15) ? "java" : "ours", index: dice.chance(0.5), checkpoint: dice.chance(0.3) },
  };
}

function ourTurn(dice: Dice, shape: Shape): OurTurn {
  const pieces = Array.from({ length: dice.chance(0.3) ? 2 : 1 }, () =>
    Array.from({ length: dice.from(0, 4) }, (): Piece => {
      const how = dice.one(["put", "putBatch", "append", "putGroup"] as const);
      const messages =
        how === "putGroup"
          ? groupOf(dice, shape)
          : Array.from({ length: dice.from(1, 16) }, () => messageOf(dice, shape));
      return { how, messages, flushed: dice.chance(0.3) };
    }),
  );
  return {
    who: "ours",
    flush: dice.chance(0.3) ? "sync" : "async",
    recordCrc: dice.chance(0.5),
    readFirst: dice.chance(0.3),
    pieces,
  };
}

const TAGS = ["paid", undefined, "refunded", "größe", "a||b"];
const HOSTS = [undefined, { address: "10.1.2.3", port: 40_001 }, { address: "2001:db8::2", port: 40_002 }];
/** sysFlag: no transaction three times as often as prepared, committed, rolled back. */
const TRANSACTIONS = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0x4, 0x8, 0xc];

/** Properties of a message that also goes to some of the light queues. */
function lightly(dice: Dice, { lightQueues }: Shape): Record<string, string> {
  const names = lightQueues.filter(() => dice.chance(0.5));
  return names.length === 0 ? {} : { INNER_MULTI_DISPATCH: names.join(",") };
}

/** The delay level's message as a broker puts it: RocketMQ keeps the time of its delivery in the queue. */
function delayed(dice: Dice, topic: string, queueId: number): Partial<Message> {
  const level = dice.from(1, 18);
  return {
    topic: "SCHEDULE_TOPIC_XXXX",
    queueId: level - 1,
    properties: { DELAY: String(level), REAL_TOPIC: topic, REAL_QID: String(queueId) },
    sysFlag: 0,
  };
}

/** Messages that can be one group. */
function groupOf(dice: Dice, shape: Shape): Message[] {
  const { queueId, bornTimestamp, bornHost, storeHost, reconsumeTimes } = messageOf(dice, shape);
  const shared = { topic: dice.one(shape.topics), queueId, bornTimestamp, bornHost, storeHost, reconsumeTimes };
  return Array.from({ length: dice.from(1, 5) }, () => {
    const { tags, keys, flag } = messageOf(dice, shape);
    return { ...shared, tags, keys, flag, body: dice.bytes(dice.from(0, 100)), properties: { p: `v${shape.n}` } };
  });
}

/** A message of the batch topic: one of its own, or several in one. */
function batchMessage(dice: Dice, { batchTopic: topic = "", queues, n }: Shape): Message {
  const queueId = dice.from(0, queues - 1);
  const bodies = Array.from({ length: dice.from(1, 5) }, () => dice.bytes(dice.from(0, 40)));
  const properties = { UNIQ_KEY: `7F00000100000000${hex(n)}` };
  if (dice.chance(0.3)) return { topic, queueId, body: bodies[0] as Uint8Array, tags: dice.one(TAGS), properties };
  return innerBatch(topic, queueId, bodies, { properties, tags: dice.one(TAGS) });
}

function messageOf(dice: Dice, shape: Shape): Message {
  const n = shape.n;
  shape.n += 1;
  if (shape.batchTopic !== undefined && dice.chance(0.2)) return batchMessage(dice, shape);
  const [topic, queueId] = [dice.one(shape.topics), dice.from(0, shape.queues - 1)];
  const longest = dice.chance(0.05) ? shape.segmentBytes / 4 : 300;
  return {
    topic,
    queueId,
    body: dice.bytes(dice.chance(0.1) ? 0 : dice.from(1, longest)),
    tags: dice.one(TAGS),
    keys: dice.one([undefined, [`k${n}`], [`k${n}`, `größe-${n % 7}`], [`of-us-${n % 5}`]]),
    properties: dice.one([undefined, { UNIQ_KEY: `7F00000100000000${hex(shape.n)}` }, { p: `v${n}`, q: "größe" }]),
    flag: dice.from(-5, 5),
    sysFlag: dice.one(TRANSACTIONS),
    bornTimestamp: 1_700_000_000_000 + n,
    bornHost: dice.one(HOSTS),
    storeHost: dice.one([undefined, { address: "fe80::1", port: 10_911 }]),
    reconsumeTimes: dice.from(0, 16),
    preparedTransactionOffset: dice.from(0, 1000),
    ...(shape.lightQueues.length > 0 && dice.chance(0.3) ? { properties: lightly(dice, shape) } : undefined),
    ...(dice.chance(0.05) ? delayed(dice, topic, queueId) : undefined),
  };
}

const hex = (n: number): string => n.toString(16).toUpperCase().padStart(16, "0");

function javaTurn(dice: Dice, shape: Shape, leastSteps: number): JavaTurn {
  return {
    who: "java",
    flush: dice.chance(0.2) ? "sync" : "async",
    recordCrc: shape.rocketmq !== "4" && dice.chance(0.5),
    steps: Array.from({ length: dice.from(leastSteps, 4) }, () => javaStep(dice, shape)),
  };
}

const STEPS = ["plain", "plain", "plain", "batch", "delayed", "half", "transaction", "compressed"];

/** One step of puts; what cannot go together in RocketMQ (a batch is neither delayed nor part of a transaction) does not. */
function javaStep(dice: Dice, shape: Shape): Record<string, unknown> {
  const light = shape.lightQueues.length > 0 ? ["light", "light"] : [];
  const inner = shape.batchTopic === undefined ? [] : ["inner", "single"];
  const kind = dice.one([...STEPS, ...light, ...inner]);
  const count = dice.from(1, 20);
  shape.n += count;
  return {
    do: "put",
    topic: dice.one(shape.topics),
    queues: shape.queues,
    count,
    size: dice.one([[0, 300], 0, [1, 40]]),
    body: dice.one(["bytes", "text", "zero"]),
    tags: dice.one([["TagA", null], "TagB", ["größe", "paid"], [null]]),
    keys: dice.one(["k{n}", ["k{n} of-java-{i}", null], "shared-{i}", [null]]),
    uniqKey: dice.chance(0.7),
    properties: dice.one([{}, { x: "{n}" }, { größe: "1", y: "2" }]),
    bornHost: dice.one([["10.0.0.1:40001", "[2001:db8::2]:40002"], "10.0.0.1:40001"]),
    storeHost: dice.one(["127.0.0.1:10911", "[fe80::1]:10911"]),
    flag: dice.from(-3, 3),
    reconsumeTimes: dice.from(0, 3),
    // An index file is named by the millisecond; two in one would be the same file.
    pauseMs: 1,
    ...(kind === "batch"
      ? { batch: dice.from(2, 6), size: [0, 100], batchProperties: { CLUSTER: "DefaultCluster" } }
      : {}),
    ...(kind === "delayed" ? { delayLevel: dice.one([1, 18, [1, 2, 3, null]]) } : {}),
    ...(kind === "half" ? { half: true } : {}),
    ...(kind === "transaction"
      ? { transaction: dice.one(["prepared", "commit", "rollback"]), preparedOffset: 77 }
      : {}),
    ...(kind === "inner" ? { topic: shape.batchTopic, innerBatch: true, batch: dice.from(1, 5), size: [0, 40] } : {}),
    ...(kind === "single" ? { topic: shape.batchTopic } : {}),
    ...(kind === "light" ? { properties: lightly(dice, shape) } : {}),
    ...(kind === "compressed" ? { compress: "zlib" } : {}),
  };
}
