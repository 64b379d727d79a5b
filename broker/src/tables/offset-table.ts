/**
 * How far groups have come: committed offsets, in RocketMQ's `config/consumerOffset.json`; offsets up to which was pulled, and
 * offsets to which a group is to be set back at its next request, in memory alone.
 */
import { type Groups, type JsonValue, type Store, StoreError, type Table } from "moraine";
import { type JsonEntry, objectAt } from "./table-value.ts";

/** A queue's offset of a group. */
export interface QueueOffset {
  readonly topic: string;
  readonly queueId: number;
  readonly offset: number;
}

const SEPARATOR = "@";
/** The parts of the table: offsets by queue, and of light queues one for each topic and group. */
const QUEUES_PART = "offsetTable";
const LIGHT_PART = "lmqOffsetTable";
const QUEUE_ID = /^\d{1,10}$/;
/** Queues of which it is known how far was pulled: those of groups that began to pull longest ago go first. */
const MAX_PULLED = 200_000;
/** Name of the table that a broker with light queues has left, which it uses instead of the other one. */
const LIGHT_TABLE = "lmqConsumerOffset";

export class OffsetTable {
  readonly #store: Store;
  readonly #groups: Groups;
  readonly #table: Table;
  /** Topics of a group, and groups of a topic, that have committed offsets. */
  readonly #topics: Map<string, Set<string>> = new Map();
  readonly #members: Map<string, Set<string>> = new Map();
  readonly #pulled: QueueNumbers;
  readonly #resets: QueueNumbers = new QueueNumbers(Number.POSITIVE_INFINITY);

  /** Reads the offsets. Throws TableError, StoreError. */
  constructor(store: Store, { maxPulled = MAX_PULLED }: { readonly maxPulled?: number | undefined } = {}) {
    this.#store = store;
    this.#pulled = new QueueNumbers(maxPulled);
    this.#groups = store.groups;
    const light = store.table(LIGHT_TABLE);
    this.#table = light.keys().length > 0 ? light : store.table("consumerOffset");
    for (const part of [QUEUES_PART, LIGHT_PART]) {
      for (const key of Object.keys(this.#part(part))) {
        const [topic, group] = key.split(SEPARATOR);
        if (topic !== undefined && group !== undefined) this.#note(group, topic);
      }
    }
  }

  /**
   * Sets offsets that lie behind the end of their queue back to it: a power cut may have left them, and not the messages that they
   * lie behind, and those that come in their place would be passed over. To be called before anything is put. Returns how many.
   * Throws TableError, StoreError.
   */
  setBackToEnds(): number {
    let count = 0;
    for (const [key, queues] of Object.entries(this.#part(QUEUES_PART))) {
      for (const [queueId, offset] of Object.entries(objectAt(`${this.#place(QUEUES_PART)} → ${key}`, queues))) {
        if (this.#setBackToEnd(key, queueId, offset)) count++;
      }
    }
    for (const [key, offset] of Object.entries(this.#part(LIGHT_PART))) {
      if (this.#setBackToEnd(key, "0", offset)) count++;
    }
    return count;
  }

  #setBackToEnd(key: string, queueId: string, offset: JsonValue): boolean {
    const [topic = "", group = ""] = key.split(SEPARATOR);
    if (typeof offset !== "number" || !QUEUE_ID.test(queueId)) return false;
    try {
      const { max } = this.#store.offsets(topic, Number(queueId));
      if (offset <= max) return false;
      this.commit(group, topic, Number(queueId), max);
      return true;
    } catch (error) {
      // A name that no topic or group has here: nobody can ask for it.
      if (error instanceof StoreError && error.code === "STORE_INVALID_ARGUMENT") return false;
      throw error;
    }
  }

  #part(part: string): JsonEntry {
    return objectAt(this.#place(part), this.#table.get(part));
  }

  #place(part: string): string {
    return `config/${this.#table.name}.json → ${part}`;
  }

  /** The queue offset of the message with which a group goes on; undefined where it has committed none. */
  committed(group: string, topic: string, queueId: number): number | undefined {
    if (this.#topics.get(group)?.has(topic) !== true) return undefined;
    return this.#groups.offset(group, topic, queueId);
  }

  /** In memory at once, on the disk soon: within about a second, later where the table is large. Throws StoreError. */
  commit(group: string, topic: string, queueId: number, offset: number): void {
    this.#groups.commit(group, topic, queueId, offset);
    if (this.#topics.get(group)?.has(topic) !== true) this.#note(group, topic);
  }

  /** How far was pulled; undefined where nothing was since the start. */
  pulled(group: string, topic: string, queueId: number): number | undefined {
    return this.#pulled.get(group, topic, queueId);
  }

  setPulled(group: string, topic: string, queueId: number, offset: number): void {
    this.#pulled.set(group, topic, queueId, offset);
  }

  /** Sets a group to an offset: the next pull is told to go on there. */
  reset(group: string, topic: string, queueId: number, offset: number): void {
    this.commit(group, topic, queueId, offset);
    this.#resets.set(group, topic, queueId, offset);
  }

  pendingReset(group: string, topic: string, queueId: number): number | undefined {
    return this.#resets.get(group, topic, queueId);
  }

  /** As `pendingReset`, and it is done with. */
  takeReset(group: string, topic: string, queueId: number): number | undefined {
    return this.#resets.take(group, topic, queueId);
  }

  /** All committed offsets of a group. */
  all(group: string): readonly QueueOffset[] {
    return this.#topics.has(group) ? this.#groups.all(group) : [];
  }

  topicsOf(group: string): readonly string[] {
    return [...(this.#topics.get(group) ?? [])];
  }

  groupsOf(topic: string): readonly string[] {
    return [...(this.#members.get(topic) ?? [])];
  }

  /** Forgets a group. */
  deleteGroup(group: string): void {
    if (this.#topics.has(group)) this.#groups.delete(group);
    for (const topic of this.topicsOf(group)) this.#forget(group, topic);
    this.#pulled.delete((key) => key.endsWith(SEPARATOR + group));
    this.#resets.delete((key) => key.endsWith(SEPARATOR + group));
  }

  /** Forgets what all groups have of a topic. */
  deleteTopic(topic: string): void {
    for (const group of this.groupsOf(topic)) {
      for (const part of [QUEUES_PART, LIGHT_PART]) this.#table.delete([part, topic + SEPARATOR + group]);
      this.#forget(group, topic);
    }
    this.#pulled.delete((key) => key.startsWith(topic + SEPARATOR));
    this.#resets.delete((key) => key.startsWith(topic + SEPARATOR));
  }

  /** Gives a group the offsets that another one has of a topic. */
  clone(from: string, to: string, topic: string): void {
    for (const { topic: found, queueId, offset } of this.all(from)) {
      if (found === topic) this.commit(to, topic, queueId, offset);
    }
  }

  /** The whole table, as it is written. */
  toJSON(): JsonValue {
    return this.#table.toJSON();
  }

  /** Resolves when all that was committed so far is on the disk. */
  flush(): Promise<void> {
    return this.#groups.flush();
  }

  #note(group: string, topic: string): void {
    addTo(this.#topics, group, topic);
    addTo(this.#members, topic, group);
  }

  #forget(group: string, topic: string): void {
    removeFrom(this.#topics, group, topic);
    removeFrom(this.#members, topic, group);
  }
}

/** A number for each queue of a topic and group. */
class QueueNumbers {
  readonly #maximum: number;
  /** By `topic@group`, the numbers at the queues' ids. */
  readonly #queues: Map<string, Map<number, number>> = new Map();
  #size = 0;

  /** With more queues, those that were set first are forgotten. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#queues.size === 0 ? undefined : this.#queues.get(topic + SEPARATOR + group)?.get(queueId);
  }

  set(group: string, topic: string, queueId: number, value: number): void {
    const key = topic + SEPARATOR + group;
    const queues = this.#queues.get(key);
    if (queues?.has(queueId) !== true) this.#size++;
    if (queues === undefined) this.#queues.set(key, new Map([[queueId, value]]));
    else queues.set(queueId, value);
    for (const oldest of this.#queues.keys()) {
      if (this.#size <= this.#maximum || oldest === key) break;
      this.#forget(oldest);
    }
  }

  take(group: string, topic: string, queueId: number): number | undefined {
    const value = this.get(group, topic, queueId);
    if (value === undefined) return undefined;
    const key = topic + SEPARATOR + group;
    const queues = this.#queues.get(key);
    if (queues?.delete(queueId) === true) this.#size--;
    if (queues?.size === 0) this.#queues.delete(key);
    return value;
  }

  delete(isGone: (key: string) => boolean): void {
    for (const key of [...this.#queues.keys()]) if (isGone(key)) this.#forget(key);
  }

  #forget(key: string): void {
    this.#size -= this.#queues.get(key)?.size ?? 0;
    this.#queues.delete(key);
  }
}

function addTo(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

function removeFrom(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}
