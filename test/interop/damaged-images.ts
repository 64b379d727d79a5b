/** The same damaged store, given to RocketMQ and to us: we keep all that it keeps, but for the differences that `RULES` names. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { type ScanItem, Store, StoreError, type StoreOptions } from "../../src/index.ts";
import { damage } from "./damage.ts";
import { Dice } from "./dice.ts";
import { type EntryLine, type Expected, expectedFrom, type MessageLine } from "./expected.ts";
import { fixtureNames, lineOf, unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { LINES, type Line } from "./oracle.ts";
import type { ServedOracle } from "./served-oracle.ts";
import { messagesOfEveryShape, sha256, write } from "./written.ts";

/** Every difference there may be: what RocketMQ keeps and we do not, and why. */
export const RULES = {
  endsTheLog: "above what was synced, a record with a wrong CRC ends the log; it does not check that, and goes on",
  misplaced: "it believes a record that says it lies elsewhere",
  lostEnd: "it does not see that the last bytes of a record were lost",
  bodyCrc: "it reads a message without a look at the CRC of its body",
  recordCrc: "it does not check the CRC of a whole record",
  hidden: "a damaged entry hides its message until its queue is built again",
  lostFile: "a queue of which a file is cut or gone may begin later or end earlier until it is built again",
} as const;

/** A store before it is damaged. */
interface Image {
  name: string;
  dir: string;
  line: Line;
}

const SMALL = { segmentBytes: 65_536, queueFileEntries: 100, indexSlots: 64, indexEntries: 256 };

/** A store of ours, as it was closed, or as it lay there while it was open. */
async function ourImage(dice: Dice): Promise<Image> {
  const line = dice.one(LINES);
  const dir = join(temporaryFolder(), "store");
  const recordCrc = dice.chance(0.7);
  const store = await Store.open(dir, { ...SMALL, recordCrc, compat: line === "4" ? "4.9" : "5", flushIntervalMs: 1 });
  await write(store, messagesOfEveryShape(dice.from(20, 250), line));
  await store.flush();
  if (dice.chance(0.5)) {
    await store.close();
    return { name: `ours, closed${recordCrc ? ", with record CRC" : ""}`, dir, line };
  }
  const copy = join(temporaryFolder(), "store");
  cpSync(dir, copy, { recursive: true, preserveTimestamps: true });
  await store.close();
  return { name: `ours, open${recordCrc ? ", with record CRC" : ""}`, dir: copy, line };
}

async function imageOf(dice: Dice): Promise<Image> {
  if (dice.chance(0.5)) return ourImage(dice);
  const name = dice.one(fixtureNames);
  return { name, dir: unpack(name), line: lineOf(name) };
}

/** What we find in a log, by where it lies. */
interface Ours {
  messages: Map<number, { size: number; topic: string; queueId: number; queueOffset: number; sha256: string }>;
  /** Where there is none, and why. */
  damaged: { physicalOffset: number; size: number; reason: string }[];
  /** Where the log was cut, and why: when it is opened the first time. */
  cut: { offset: number; message: string } | undefined;
  /** Where a message of a queue lies. */
  at(topic: string, queueId: number, queueOffset: number): number | undefined;
}

async function look<T>(dir: string, options: StoreOptions, ask: (ours: Ours) => T): Promise<T> {
  const store = await Store.open(dir, { ...SMALL, ...options });
  try {
    const items: ScanItem[] = [...store.scan({})];
    const messages = items.flatMap((item) => (item.kind === "message" ? [item.message] : []));
    return ask({
      messages: new Map(messages.map((one) => [one.physicalOffset, { ...pick(one), sha256: sha256(one.body) }])),
      damaged: items.filter((item) => item.kind === "damaged"),
      cut: store.health().findings.find(({ kind }) => kind === "cut"),
      at: (topic, queueId, queueOffset) => whereIs(store, topic, queueId, queueOffset),
    });
  } finally {
    await store.close();
  }
}

function pick({
  size,
  topic,
  queueId,
  queueOffset,
}: {
  size: number;
  topic: string;
  queueId: number;
  queueOffset: number;
}) {
  return { size, topic, queueId, queueOffset };
}

function whereIs(store: Store, topic: string, queueId: number, queueOffset: number): number | undefined {
  try {
    return store.get(topic, queueId, queueOffset, { max: 1 }).messages[0]?.physicalOffset;
  } catch (error) {
    if (error instanceof StoreError && error.code === "STORE_CORRUPT") return undefined;
    throw error;
  }
}

/** Something that RocketMQ keeps and we do not. */
interface Lost {
  what: string;
  why: string | undefined;
}

/** Why we find nothing at a place of the log. */
function reasonAt(ours: Ours, at: number): string | undefined {
  return ours.damaged.find(({ physicalOffset, size }) => physicalOffset <= at && at < physicalOffset + size)?.reason;
}

/** Why a message that RocketMQ shows is none of ours. */
function whyNoMessage(line: MessageLine, ours: Ours): string | undefined {
  const { cut } = ours;
  if (cut !== undefined && line.offset >= cut.offset && /^CRC of the record|^the property __CRC32#/.test(cut.message)) {
    return RULES.endsTheLog;
  }
  const reason = reasonAt(ours, line.offset);
  if (line.physicalOffset !== line.offset) return RULES.misplaced;
  if (line.propertiesString.includes("\0")) return RULES.lostEnd;
  if (reason?.startsWith("body CRC is")) return RULES.bodyCrc;
  if ("__CRC32#" in line.properties && reason?.includes("CRC")) return RULES.recordCrc;
  return undefined;
}

const ENTRY_BYTES = { consumequeue: 20, batchconsumequeue: 46 };

/** Entries of queue files that were damaged, by the sentences that say what was done. */
class DamagedEntries {
  /** First and last place in a queue that was changed, by the queue's directory. */
  private readonly changed: { dir: string; first: number; last: number }[] = [];
  /** Directories of queues of which a file is cut or gone. */
  private readonly cut = new Set<string>();

  constructor(done: readonly string[]) {
    for (const sentence of done) {
      const [, kind, dir, base, what = ""] =
        /^((?:batch)?consumequeue)\/(.+)\/(\d{20}): (.*)$/.exec(sentence) ?? ([] as (string | undefined)[]);
      if (kind === undefined) continue; // all queues, which are built again, or no queue
      const place = `${kind}/${dir}`;
      const entry = (byte: number) => Math.floor((Number(base) + byte) / ENTRY_BYTES[kind as keyof typeof ENTRY_BYTES]);
      const bits = /^a bit of byte (.+)$/.exec(what)?.[1];
      const [, size, from] = /^(\d+) bytes from (\d+) on zeroed$/.exec(what) ?? [];
      if (bits !== undefined) {
        for (const byte of bits.split(", ").map(Number)) {
          this.changed.push({ dir: place, first: entry(byte), last: entry(byte) });
        }
      } else if (size !== undefined) {
        this.changed.push({ dir: place, first: entry(Number(from)), last: entry(Number(from) + Number(size) - 1) });
      } else this.cut.add(place);
    }
  }

  /** Why a message may be hidden that RocketMQ finds by an entry; `index` counts entries. */
  why({ topic, queueId, index, baseOffset }: EntryLine): string | undefined {
    const dir = `${baseOffset === undefined ? "consumequeue" : "batchconsumequeue"}/${topic}/${queueId}`;
    if (this.cut.has(dir)) return RULES.lostFile;
    const isChanged = this.changed.some((one) => one.dir === dir && one.first <= index && index <= one.last);
    return isChanged ? RULES.hidden : undefined;
  }
}

function lostOf(theirs: Expected, ours: Ours, damaged: DamagedEntries): Lost[] {
  const lost: Lost[] = [];
  const shown = new Map<number, MessageLine>();
  for (const line of theirs.messages) {
    const mine = ours.messages.get(line.offset);
    const same = mine?.sha256 === line.bodySha256 && JSON.stringify(pick(mine)) === JSON.stringify(pick(line));
    if (same) shown.set(line.offset, line);
    else
      lost.push({
        what: `the message at ${line.offset} (${reasonAt(ours, line.offset)})`,
        why: whyNoMessage(line, ours),
      });
  }
  for (const entry of theirs.entries) {
    const { topic, queueId, index, baseOffset, offset } = entry;
    const message = shown.get(offset);
    const queueOffset = baseOffset ?? index;
    // What leads elsewhere is nothing that RocketMQ keeps.
    if (message?.topic !== topic || message.queueId !== queueId || message.queueOffset !== queueOffset) continue;
    if (ours.at(topic, queueId, queueOffset) === offset) continue;
    lost.push({ what: `${topic}/${queueId} at ${queueOffset}, the message at ${offset}`, why: damaged.why(entry) });
  }
  return lost;
}

export interface Compared {
  image: string;
  damage: string[];
  /** What RocketMQ keeps and we do not, for none of the reasons of `RULES`. */
  unexplained: string[];
}

/** Damages an image by a seed, lets both read it, and says what RocketMQ keeps that we do not. */
export async function compareDamaged(seed: number, oracle: ServedOracle): Promise<Compared> {
  const dice = new Dice(seed);
  const { name, dir, line } = await imageOf(dice);
  const done = damage(dir, dice);
  const answer = await oracle.attempt(line, "read", dir, "--no-get");
  const compared: Compared = { image: `${name}, RocketMQ ${line}`, damage: done, unexplained: [] };
  const theirs = answer.lines.some(({ kind }) => kind === "open") ? expectedFrom(answer.lines) : undefined;
  const damaged = new DamagedEntries(done);
  let cut: Ours["cut"];
  for (const options of [{ readOnly: true }, { create: false }, { readOnly: true }]) {
    try {
      const lost = await look(dir, options, (ours) => {
        cut ??= ours.cut;
        return theirs === undefined ? [] : lostOf(theirs, { ...ours, cut }, damaged);
      });
      for (const { what, why } of lost) {
        if (why === undefined) compared.unexplained.push(`${JSON.stringify(options)}: ${what}`);
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const keeps = theirs?.messages.length ?? 0;
      if (keeps > 0)
        compared.unexplained.push(`${JSON.stringify(options)}: refused, RocketMQ keeps ${keeps}: ${error.message}`);
    }
  }
  return compared;
}
