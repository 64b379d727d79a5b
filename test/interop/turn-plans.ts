/** Plans of stores that RocketMQ and we write by turns: everything that happens to one, made from a seed alone. */
import type { Message } from "../../src/index.ts";
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
  how: "put" | "putBatch" | "append";
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
    n: 0,
  };
  return {
    seed,
    rocketmq,
    segmentBytes: shape.segmentBytes,
    queueFileEntries: dice.one([10, 16, 50, 100]),
    indexSlots: dice.one([16, 64, 100]),
    indexEntries: dice.one([64, 100, 256, 1024]),
    indexTags: rocketmq === "5" ? dice.chance(0.8) : dice.chance(0.1),
    rounds: Array.from({ length: rounds }, () => roundOf(dice, shape)),
  };
}

/** What holds for all turns of a plan, and the number of the next message. */
interface Shape {
  rocketmq: Release;
  segmentBytes: number;
  topics: string[];
  queues: number;
  n: number;
}

/** 4.9 takes a record whose topic is longer than 127 bytes for the end of the log. */
function topicsOf(dice: Dice, rocketmq: Release): string[] {
  const long = rocketmq === "4" ? "t".repeat(127) : `%RETRY%${"t".repeat(dice.from(121, 240))}`;
  return ["TopicA", "%RETRY%group-a", "orders_eu", long].slice(0, dice.from(1, 4));
}

function roundOf(dice: Dice, shape: Shape): Round {
  const turns = dice.chance(0.5) ? (["java", "ours"] as const) : (["ours", "java"] as const);
  return {
    turns: turns.map((who) => (who === "ours" ? ourTurn(dice, shape) : javaTurn(dice, shape))),
    rebuild: { who: dice.chance(0.15) ? "java" : "ours", index: dice.chance(0.5), checkpoint: dice.chance(0.3) },
  };
}

function ourTurn(dice: Dice, shape: Shape): OurTurn {
  const pieces = Array.from({ length: dice.chance(0.3) ? 2 : 1 }, () =>
    Array.from({ length: dice.from(0, 4) }, (): Piece => {
      const messages = Array.from({ length: dice.from(1, 16) }, () => messageOf(dice, shape));
      return { how: dice.one(["put", "putBatch", "append"] as const), messages, flushed: dice.chance(0.3) };
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

function messageOf(dice: Dice, shape: Shape): Message {
  const n = shape.n;
  shape.n += 1;
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
    ...(dice.chance(0.05) ? delayed(dice, topic, queueId) : undefined),
  };
}

const hex = (n: number): string => n.toString(16).toUpperCase().padStart(16, "0");

function javaTurn(dice: Dice, shape: Shape): JavaTurn {
  return {
    who: "java",
    flush: dice.chance(0.2) ? "sync" : "async",
    recordCrc: shape.rocketmq !== "4" && dice.chance(0.5),
    steps: Array.from({ length: dice.from(0, 4) }, () => javaStep(dice, shape)),
  };
}

/** One step of puts; what cannot go together in RocketMQ (a batch is neither delayed nor part of a transaction) does not. */
function javaStep(dice: Dice, shape: Shape): Record<string, unknown> {
  const kind = dice.one(["plain", "plain", "plain", "batch", "delayed", "half", "transaction", "compressed"] as const);
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
    ...(kind === "compressed" ? { compress: "zlib" } : {}),
  };
}
