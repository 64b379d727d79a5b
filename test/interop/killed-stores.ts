/** A store of ours whose process is killed, and RocketMQ opens it first (kill-plans.ts says what happens before). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { type GetResult, Store, type StoreError, type StoreOptions } from "../../src/index.ts";
import { killedMessage } from "../faults/killed-messages.mjs";
import {
  expectKnownFindings,
  ofOtherQueues,
  queueName,
  type Stale,
  spoiltQueues,
  staleEntries,
  tornRecords,
  vacantQueues,
  withoutStale,
  withoutTornTimes,
  withWholeEntries,
} from "./after-power-cut.ts";
import { expectSameAnswers } from "./answers.ts";
import { Dice } from "./dice.ts";
import { type EntryLine, type Expected, expectedFrom, type MessageLine } from "./expected.ts";
import { messagesOf } from "./found-by-us.ts";
import type { KillPlan, Life } from "./kill-plans.ts";
import type { PutLine } from "./oracle.ts";
import { cutPower, syncedOf } from "./power-cut.ts";
import type { ServedOracle } from "./served-oracle.ts";
import { comparable, expectEveryEntry, sha256 } from "./written.ts";

const CHILD = fileURLToPath(new URL("../faults/killed-child.mjs", import.meta.url));

/** A message that was acknowledged. */
interface Acknowledged {
  life: number;
  n: number;
  physicalOffset: number;
  queueOffset: number;
  size: number;
  storeTimestamp: number;
}

/** What a process said before it died. */
interface Said {
  put: Acknowledged[];
  /** Byte up to which the log was durable when the store was open, or a flush resolved. */
  durable: number;
}

function saidIn(file: string, life: number): Said {
  const text = readFileSync(file, "utf8");
  const said: Said = { put: [], durable: 0 };
  for (const line of text.slice(0, text.lastIndexOf("\n")).split("\n")) {
    const [word, ...numbers] = line.split(" ");
    const [first = 0, physicalOffset = 0, queueOffset = 0, size = 0, storeTimestamp = 0] = numbers.map(Number);
    if (word === "put") said.put.push({ life, n: first, physicalOffset, queueOffset, size, storeTimestamp });
    if (word === "opened" || word === "flushed") said.durable = Math.max(said.durable, first);
  }
  return said;
}

/** Lets a process live, and returns what it said. */
export async function live(dir: string, life: Life): Promise<Said> {
  const acks = join(dir, `../said-${life.life}`);
  const child = spawn(process.execPath, [CHILD, JSON.stringify({ ...life, dir, acks })], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const closed = once(child, "close");
  if (life.end !== "close") {
    const hasPut = (): boolean => existsSync(acks) && readFileSync(acks, "utf8").includes("put ");
    while (!hasPut() && child.exitCode === null) await sleep(2);
    await sleep(life.afterMs);
    child.kill("SIGKILL");
  }
  const [code] = await closed;
  expect({ code, err }, `the process of life ${life.life}`).toEqual({ code: life.end === "close" ? 0 : null, err: "" });
  return saidIn(acks, life.life);
}

/** Carries a plan out below `folder`; whatever does not hold is thrown. */
export async function playKilled(plan: KillPlan, folder: string, oracle: ServedOracle): Promise<void> {
  const dir = join(folder, "store");
  mkdirSync(folder, { recursive: true });
  await judged(plan, folder, await killed(plan, dir), oracle);
}

/** What nothing may have taken. */
interface Certain {
  messages: Acknowledged[];
  /** Byte of the log from which on the last power cut may have spoilt it. */
  synced: number;
}

/** Lives and dies as planned. */
async function killed({ seed, lives }: KillPlan, dir: string): Promise<Certain> {
  let must: Acknowledged[] = [];
  let whole = Number.MAX_SAFE_INTEGER;
  for (const life of lives) {
    const said = await live(dir, life);
    must.push(...said.put);
    if (life.end === "cut") {
      const synced = syncedOf(dir);
      const log = Math.max(synced.log, said.durable);
      cutPower(dir, { ...synced, log }, new Dice(seed + 1000 * life.life));
      must = must.filter(({ physicalOffset, size }) => physicalOffset + size <= log);
      if (life === lives.at(-1)) whole = log;
    }
  }
  return { messages: must, synced: whole };
}

/** RocketMQ opens the store first, appends, and closes; then we do. */
async function judged(plan: KillPlan, folder: string, certain: Certain, oracle: ServedOracle): Promise<void> {
  const { seed, line, lives } = plan;
  const dir = join(folder, "store");
  const { options } = lives[0] as Life;
  const scenarioFile = join(folder, "scenario.json");
  const step = { topic: "orders", queues: 2, count: 40, size: [0, 300], tags: ["paid", null], keys: "java-{n}" };
  const steps = [{ do: "read" }, step, { do: "waitDispatch" }, { do: "read" }];
  const store = javaStore(line, options);
  writeFileSync(scenarioFile, JSON.stringify({ seed, firstMessage: 100_000, store, steps }));
  const isCut = lives.at(-1)?.end === "cut";
  const ask = async (...words: string[]): Promise<{ kind: string }[]> => {
    const answers = await oracle.ask(line, ...words);
    // RocketMQ looks for the store time of what a torn entry leads to, and throws where no file is.
    return answers.filter(({ kind }) => !isCut || kind !== "time-failed");
  };
  const lines = await ask("append", dir, scenarioFile, "--puts");
  const second = lines.findLastIndex(({ kind }) => kind === "open");
  // Queues whose answers are RocketMQ's own doing.
  const spoilt = isCut ? spoiltQueues(lines, options.queueFileEntries as number) : new Set<string>();
  const foundAll = withWholeEntries(expectedFrom(lines.slice(0, second)), plan);
  const found = ofOtherQueues(foundAll, spoilt);
  expect(found.open).toMatchObject({ abort: true, loaded: true });
  expectAcknowledged(foundAll, certain.messages);
  expectOurs(found.messages, plan, certain.synced);
  expectDense(found, spoilt);

  const asFound = ofOtherQueues(expectedFrom(lines.slice(second)), spoilt);
  const after = withWholeEntries(asFound, plan);
  const puts = lines.filter(({ kind }) => kind === "put") as PutLine[];
  expect(puts.map(({ status }) => status)).toEqual(Array(40).fill("PUT_OK"));
  expect(after.messages.slice(0, found.messages.length), "what RocketMQ found stays").toEqual(found.messages);
  expect(after.messages.slice(found.messages.length).map(({ offset }) => offset)).toEqual(
    puts.map(({ offset }) => offset),
  );
  expectDense(after, spoilt);
  // RocketMQ does not zero what it takes back (trap 12): behind the new ends of log and queues the old bytes go on.
  const words = ["--keys", "auto", "--times", "auto", "--scenario", scenarioFile];
  const stale = new Map<string, Stale>();
  if (isCut) {
    const copy = join(folder, "copy");
    cpSync(dir, copy, { recursive: true });
    const reread = await oracle.attempt(line, "read", copy, ...words);
    // 4: entries that lead behind the log's end keep RocketMQ from closing what it has left so.
    expect([0, 4]).toContain(reread.code);
    for (const one of staleEntries(asFound, reread.lines)) stale.set(queueName(one), one);
    for (const name of spoilt) stale.delete(name);
  }
  const ours = await weGoOn(dir, options, { isCut, asFound, after, synced: certain.synced, stale, spoilt });

  const read = ofOtherQueues(expectedFrom(await ask("read", dir, ...words)), spoilt);
  const last = withoutStale(withWholeEntries(read, plan), stale);
  expect(last.open).toMatchObject({ abort: false, loaded: true, dispatchBehindBytes: 0 });
  expect(last.messages.slice(0, after.messages.length)).toEqual(after.messages);
  expect(last.messages.slice(after.messages.length).map(({ offset }) => offset)).toEqual(ours);
  expectDense(last, spoilt, stale);
}

/** What RocketMQ left. */
interface Left {
  isCut: boolean;
  asFound: Expected;
  /** With entries whole that were torn. */
  after: Expected;
  /** Byte of the log from which on a power cut may have spoilt it. */
  synced: number;
  /** In: what RocketMQ would show of what it took back; out: what we show, too. */
  stale: Map<string, Stale>;
  /** Queues that are not asked for; out: also those of torn records. */
  spoilt: Set<string>;
}

/** We open what RocketMQ closed, find all of it, and put some more; their places. */
async function weGoOn(dir: string, options: StoreOptions, left: Left): Promise<number[]> {
  const { isCut, asFound, after: whole, synced, stale, spoilt } = left;
  const vacant = vacantQueues(dir, asFound);
  const store = await Store.open(dir, { ...options, flush: "async", create: false });
  try {
    const { clean, findings } = store.health();
    expect(clean).toBe(true);
    const torn = tornRecords(store, asFound.messages, synced);
    for (const name of torn.map(queueName)) {
      spoilt.add(name);
      stale.delete(name);
    }
    if (isCut) expectKnownFindings(findings, asFound.messages, torn, spoilt);
    else expect(findings).toEqual([]);
    const messages = asFound.messages.filter((message) => !torn.includes(message));
    const after = withoutTornTimes({ ...ofOtherQueues(asFound, new Set([...spoilt, ...vacant])), messages }, whole);
    const damaged = torn.map(({ offset }) => offset);
    expect(messagesOf(store, damaged), "what we find").toEqual(messages.map(comparable));
    const repairs = new Map(whole.entries.map((entry) => [`${queueName(entry)}/${entry.index}`, entry]));
    // What was torn is as RocketMQ left it, or whole again where we made the queue anew.
    const entries = after.entries.map((entry): EntryLine => {
      const repaired = repairs.get(`${queueName(entry)}/${entry.index}`) as EntryLine;
      const [ours] = store.entries(entry.topic, entry.queueId, { from: entry.index, max: 1 });
      const isRepaired = ours?.physicalOffset === repaired.offset && ours.tagsCode === repaired.tagsCode;
      return isRepaired ? repaired : entry;
    });
    for (const { topic, queueId, from, max } of [...stale.values()]) {
      const ours = store.offsets(topic, queueId).max;
      if (ours === from) {
        // The log still shows what RocketMQ took back: we made the queue anew.
        stale.delete(queueName({ topic, queueId }));
        continue;
      }
      // Where they lead is no message of that queue; as RocketMQ's, its offsets go on behind them.
      expect(ours).toBe(max);
      expect(store.get(topic, queueId, from).messages).toEqual([]);
    }
    const others = new Set([...stale.keys(), ...spoilt, ...vacant]);
    expectSameAnswers(store, ofOtherQueues({ ...after, entries }, others), others);
    expectNothingForeign(store, spoilt);
    const more = Array.from({ length: 30 }, (_, n) => killedMessage(0, 0, n, 2));
    return more.map((message) => store.put(message).physicalOffset);
  } finally {
    await store.close();
  }
}

function javaStore(line: KillPlan["line"], options: StoreOptions): object {
  const { segmentBytes, queueFileEntries = 0, indexSlots, indexEntries, recordCrc } = options;
  return {
    commitLogFileSize: segmentBytes,
    consumeQueueFileSize: queueFileEntries * 20,
    indexSlots,
    indexEntries,
    messageStoreConfig: line === "4" ? {} : { enabledAppendPropCRC: recordCrc },
  };
}

/** Every message that was acknowledged is in the log, and found by its queue offset. */
function expectAcknowledged(found: Expected, must: readonly Acknowledged[]): void {
  const messages = new Map(found.messages.map((message) => [message.offset, message]));
  const place = (topic: string, queueId: number, index: number): string => `${topic}/${queueId}/${index}`;
  const entries = new Map(found.entries.map((one) => [place(one.topic, one.queueId, one.index), one]));
  const lost = must.filter(({ physicalOffset, queueOffset, size, storeTimestamp }) => {
    const message = messages.get(physicalOffset);
    const isThere =
      message?.queueOffset === queueOffset && message.size === size && message.storeTimestamp === storeTimestamp;
    const entry = isThere ? entries.get(place(message.topic, message.queueId, queueOffset)) : undefined;
    return entry?.offset !== physicalOffset || entry.size !== size;
  });
  expect(
    lost.slice(0, 5),
    `${lost.length} of ${must.length} acknowledged messages that RocketMQ does not find`,
  ).toEqual([]);
}

/** Whatever became of these queues: they show messages of their own, in their order. */
function expectNothingForeign(store: Store, names: ReadonlySet<string>): void {
  for (const name of names) {
    const [topic = "", queueId] = name.split("/");
    const { min, max } = store.offsets(topic, Number(queueId));
    for (let offset = min; offset < max; ) {
      const { messages, nextOffset } = shownAt(store, topic, Number(queueId), offset);
      const places = messages.map((message) => [message.topic, message.queueId, message.queueOffset]);
      expect(places, name).toEqual(places.map(([, , at]) => [topic, Number(queueId), at]));
      expect(nextOffset, name).toBeGreaterThan(offset);
      offset = nextOffset;
    }
  }
}

/** What a queue shows at an offset: nothing where damage is, but where to go on. */
function shownAt(
  store: Store,
  topic: string,
  queueId: number,
  offset: number,
): Pick<GetResult, "messages" | "nextOffset"> {
  try {
    return store.get(topic, queueId, offset);
  } catch (error) {
    expect(error).toMatchObject({ code: "STORE_CORRUPT", details: { nextOffset: expect.any(Number) } });
    return { messages: [], nextOffset: (error as StoreError).details.nextOffset as number };
  }
}

/** Every message is one that was put, byte for byte, acknowledged or not. */
function expectOurs(found: readonly MessageLine[], { seed, lives }: KillPlan, synced: number): void {
  // RocketMQ checks no more than the body: what a power cut made of the rest of a record that no sync covered is its own.
  const name = new RegExp(`^${seed}/\\d+/\\d+$`);
  const isTorn = ({ offset, size, properties }: MessageLine): boolean => {
    return offset + size > synced && !name.test(properties.n ?? "");
  };
  const messages = found.filter((message) => !isTorn(message));
  for (const message of messages) {
    const [ofSeed, life, n] = (message.properties.n ?? "").split("/").map(Number);
    expect(ofSeed).toBe(seed);
    const put = killedMessage(seed, Number(life), Number(n), (lives[0] as Life).queues);
    expect({ ...message, sha256: message.bodySha256 }).toMatchObject({
      topic: put.topic,
      queueId: put.queueId,
      sha256: sha256(put.body),
    });
  }
}

/** Queues begin at 0, leave nothing out, and lead to their messages; every message is in its queue, but for `spoilt` ones. */
function expectDense(
  found: Expected,
  spoilt: ReadonlySet<string>,
  stale: ReadonlyMap<string, Stale> = new Map(),
): void {
  expectEveryEntry({ ...found, messages: found.messages.filter((message) => !spoilt.has(queueName(message))) });
  for (const { topic, queueId, minOffset, maxOffset } of found.queues) {
    const entries = found.entries.filter((one) => one.topic === topic && one.queueId === queueId);
    const { from = maxOffset, max = maxOffset } = stale.get(`${topic}/${queueId}`) ?? {};
    const all = Array.from({ length: maxOffset }, (_, index) => index).filter((index) => index < from || index >= max);
    expect(minOffset, `${topic}/${queueId}`).toBe(0);
    expect(
      entries.map(({ index }) => index),
      `${topic}/${queueId}`,
    ).toEqual(all);
  }
}
