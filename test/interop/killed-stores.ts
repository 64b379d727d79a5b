/** A store of ours whose process is killed, and RocketMQ opens it first (kill-plans.ts says what happens before). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";
import { killedMessage } from "../faults/killed-messages.mjs";
import { expectSameAnswers } from "./answers.ts";
import { Dice } from "./dice.ts";
import { type EntryLine, type Expected, expectedFrom, type MessageLine, type QueueLine } from "./expected.ts";
import { messagesOf } from "./found-by-us.ts";
import type { KillPlan, Life } from "./kill-plans.ts";
import type { PutLine } from "./oracle.ts";
import { cutPower, straddlesSectors, syncedOf } from "./power-cut.ts";
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
  const must = await killed(plan, dir);
  await judged(plan, folder, must, oracle);
}

/** Lives and dies as planned; the messages that nothing may have taken. */
async function killed({ seed, lives }: KillPlan, dir: string): Promise<Acknowledged[]> {
  let must: Acknowledged[] = [];
  for (const life of lives) {
    const said = await live(dir, life);
    must.push(...said.put);
    if (life.end === "cut") {
      const synced = syncedOf(dir);
      const log = Math.max(synced.log, said.durable);
      cutPower(dir, { ...synced, log }, new Dice(seed + 1000 * life.life));
      must = must.filter(({ physicalOffset, size }) => physicalOffset + size <= log);
    }
  }
  return must;
}

/** RocketMQ opens the store first, appends, and closes; then we do. */
async function judged(plan: KillPlan, folder: string, must: Acknowledged[], oracle: ServedOracle): Promise<void> {
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
  const emptied = isCut ? emptiedQueues(lines) : new Set<string>();
  const found = ofOtherQueues(withWholeEntries(expectedFrom(lines.slice(0, second)), plan), emptied);
  expect(found.open).toMatchObject({ abort: true, loaded: true });
  expectAcknowledged(found, must);
  expectOurs(found.messages, plan);
  expectDense(found);

  const asFound = ofOtherQueues(expectedFrom(lines.slice(second)), emptied);
  const after = withWholeEntries(asFound, plan);
  const puts = lines.filter(({ kind }) => kind === "put") as PutLine[];
  expect(puts.map(({ status }) => status)).toEqual(Array(40).fill("PUT_OK"));
  expect(after.messages.slice(0, found.messages.length), "what RocketMQ found stays").toEqual(found.messages);
  expect(after.messages.slice(found.messages.length).map(({ offset }) => offset)).toEqual(
    puts.map(({ offset }) => offset),
  );
  expectDense(after);
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
    for (const name of emptied) stale.delete(name);
  }
  const ours = await weGoOn(dir, options, asFound, after, isCut, stale, emptied);

  const last = withoutStale(withWholeEntries(expectedFrom(await ask("read", dir, ...words)), plan), stale);
  expect(last.open).toMatchObject({ abort: false, loaded: true, dispatchBehindBytes: 0 });
  expect(last.messages.slice(0, after.messages.length)).toEqual(after.messages);
  expect(last.messages.slice(after.messages.length).map(({ offset }) => offset)).toEqual(ours);
  expectDense(last, stale);
}

/** Entries behind the end of a queue that RocketMQ took back: it shows them as soon as it opens the store again. */
interface Stale {
  topic: string;
  queueId: number;
  /** The end that the queue had while RocketMQ knew of it, and the one that it has since. */
  from: number;
  max: number;
}

const queueName = ({ topic, queueId }: { topic: string; queueId: number }): string => `${topic}/${queueId}`;

function staleEntries(known: Expected, reread: readonly { kind: string }[]): Stale[] {
  const ends = new Map(known.queues.map((queue) => [queueName(queue), queue.maxOffset]));
  const queues = reread.filter((line): line is QueueLine => line.kind === "queue");
  return queues
    .map(({ topic, queueId, maxOffset }) => ({
      topic,
      queueId,
      from: ends.get(`${topic}/${queueId}`) ?? 0,
      max: maxOffset,
    }))
    .filter(({ from, max }) => max > from);
}

function withoutStale(found: Expected, stale: ReadonlyMap<string, Stale>): Expected {
  const isStale = (entry: EntryLine): boolean => {
    const { from = 0, max = 0 } = stale.get(queueName(entry)) ?? {};
    return entry.index >= from && entry.index < max;
  };
  return { ...found, entries: found.entries.filter((entry) => !isStale(entry)) };
}

/** After a power cut RocketMQ counts the first entry of a queue file even where that is zeros. */
function emptiedQueues(lines: readonly { kind: string }[]): Set<string> {
  const entries = lines.filter((line): line is EntryLine => line.kind === "cq");
  return new Set(entries.filter(({ size, index }) => size === 0 && index === 0).map(queueName));
}

/** Without these queues. */
function ofOtherQueues(found: Expected, names: ReadonlySet<string>): Expected {
  const isOther = (line: { topic: string; queueId: number }): boolean => !names.has(queueName(line));
  return {
    ...found,
    queues: found.queues.filter(isOther),
    entries: found.entries.filter(isOther),
    gets: found.gets.filter(isOther),
    times: found.times.filter(isOther),
  };
}

/** We open what RocketMQ closed, find all of it, and put some more; their places. Leaves in `stale` what we show, too. */
async function weGoOn(
  dir: string,
  options: StoreOptions,
  after: Expected,
  whole: Expected,
  isCut: boolean,
  stale: Map<string, Stale>,
  emptied: ReadonlySet<string>,
): Promise<number[]> {
  const store = await Store.open(dir, { ...options, flush: "async", create: false });
  try {
    const { clean, findings } = store.health();
    expect(clean).toBe(true);
    const known = isCut ? ["cut", "queue-damaged"] : [];
    expect(findings.filter(({ kind }) => !known.includes(kind))).toEqual([]);
    expect(messagesOf(store), "what we find").toEqual(after.messages.map(comparable));
    // What was torn is as RocketMQ left it, or whole again where we made the queue anew.
    const entries = after.entries.map((entry, i): EntryLine => {
      const repaired = whole.entries[i] as EntryLine;
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
    const others = new Set([...stale.keys(), ...emptied]);
    expectSameAnswers(store, ofOtherQueues({ ...after, entries }, others), others);
    const messages = Array.from({ length: 30 }, (_, n) => killedMessage(0, 0, n, 2));
    return messages.map((message) => store.put(message).physicalOffset);
  } finally {
    await store.close();
  }
}

/** RocketMQ takes an entry for whole that was torn at the border of two sectors, and never looks at it again. */
function withWholeEntries(found: Expected, { lives }: KillPlan): Expected {
  if (!lives.some(({ end }) => end === "cut")) return found;
  const { queueFileEntries: fileEntries = 0 } = (lives[0] as Life).options;
  const place = (topic: string, queueId: number, index: number): string => `${topic}/${queueId}/${index}`;
  const messages = new Map(found.messages.map((one) => [place(one.topic, one.queueId, one.queueOffset), one]));
  const entries = found.entries.map((entry) => {
    const { topic, queueId, index } = entry;
    const message = messages.get(place(topic, queueId, index));
    if (message === undefined || !straddlesSectors(index, fileEntries)) return entry;
    return { ...entry, offset: message.offset, size: message.size, tagsCode: message.tagsCode };
  });
  return { ...found, entries };
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

/** Every message is one that was put, byte for byte, acknowledged or not. */
function expectOurs(found: readonly MessageLine[], { seed, line, lives }: KillPlan): void {
  // Without a CRC over all of it RocketMQ, 4.9 anyhow, checks no more than the body: a power cut may have torn the rest of the last record.
  const bodyOnly = line === "4" || lives[0]?.options.recordCrc === false;
  const isTorn = bodyOnly && lives.at(-1)?.end === "cut" && !found.at(-1)?.properties.n?.startsWith(`${seed}/`);
  const messages = isTorn ? found.slice(0, -1) : found;
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

/** Queues begin at 0, leave nothing out, and lead to their messages; every message is in its queue. */
function expectDense(found: Expected, stale: ReadonlyMap<string, Stale> = new Map()): void {
  expectEveryEntry(found);
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
