/** The store as plain arrays and maps: what was put, in order, and what follows from it. */
import type { InnerBatchMessage, Message } from "../../src/index.ts";
import { INNER_BATCH, wireBatch } from "../contract/inner-batch.ts";
import { BATCHES, type Draft, KEYS, LIGHT_QUEUES, type Place, QUEUES, SCHEDULE, TAGS } from "./operations.ts";

/** Seconds of delay by level, from 1 on: RocketMQ's default, and those of DELAY_LEVELS. */
const DELAYS = [
  [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200],
  [2, 60, 10_800],
] as const;
/** What is left free by a record that goes to light queues: how long the list of its offsets may become. */
const LIGHT_MARGIN = 64;
const BLANK_HEADER_BYTES = 8;
/** `__CRC32#`, a separator, ten digits, an end. */
const CRC_PROPERTY_BYTES = 20;
/** A clock further behind than this is followed. */
const HELD_MS = 600_000;

/** A message as it must be found again. */
export interface Stored {
  readonly message: Message | InnerBatchMessage;
  readonly body: Uint8Array;
  /** Offsets that it takes in its queue: the messages of an inner batch. */
  readonly count: number;
  /** Undefined for what takes no place in its queue. */
  readonly queueOffset: number | undefined;
  readonly physicalOffset: number;
  readonly size: number;
  readonly storeTimestamp: number;
  readonly sysFlag: number;
  readonly properties: ReadonlyMap<string, string>;
  /** KEYS and UNIQ_KEY. */
  readonly keys: readonly string[];
  readonly tags: string | undefined;
  readonly tagsCode: number;
  /** Light queues that it goes to beside its own. */
  readonly light: readonly string[];
  /** Whether the store kept an index when it was put. */
  readonly indexed: boolean;
}

/** What the options say, as far as answers depend on them. */
export interface Kind {
  readonly sync: boolean;
  readonly recordCrc: boolean;
  readonly index: boolean;
  readonly delayLevels: number;
}

/** Java's `String.hashCode`. */
export function javaHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}

/** A place as an offset in `0..length`, or at or behind `length`. */
export function offsetOf(place: Place, length: number): number {
  if ("behind" in place) return length + place.behind;
  return length === 0 ? 0 : place.in % length;
}

/** A property string. */
function textOf(properties: ReadonlyMap<string, string>): string {
  return [...properties].map(([name, value]) => `${name}\u0001${value}\u0002`).join("");
}

/** The messages of a queue with the offset that each begins at. */
export function placed(messages: readonly Stored[]): { base: number; end: number; stored: Stored }[] {
  let end = 0;
  return messages.map((stored) => {
    const base = end;
    end += stored.count;
    return { base, end, stored };
  });
}

/** The offset behind the messages of a queue. */
export function endOf(messages: readonly Stored[]): number {
  return messages.reduce((sum, { count }) => sum + count, 0);
}

const queueKey = (topic: string, queueId: number) => `${topic} ${queueId}`;

/** A draft as a message, with what the store makes of it. */
export interface Prepared {
  readonly message: Message | InnerBatchMessage;
  readonly body: Uint8Array;
  readonly count: number;
  readonly properties: ReadonlyMap<string, string>;
  readonly light: readonly string[];
  readonly size: number;
}

export class Model {
  readonly segmentBytes: number;
  kind: Kind;
  readonly log: Stored[] = [];
  /** Unused ends of files. */
  readonly blanks: { at: number; size: number }[] = [];
  readonly #queues = new Map<string, Stored[]>();
  end = 0;
  /** Everything put before is known to be durable. */
  durable = 0;
  lastTime = 0;
  clean = true;
  /** Messages and bytes since the store was opened. */
  put: { messages: number; bytes: number } = { messages: 0, bytes: 0 };
  /** Offsets of groups, by `group topic queueId`. */
  groups: Map<string, number> = new Map();
  /** States of the groups that may be on disk. */
  groupsOnDisk: Map<string, number>[] = [new Map()];

  constructor(segmentBytes: number, kind: Kind) {
    this.segmentBytes = segmentBytes;
    this.kind = kind;
  }

  /** Messages that took a place in a queue, visible or not. */
  queue(topic: string, queueId: number): Stored[] {
    return this.#queues.get(queueKey(topic, queueId)) ?? [];
  }

  get queueCount(): number {
    return this.#queues.size;
  }

  topics(): string[] {
    return [...new Set([...this.#queues.keys()].map((key) => key.slice(0, key.indexOf(" "))))].sort();
  }

  queueIds(topic: string): number[] {
    return QUEUES.filter(([name, id]) => name === topic && this.queue(name, id).length > 0)
      .map(([, id]) => id)
      .sort((a, b) => a - b);
  }

  /** Bytes that a record can take in the file at hand. */
  get room(): number {
    return Math.max(0, this.segmentBytes - (this.end % this.segmentBytes) - BLANK_HEADER_BYTES);
  }

  /** One of a group goes to no light queues. */
  prepare(draft: Draft, inGroup = false): Prepared {
    const [topic, queueId] = QUEUES[draft.queue] as (typeof QUEUES)[number];
    const isPlaced = draft.transaction === 0 || draft.transaction === 2;
    const inner = topic === BATCHES && isPlaced && !inGroup ? draft.inner : 0;
    const mayBeLight = !inGroup && topic !== BATCHES && topic !== SCHEDULE && !topic.startsWith("%RETRY%");
    const named = mayBeLight ? draft.light.map((light) => LIGHT_QUEUES[light] as string) : [];
    // Prepared and rolled back ones go nowhere.
    const light = isPlaced ? named : [];
    const tags = draft.tags === undefined ? undefined : TAGS[draft.tags];
    const keys = draft.keys.map((key) => KEYS[key] as string);
    const further = new Map<string, string>();
    if (draft.delay !== undefined) further.set("DELAY", String(draft.delay));
    if (draft.uniqKey !== undefined) further.set("UNIQ_KEY", KEYS[draft.uniqKey] as string);
    for (let i = 0; i < draft.further; i++) further.set(`p${i}`, `value ${i}`);
    const properties = new Map<string, string>();
    if (inner > 0) properties.set("INNER_BASE", String(endOf(this.queue(topic, queueId))));
    if (tags !== undefined) properties.set("TAGS", tags);
    if (keys.length > 0) properties.set("KEYS", keys.join(" "));
    if (named.length > 0) properties.set("INNER_MULTI_DISPATCH", named.join(","));
    for (const [name, value] of further) properties.set(name, value);
    const given = textOf(new Map([...properties].filter(([name]) => name !== "INNER_BASE")));
    if (inner > 0) properties.set("INNER_NUM", String(inner));
    if (light.length > 0) {
      const offsets = light.map((name) => this.queue(name, 0).length);
      properties.set("INNER_MULTI_QUEUE_OFFSET", offsets.join(","));
    }
    const text = textOf(properties);
    const hosts = draft.v6
      ? { bornHost: { address: "2001:db8::1", port: 1 }, storeHost: { address: "::1", port: 65_535 } }
      : {};
    const overhead =
      72 +
      (draft.v6 ? 40 : 16) +
      (topic.length > 127 ? 2 : 1) +
      topic.length +
      2 +
      Buffer.byteLength(text) +
      (this.kind.recordCrc ? CRC_PROPERTY_BYTES : 0);
    const largest = this.segmentBytes - BLANK_HEADER_BYTES;
    const margin = light.length > 0 ? LIGHT_MARGIN : 0;
    let length = Math.min(draft.body, largest - overhead - margin);
    if (draft.filling !== undefined) {
      const rest = draft.filling + margin;
      const room = this.room >= overhead + rest ? this.room : largest;
      length = room - overhead - rest;
    }
    const bodies = Array.from({ length: inner }, (_, i) => new Uint8Array(draft.body % 90).fill(i));
    const body = inner > 0 ? wireBatch(bodies) : new Uint8Array(length).fill(length & 0xff);
    const message = {
      topic,
      queueId,
      ...(inner > 0 ? { innerBatch: bodies.map((each) => ({ body: each })) } : { body }),
      flag: draft.body - 150,
      sysFlag: draft.transaction << 2,
      bornTimestamp: 1_600_000_000_000 + draft.body,
      reconsumeTimes: draft.further,
      preparedTransactionOffset: draft.body * 2 ** 30,
      ...hosts,
      ...(draft.wire
        ? { properties: Buffer.from(given) }
        : {
            tags,
            properties: further,
            ...(keys.length > 0 ? { keys } : {}),
            ...(named.length > 0 ? { multiDispatch: named } : {}),
          }),
    } as Message | InnerBatchMessage;
    return { message, body, count: Math.max(1, inner), properties, light, size: overhead + body.length };
  }

  /** The store time of what is put now. */
  tick(now: number): number {
    if (this.lastTime - now > HELD_MS) this.lastTime = now;
    this.lastTime = Math.max(this.lastTime, now);
    return this.lastTime;
  }

  /** A file that has no room for so many bytes ends with a blank. */
  makeRoom(size: number): void {
    if (size <= this.room) return;
    const rest = this.segmentBytes - (this.end % this.segmentBytes);
    this.blanks.push({ at: this.end, size: rest });
    this.end += rest;
  }

  /** Puts a message at the end of the log. */
  append({ message, body, count, properties, light, size }: Prepared, storeTimestamp: number): Stored {
    this.makeRoom(size);
    const transaction = ((message.sysFlag ?? 0) >> 2) & 3;
    const takesPlace = transaction === 0 || transaction === 2;
    const queue = this.queue(message.topic, message.queueId);
    const tags = properties.get("TAGS");
    const level = Number(properties.get("DELAY") ?? 0);
    const isDelayed = message.topic === SCHEDULE && level > 0;
    const delays = DELAYS[this.kind.delayLevels] as readonly number[];
    const delay = delays[Math.min(level, delays.length) - 1] ?? 0;
    const stored: Stored = {
      message,
      body,
      count,
      queueOffset: takesPlace ? endOf(queue) : undefined,
      physicalOffset: this.end,
      size,
      storeTimestamp,
      sysFlag:
        (message.sysFlag ?? 0) |
        (message.body === undefined ? INNER_BATCH : 0) |
        (message.bornHost ? 0x10 : 0) |
        (message.storeHost ? 0x20 : 0),
      properties,
      keys:
        transaction === 3
          ? []
          : [
              ...(properties.get("KEYS")?.split(" ") ?? []),
              ...[properties.get("UNIQ_KEY")].filter((key) => key !== undefined),
            ],
      tags,
      tagsCode: isDelayed ? storeTimestamp + 1000 * delay : tags === undefined ? 0 : javaHash(tags),
      light,
      indexed: this.kind.index,
    };
    if (takesPlace) {
      for (const [topic, queueId] of [
        [message.topic, message.queueId] as const,
        ...light.map((name) => [name, 0] as const),
      ]) {
        this.#queues.set(queueKey(topic, queueId), [...this.queue(topic, queueId), stored]);
      }
    }
    this.end += size;
    this.put = { messages: this.put.messages + 1, bytes: this.put.bytes + size };
    this.log.push(stored);
    return stored;
  }

  /** The store was opened again, over the same log. */
  reopen(kind: Kind, clean: boolean): void {
    this.kind = kind;
    this.clean = clean;
    this.durable = this.end;
    this.put = { messages: 0, bytes: 0 };
    this.lastTime = this.log.at(-1)?.storeTimestamp ?? 0;
  }

  /** Positions at which a message or a blank stands, in order, and the end. */
  borders(): number[] {
    const starts = [...this.log.map(({ physicalOffset }) => physicalOffset), ...this.blanks.map(({ at }) => at)];
    return [...starts, this.end].sort((a, b) => a - b);
  }
}
