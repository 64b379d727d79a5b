/** Messages of every shape for a store of ours, and what RocketMQ must find of them. */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { expect } from "vitest";
import type { Message, PutResult, Store } from "../../src/index.ts";
import { canonicalHost, type EntryLine, type Expected, hasKey, type MessageLine } from "./expected.ts";
import type { Line } from "./oracle.ts";

const BORN_V6 = 0x10;
const STORE_V6 = 0x20;
/** Bits 2 and 3 of sysFlag. */
const TRANSACTION = { mask: 0xc, none: 0x0, prepared: 0x4, commit: 0x8, rollback: 0xc } as const;

/** A message and where it went. */
export interface Written {
  message: Message;
  result: PutResult;
}

/** A message without a queue entry: RocketMQ keeps it in the log only. */
export function isUnqueued(sysFlag: number): boolean {
  const bits = sysFlag & TRANSACTION.mask;
  return bits === TRANSACTION.prepared || bits === TRANSACTION.rollback;
}

/** Bytes that differ from message to message, of a length that does too. */
function body(n: number): Uint8Array {
  const length = n % 11 === 0 ? 0 : (n * 37) % 900;
  return Uint8Array.from({ length }, (_, i) => (n * 31 + i * 7) & 0xff);
}

/** `count` messages: several queues, tags and keys or none, empty bodies, IPv4 and IPv6 hosts, every transaction state. */
export function messagesOfEveryShape(count: number, line: Line): Message[] {
  const topics = ["orders", "%RETRY%group-a", line === "5" ? `%RETRY%${"t".repeat(200)}` : "t".repeat(127)];
  const tags = ["paid", undefined, "refunded", "größe"];
  const bornHosts = [undefined, { address: "10.1.2.3", port: 40_001 }, { address: "2001:db8::2", port: 40_002 }];
  const storeHosts = [undefined, { address: "fe80::1", port: 10_911 }];
  const transactions = Object.values(TRANSACTION).slice(1);
  return Array.from({ length: count }, (_, n): Message => {
    const keys = n % 5 === 0 ? undefined : n % 5 === 1 ? [`k-${n}`, "shared", `größe-${n % 40}`] : [`k-${n}`];
    return {
      topic: n % 10 === 9 ? String(topics[1 + (n % 20 > 10 ? 1 : 0)]) : String(topics[0]),
      queueId: n % 3,
      body: n % 97 === 96 ? new Uint8Array(30_000).fill(n) : body(n),
      tags: tags[n % tags.length],
      keys: keys?.[1] === "shared" && n >= 200 ? [String(keys[0])] : keys,
      properties:
        n % 2 === 0
          ? { UNIQ_KEY: `7F00000100000000${n.toString(16).toUpperCase().padStart(16, "0")}` }
          : { p: `v${n}`, q: "größe" },
      flag: n % 7 === 3 ? -n : n,
      sysFlag: n % 6 === 0 ? transactions[(n / 6) % transactions.length] : 0,
      bornTimestamp: 1_700_000_000_000 + n,
      bornHost: bornHosts[n % bornHosts.length],
      storeHost: storeHosts[n % storeHosts.length],
      reconsumeTimes: n % 4,
      preparedTransactionOffset: n % 6 === 0 ? n * 1000 : 0,
    };
  });
}

/** Puts the messages, by turns one by one, awaited, and in batches. */
export async function write(store: Store, messages: readonly Message[]): Promise<Written[]> {
  const written: Written[] = [];
  for (let at = 0; at < messages.length; at += 16) {
    const some = messages.slice(at, at + 16);
    const turn = (at / 16) % 3;
    const results =
      turn === 0
        ? some.map((message) => store.put(message))
        : turn === 1
          ? [...store.putBatch(some)]
          : await Promise.all(some.map((message) => store.append(message)));
    for (const [i, message] of some.entries()) written.push({ message, result: results[i] as PutResult });
  }
  return written;
}

export type ComparableLine = Omit<MessageLine, "kind" | "magic" | "tagsCode" | "propertiesString"> & {
  hasRecordCrc: boolean;
};

/** A line of RocketMQ's without what it says of other lines; hosts in their canonical text, `__CRC32#` apart. */
export function comparable(line: MessageLine): ComparableLine {
  const { kind, magic, tagsCode, propertiesString, ...fields } = line;
  const { "__CRC32#": crc, ...properties } = line.properties;
  return {
    ...fields,
    properties,
    hasRecordCrc: crc !== undefined,
    bornHost: canonicalHost(line.bornHost),
    storeHost: canonicalHost(line.storeHost),
  };
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What `comparable` makes of RocketMQ's line for a message of ours. */
export function lineOf({ message, result }: Written, recordCrc: boolean): ComparableLine {
  const { bornHost = { address: "127.0.0.1", port: 0 }, storeHost = { address: "127.0.0.1", port: 10_911 } } = message;
  const host = (one: { address: string; port: number }): string => {
    return one.address.includes(":") ? `[${one.address}]:${one.port}` : `${one.address}:${one.port}`;
  };
  const properties: Record<string, string> = { ...(message.properties as Record<string, string> | undefined) };
  if (message.tags !== undefined) properties.TAGS = message.tags;
  if (message.keys !== undefined) properties.KEYS = message.keys.join(" ");
  const v6 = (bornHost.address.includes(":") ? BORN_V6 : 0) | (storeHost.address.includes(":") ? STORE_V6 : 0);
  return {
    offset: result.physicalOffset,
    physicalOffset: result.physicalOffset,
    size: result.size,
    topic: message.topic,
    queueId: message.queueId,
    queueOffset: result.queueOffset,
    flag: message.flag ?? 0,
    sysFlag: (message.sysFlag ?? 0) | v6,
    bodyCRC: crc32(message.body) & 0x7fffffff,
    bornTimestamp: message.bornTimestamp ?? 0,
    bornHost: canonicalHost(host(bornHost)),
    storeTimestamp: result.storeTimestamp,
    storeHost: canonicalHost(host(storeHost)),
    reconsumeTimes: message.reconsumeTimes ?? 0,
    preparedTransactionOffset: message.preparedTransactionOffset ?? 0,
    messageId: result.offsetMsgId,
    properties,
    hasRecordCrc: recordCrc,
    bodySize: message.body.length,
    bodySha256: sha256(message.body),
  };
}

/** RocketMQ's messages from `from` on are exactly these, and it found every queue entry and every key of theirs. */
export function expectFound(found: Expected, from: number, written: readonly Written[], recordCrc: boolean): void {
  const lines = found.messages.filter((line) => line.offset >= from);
  expect(lines.map(comparable)).toEqual(written.map((one) => lineOf(one, recordCrc)));
  expectEntries(found, from, lines);
  expectHits(found, from, lines);
}

function expectEntries(found: Expected, from: number, lines: readonly MessageLine[]): void {
  const entries = found.entries.filter((entry) => entry.offset >= from).map(placed);
  const wanted = lines
    .filter(({ sysFlag }) => !isUnqueued(sysFlag))
    .flatMap((line) => {
      const { topic, queueId, queueOffset, offset, size } = line;
      const messages = Number(line.properties.INNER_NUM ?? 1);
      const own = { topic, queueId, index: queueOffset, offset, size, tagsCode: tagsCodeOf(line), messages };
      return [own, ...lightPlaces(line.properties).map((place) => ({ ...own, ...place, queueId: 0 }))];
    });
  expect(entries.sort(byPlace)).toEqual(wanted.sort(byPlace));
}

type Place = Pick<EntryLine, "topic" | "queueId" | "index">;

/** An entry by its queue offset, whatever kind of queue it is in. */
function placed({ topic, queueId, index, offset, size, tagsCode, baseOffset, batchSize, ext }: EntryLine) {
  const code = ext?.tagsCode ?? tagsCode;
  return { topic, queueId, index: baseOffset ?? index, offset, size, tagsCode: code, messages: batchSize ?? 1 };
}

function byPlace(a: Place, b: Place): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.queueId - b.queueId || a.index - b.index;
}

/** The places in light queues that the properties of a message name. */
export function lightPlaces(properties: Record<string, string>): { topic: string; index: number }[] {
  const { INNER_MULTI_DISPATCH: names, INNER_MULTI_QUEUE_OFFSET: offsets } = properties;
  if (names === undefined || offsets === undefined) return [];
  const places = offsets.split(",").map(Number);
  return names.split(",").map((topic, i) => ({ topic, index: places[i] as number }));
}

/** Every message of RocketMQ's reading that has a queue is there, where it says. */
export function expectEveryEntry(found: Expected): void {
  expectEntries(found, 0, found.messages);
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** RocketMQ's delay levels, from 1. */
const DELAYS = [
  ...[1, 5, 10, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2].map((hours) => hours * HOUR),
];

/** The tags code of an entry: of a delayed message, when it is due. */
function tagsCodeOf({ topic, properties, storeTimestamp, tagsCode }: MessageLine): number {
  if (topic !== "SCHEDULE_TOPIC_XXXX") return tagsCode;
  return storeTimestamp + (DELAYS[Number(properties.DELAY) - 1] as number);
}

function expectHits(found: Expected, from: number, lines: readonly MessageLine[]): void {
  for (const line of found.keys) {
    const wanted = lines
      .filter((message) => hasKey(message, line) && (message.sysFlag & TRANSACTION.mask) !== TRANSACTION.rollback)
      .map(({ offset }) => offset);
    // RocketMQ compares hashes only; what merely has the same hash is not asked for here.
    const hits = line.physicalOffsets.filter((offset) => {
      const message = found.messages.find((one) => one.offset === offset);
      return offset >= from && message !== undefined && hasKey(message, line);
    });
    expect(
      hits.sort((a, b) => a - b),
      `key ${line.topic} ${line.key}`,
    ).toEqual(wanted);
  }
}

/** Index entries that these messages make: one a key and one for UNIQ_KEY, none for a rolled back message. */
export function indexEntries(written: readonly Written[]): number {
  return written.reduce((sum, { message }) => {
    if (((message.sysFlag ?? 0) & TRANSACTION.mask) === TRANSACTION.rollback) return sum;
    const uniqueKey = Object.hasOwn(message.properties ?? {}, "UNIQ_KEY") ? 1 : 0;
    return sum + uniqueKey + (message.keys?.length ?? 0);
  }, 0);
}
