/** How far consumer groups have come: RocketMQ's table of consumer offsets (store-format chapter 1.2). */
import { checkOffset, checkQueueId } from "./arguments.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { type JsonNode, JsonObject } from "./json/nodes.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { StoredTable } from "./stored-table.ts";
import { LMQ_CONSUMER_OFFSET, TOPIC_GROUP_SEPARATOR, topicAndGroup } from "./table-shapes.ts";
import { checkPlainTopic, LIGHT_QUEUE_PREFIX } from "./topic.ts";

/** How far a group has come in one queue. */
export interface GroupOffset {
  readonly topic: string;
  readonly queueId: number;
  /** Queue offset of the next message. */
  readonly offset: number;
}

const GROUP = /^[%|\w-]{1,255}$/;
const QUEUE_ID = /^\d{1,10}$/;

/**
 * Consumer offsets: for each group, topic and queue the queue offset at which it goes on.
 *
 * They live in `table("consumerOffset")` as RocketMQ keeps them, or, where a broker with light queues has left one, in
 * `table("lmqConsumerOffset")`, which such a broker uses instead. They are written behind, like every table, and once everything
 * is durable that was put before they were committed: a power cut leaves no offset without it.
 * Groups have 1 to 255 letters, digits, `%`, `|`, `-` and `_`.
 *
 * All members throw STORE_CLOSED once the store's `close` was called, and STORE_CORRUPT where the table has something
 * else than offsets in a place that is asked for.
 */
export class Groups {
  readonly #stored: StoredTable;
  readonly #lifecycle: Lifecycle;
  /** The table has a part for groups of light queues: one offset for each topic, without a queue id. */
  readonly #hasLightPart: boolean;

  constructor(stored: StoredTable, lifecycle: Lifecycle) {
    this.#stored = stored;
    this.#lifecycle = lifecycle;
    this.#hasLightPart = stored.name === LMQ_CONSUMER_OFFSET;
  }

  /**
   * Sets the offset at which a group goes on in a queue. Any offset is taken, also one below the last: so a group is
   * set back. Throws STORE_INVALID_ARGUMENT, STORE_READ_ONLY, STORE_POISONED.
   */
  commit(group: string, topic: string, queueId: number, offset: number): void {
    this.#lifecycle.checkWritable();
    const key = checkedKey(group, topic);
    checkQueueId(queueId);
    checkOffset("offset", offset);
    if (this.#isLight(group)) {
      if (queueId !== 0) {
        throw argumentError(
          "queueId",
          `queueId is ${queueId}; groups of light queues have one offset a topic, under 0`,
        );
      }
      this.#set(this.#part("lmqOffsetTable"), key, offset, ["lmqOffsetTable", key]);
      return;
    }
    const table = this.#part("offsetTable");
    let queues = table.entries.get(key);
    if (queues === undefined) {
      queues = new JsonObject(new Map(), undefined, true);
      table.entries.set(key, queues);
    }
    this.#set(this.#object(queues, "offsetTable", key), String(queueId), offset, ["offsetTable", key]);
  }

  /** Groups that stand still commit the same offsets again and again: these are no change. */
  #set({ entries }: JsonObject, key: string, offset: number, place: readonly string[]): void {
    if (entries.get(key) === offset) return;
    entries.set(key, offset);
    this.#stored.changed(place);
  }

  /** Queue offset of the message with which a group goes on in a queue; undefined where it has not committed any. */
  offset(group: string, topic: string, queueId: number): number | undefined {
    this.#lifecycle.checkReadable();
    const key = checkedKey(group, topic);
    checkQueueId(queueId);
    if (this.#isLight(group)) {
      const node = this.#found("lmqOffsetTable")?.entries.get(key);
      return node === undefined || queueId !== 0 ? undefined : this.#number(node, "lmqOffsetTable", key);
    }
    const queues = this.#found("offsetTable")?.entries.get(key);
    if (queues === undefined) return undefined;
    const node = this.#object(queues, "offsetTable", key).entries.get(String(queueId));
    return node === undefined ? undefined : this.#number(node, "offsetTable", key, queueId);
  }

  /** All offsets of a group, queues of a topic in order. Looks at the whole table. */
  all(group: string): GroupOffset[] {
    this.#lifecycle.checkReadable();
    checkGroup(group);
    const isLight = this.#isLight(group);
    const part = isLight ? "lmqOffsetTable" : "offsetTable";
    const found: GroupOffset[] = [];
    for (const [key, topic] of this.#keysOf(group, part)) {
      const node = this.#part(part).entries.get(key) as JsonNode;
      if (isLight) found.push({ topic, queueId: 0, offset: this.#number(node, part, key) });
      else found.push(...this.#queues(topic, this.#object(node, part, key), key));
    }
    return found;
  }

  /** Forgets a group. Returns whether it was known. */
  delete(group: string): boolean {
    this.#lifecycle.checkWritable();
    checkGroup(group);
    const part = this.#isLight(group) ? "lmqOffsetTable" : "offsetTable";
    const keys = this.#keysOf(group, part);
    if (keys.length === 0) return false;
    const { entries } = this.#part(part);
    for (const [key] of keys) {
      entries.delete(key);
      this.#stored.changed([part, key]);
    }
    return true;
  }

  /** Resolves when all offsets committed so far are on the disk, as `Table.flush`, and all that was put before. */
  async flush(): Promise<void> {
    this.#lifecycle.checkWritable();
    await this.#stored.persist();
  }

  #isLight(group: string): boolean {
    return this.#hasLightPart && group.startsWith(LIGHT_QUEUE_PREFIX);
  }

  /** A part of the table; undefined where it has none. */
  #found(part: string): JsonObject | undefined {
    const node = this.#stored.root.entries.get(part);
    return node === undefined ? undefined : this.#object(node, part);
  }

  /** A part of the table, made where it has none. */
  #part(part: string): JsonObject {
    const found = this.#found(part);
    if (found !== undefined) return found;
    const made = new JsonObject();
    this.#stored.root.entries.set(part, made);
    return made;
  }

  /** Keys and topics of a group. */
  #keysOf(group: string, part: string): [key: string, topic: string][] {
    const found: [string, string][] = [];
    for (const key of this.#found(part)?.entries.keys() ?? []) {
      if (!key.endsWith(group)) continue;
      const names = topicAndGroup(key);
      if (names?.group === group) found.push([key, names.topic]);
    }
    return found;
  }

  #queues(topic: string, { entries }: JsonObject, key: string): GroupOffset[] {
    const queues = [...entries].map(([queueId, node]) => {
      if (!QUEUE_ID.test(queueId)) throw this.#corrupt("a queue id", "offsetTable", key, queueId);
      return { topic, queueId: Number(queueId), offset: this.#number(node, "offsetTable", key, queueId) };
    });
    return queues.sort((a, b) => a.queueId - b.queueId);
  }

  #object(node: JsonNode, ...path: string[]): JsonObject {
    if (node instanceof JsonObject) return node;
    throw this.#corrupt("an object", ...path);
  }

  #number(node: JsonNode, ...path: (string | number)[]): number {
    if (typeof node === "number" && Number.isSafeInteger(node)) return node;
    throw this.#corrupt("an integer below 2^53", ...path);
  }

  #corrupt(right: string, ...path: (string | number)[]): StoreError {
    const { file, name } = this.#stored;
    const reason = `${path.join(" → ")} is not ${right}`;
    return new StoreError("STORE_CORRUPT", `${file}: ${reason}; mend it with table(${shown(name)})`, {
      details: { file, reason },
    });
  }
}

function checkedKey(group: string, topic: string): string {
  checkGroup(group);
  checkPlainTopic(topic);
  return topic + TOPIC_GROUP_SEPARATOR + group;
}

function checkGroup(group: unknown): void {
  if (typeof group === "string" && GROUP.test(group)) return;
  const right = 'it must be 1 to 255 letters, digits, "%", "|", "-" and "_"';
  throw argumentError("group", `group is ${shown(group)}; ${right}`);
}
