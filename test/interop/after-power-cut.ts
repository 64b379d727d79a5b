/**
 * What RocketMQ by itself makes of a store that lost its power, and nobody who wrote the store can keep it from: told
 * apart here from what must hold.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Finding, Store } from "../../src/index.ts";
import type { EntryLine, Expected, MessageLine, QueueLine } from "./expected.ts";
import type { KillPlan, Life } from "./kill-plans.ts";
import { straddlesSectors } from "./power-cut.ts";

export interface Queue {
  topic: string;
  queueId: number;
}

export const queueName = ({ topic, queueId }: Queue): string => `${topic}/${queueId}`;

/** Entries behind the end of a queue that RocketMQ took back: it shows them as soon as it opens the store again. */
export interface Stale extends Queue {
  /** The end that the queue had while RocketMQ knew of it, and the one that it has since. */
  from: number;
  max: number;
}

export function staleEntries(known: Expected, reread: readonly { kind: string }[]): Stale[] {
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

export function withoutStale(found: Expected, stale: ReadonlyMap<string, Stale>): Expected {
  const isStale = (entry: EntryLine): boolean => {
    const { from = 0, max = 0 } = stale.get(queueName(entry)) ?? {};
    return entry.index >= from && entry.index < max;
  };
  return { ...found, entries: found.entries.filter((entry) => !isStale(entry)) };
}

/**
 * Queues of which a file begins with zeros: RocketMQ counts the first entry of a queue's last file whatever it is, and then looks
 * at no file in front of it, so that it takes back nothing of that queue: entries of messages that the log has lost stay. And
 * those that end with an entry that was torn at the border of two sectors, whose message the log has lost: what is left of
 * its offset leads to an earlier place.
 */
export function spoiltQueues(lines: readonly { kind: string }[], fileEntries: number): Set<string> {
  const entries = lines.filter((line): line is EntryLine => line.kind === "cq");
  const messages = lines.filter((line): line is MessageLine => line.kind === "message");
  const places = new Set(messages.map((message) => `${queueName(message)}/${message.queueOffset}`));
  const isSpoilt = (entry: EntryLine): boolean => {
    if (entry.size === 0) return entry.index % fileEntries === 0;
    return straddlesSectors(entry.index, fileEntries) && !places.has(`${queueName(entry)}/${entry.index}`);
  };
  return new Set(entries.filter(isSpoilt).map(queueName));
}

/** Queues that RocketMQ knows by a directory without a file: the power cut took what was in it, and all their messages. */
export function vacantQueues(dir: string, { queues }: Expected): Set<string> {
  const names = queues.filter(({ maxOffset }) => maxOffset === 0).map(queueName);
  return new Set(names.filter((name) => readdirSync(join(dir, "consumequeue", name)).length === 0));
}

/** Without these queues; their messages stay those of the log. */
export function ofOtherQueues(found: Expected, names: ReadonlySet<string>): Expected {
  const isOther = (line: Queue): boolean => !names.has(queueName(line));
  return {
    ...found,
    queues: found.queues.filter(isOther),
    entries: found.entries.filter(isOther),
    gets: found.gets.filter(isOther),
    times: found.times.filter(isOther),
  };
}

/** RocketMQ takes an entry for whole that was torn at the border of two sectors, and never looks at it again. */
export function withWholeEntries(found: Expected, { lives }: KillPlan): Expected {
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

/** Without the times of queues that have torn entries: RocketMQ looks for the store time of whatever such an entry leads to. */
export function withoutTornTimes(asFound: Expected, whole: Expected): Expected {
  const places = new Map(whole.entries.map((entry) => [`${queueName(entry)}/${entry.index}`, entry.offset]));
  const torn = asFound.entries.filter((entry) => places.get(`${queueName(entry)}/${entry.index}`) !== entry.offset);
  const names = new Set(torn.map(queueName));
  return { ...asFound, times: asFound.times.filter((line) => !names.has(queueName(line))) };
}

/**
 * RocketMQ checks no more of a record than its body: of one that no sync covered the rest may be torn. Where it keeps such
 * records and closes the store, we know them for damaged; which these are, by what we found.
 */
export function tornRecords(store: Store, found: readonly MessageLine[], synced: number): MessageLine[] {
  const unsynced = found.filter(({ offset, size }) => offset + size > synced);
  const damaged = [...store.scan({})].filter((item) => item.kind === "damaged");
  return damaged.map(({ physicalOffset, size }) => {
    const record = unsynced.find((one) => one.offset === physicalOffset && one.size === size);
    expect(record, `what RocketMQ found at ${physicalOffset}, where we find damage`).toBeDefined();
    expect(() => store.at(physicalOffset)).toThrow(expect.objectContaining({ code: "STORE_CORRUPT" }));
    return record as MessageLine;
  });
}

/** Nothing is told but that torn records are damaged, and what RocketMQ left out in queues that are spoilt. */
export function expectKnownFindings(
  findings: readonly Finding[],
  found: readonly MessageLine[],
  torn: readonly MessageLine[],
  spoilt: ReadonlySet<string>,
): void {
  const isKnown = ({ kind, offset, message }: Finding): boolean => {
    if (kind === "damaged") return torn.some((record) => record.offset === offset);
    if (kind !== "queue-gap") return kind === "cut" || kind === "queue-damaged";
    // In front of the next message of such a queue, which was made anew.
    const next = found.find((record) => record.offset === offset);
    const [, last] = /^queue offsets \d+ to (\d+) have no message$/.exec(message) ?? [];
    return next !== undefined && spoilt.has(queueName(next)) && Number(last) === next.queueOffset - 1;
  };
  expect(findings.filter((finding) => !isKnown(finding))).toEqual([]);
}
