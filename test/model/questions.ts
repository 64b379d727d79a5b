/** Questions to a store, their answers held against the model's. */
import assert from "node:assert/strict";
import type { ScanItem, Store, StoredMessage } from "../../src/index.ts";
import type { Model, Stored } from "./model.ts";
import { endOf, offsetOf, placed } from "./model.ts";
import { BATCHES, KEYS, QUEUES, type Question, TAGS } from "./operations.ts";

type Queue = (typeof QUEUES)[number];
/** The messages of a queue that can be read now. */
type Visible = readonly Stored[];

/** Asks one question. What a sync makes visible meanwhile is asked for again. */
export async function ask(store: Store, model: Model, question: Question): Promise<void> {
  const queue = QUEUES[question.queue] as Queue;
  for (;;) {
    const { visibleOffset } = store.log;
    assert.ok(visibleOffset >= model.durable && visibleOffset <= model.end, `visible up to ${visibleOffset}`);
    const visible = model.queue(...queue).filter(({ physicalOffset }) => physicalOffset < visibleOffset);
    try {
      await answer(store, model, question, queue, visible, visibleOffset);
      return;
    } catch (error) {
      if (store.log.visibleOffset === visibleOffset) throw error;
    }
  }
}

async function answer(
  store: Store,
  model: Model,
  question: Question,
  queue: Queue,
  visible: Visible,
  visibleOffset: number,
): Promise<void> {
  switch (question.ask) {
    case "get":
      return get(store, model, queue, visible, question);
    case "read":
    case "follow":
    case "batches":
      return read(store, queue, visible, question);
    case "entries": {
      const from = offsetOf(question.from, endOf(visible));
      const expected = since(visible, from).slice(0, question.max);
      const entries = expected.map(({ physicalOffset, size, tagsCode }) => ({ physicalOffset, size, tagsCode }));
      return assert.deepEqual(store.entries(...queue, { from, max: question.max }), entries);
    }
    case "offsets": {
      const next = endOf(model.queue(...queue));
      return assert.deepEqual(store.offsets(...queue), { min: 0, max: endOf(visible), next });
    }
    case "offsetByTime":
      return offsetByTime(store, queue, visible, question);
    case "timeOf": {
      const offset = offsetOf(question.at, endOf(visible));
      return assert.equal(store.timeOf(...queue, offset), since(visible, offset)[0]?.storeTimestamp);
    }
    case "lookup":
      return lookup(store, model, queue[0], visibleOffset, question);
    case "scan":
      return scan(store, model, visibleOffset, question);
    case "at":
      return at(store, model, visibleOffset, question);
    case "arrival": {
      const offset = offsetOf(question.at, endOf(visible));
      // Of what is not there yet only the refusal to wait is asked: a signal that is aborted.
      if (endOf(visible) > offset) return assert.equal(await store.arrival(...queue, offset), true);
      const waiting = store.arrival(...queue, offset, { signal: AbortSignal.abort() });
      return await assert.rejects(waiting, { code: store.readOnly ? /STORE_(ABORTED|READ_ONLY)/ : "STORE_ABORTED" });
    }
    default:
      return facts(store, model, question.ask);
  }
}

function facts(store: Store, model: Model, ask: "names" | "log" | "stats" | "health"): void {
  switch (ask) {
    case "names":
      assert.deepEqual(store.topics(), model.topics());
      for (const [topic] of QUEUES) assert.deepEqual(store.queues(topic), model.queueIds(topic));
      return;
    case "log": {
      const { minOffset, endOffset, durableOffset, visibleOffset } = store.log;
      assert.deepEqual([minOffset, endOffset], [0, model.end]);
      assert.ok(durableOffset >= model.durable && durableOffset <= model.end, `durable up to ${durableOffset}`);
      assert.ok(model.kind.sync ? visibleOffset >= model.durable : visibleOffset === model.end);
      return;
    }
    case "stats": {
      const { messagesPut, bytesPut, queues } = store.stats();
      const expected = { messagesPut: model.put.messages, bytesPut: model.put.bytes, queues: model.queueCount };
      assert.deepEqual({ messagesPut, bytesPut, queues }, expected);
      return;
    }
    case "health": {
      const { clean, findings, segmentBytes } = store.health();
      assert.equal(clean, model.clean);
      if (model.log.length > 0) assert.equal(segmentBytes, model.segmentBytes);
      const known = ["clock", ...(clean ? [] : ["unclean"])];
      assert.deepEqual(
        findings.filter(({ kind }) => !known.includes(kind)),
        [],
      );
      return;
    }
  }
}

/** Asks everything there is to know. */
export async function askEverything(store: Store, model: Model): Promise<void> {
  for (const name of ["names", "log", "stats", "health"] as const) await ask(store, model, { ask: name, queue: 0 });
  await ask(store, model, { ask: "scan", queue: 0, from: 0, to: { behind: 0 } });
  for (const queue of QUEUES.keys()) {
    await ask(store, model, { ask: "offsets", queue });
    await ask(store, model, { ask: "entries", queue, from: { in: 0 }, max: 100_000 });
    await ask(store, model, { ask: "read", queue, from: { in: 0 }, tags: [] });
    const count = model.queue(...(QUEUES[queue] as Queue)).length;
    for (let i = 0; i < count; i += 5) {
      await ask(store, model, { ask: "timeOf", queue, at: { in: i } });
      await ask(store, model, { ask: "offsetByTime", queue, at: i, later: 0, boundary: "lower" });
      await ask(store, model, { ask: "offsetByTime", queue, at: i, later: 0, boundary: "upper" });
    }
    for (const key of KEYS.keys()) {
      await ask(store, model, { ask: "lookup", queue, key, range: undefined, max: 60_000 });
    }
  }
}

/** Holds what was read against what was put, field by field. */
function sameMessage(found: StoredMessage, stored: Stored, queueOffset: number = stored.queueOffset ?? 0): void {
  const { message } = stored;
  assert.deepEqual(
    {
      topic: found.topic,
      queueId: found.queueId,
      queueOffset: found.queueOffset,
      physicalOffset: found.physicalOffset,
      size: found.size,
      storeTimestamp: found.storeTimestamp,
      sysFlag: found.sysFlag,
      flag: found.flag,
      bornTimestamp: found.bornTimestamp,
      reconsumeTimes: found.reconsumeTimes,
      preparedTransactionOffset: found.preparedTransactionOffset,
      bornHost: found.bornHost,
      storeHost: found.storeHost,
      tags: found.tags,
    },
    {
      topic: message.topic,
      queueId: message.queueId,
      queueOffset,
      physicalOffset: stored.physicalOffset,
      size: stored.size,
      storeTimestamp: stored.storeTimestamp,
      sysFlag: stored.sysFlag,
      flag: message.flag,
      bornTimestamp: message.bornTimestamp,
      reconsumeTimes: message.reconsumeTimes,
      preparedTransactionOffset: message.preparedTransactionOffset,
      bornHost: message.bornHost ?? { address: "127.0.0.1", port: 0 },
      storeHost: message.storeHost ?? { address: "127.0.0.1", port: 10_911 },
      tags: stored.tags,
    },
  );
  assert.equal(Buffer.compare(found.body, stored.body), 0, `body of the message at ${stored.physicalOffset}`);
  const properties = [...found.properties].filter(([name]) => name !== "__CRC32#");
  assert.deepEqual(properties, [...stored.properties]);
}

/** With `queue`: found there, so that their offsets are those that they have in it. */
function sameMessages(found: readonly StoredMessage[], expected: readonly Stored[], queue?: Visible): void {
  assert.deepEqual(
    found.map(({ physicalOffset }) => physicalOffset),
    expected.map(({ physicalOffset }) => physicalOffset),
  );
  const bases = new Map(placed(queue ?? []).map(({ base, stored }) => [stored, base]));
  for (const [i, stored] of expected.entries()) sameMessage(found[i] as StoredMessage, stored, bases.get(stored));
}

/** The messages of a queue from the one on that an offset is in. */
function since(messages: Visible, from: number): Stored[] {
  return placed(messages).flatMap(({ end, stored }) => (end > from ? [stored] : []));
}

function filterOf(tags: readonly number[]): { tags: string } | undefined {
  return tags.length === 0 ? undefined : { tags: tags.map((tag) => TAGS[tag]).join(" || ") };
}

function wanted(messages: Visible, tags: readonly number[]): Visible {
  const names = tags.map((tag) => TAGS[tag] as string);
  return tags.length === 0 ? messages : messages.filter((stored) => stored.tags && names.includes(stored.tags));
}

/** What a filter makes of whole batches has tests of its own. */
function tagsFor([topic]: Queue, tags: readonly number[]): readonly number[] {
  return topic === BATCHES ? [] : tags;
}

async function read(
  store: Store,
  queue: Queue,
  visible: Visible,
  { ask: how, from: place, tags: asked }: Asked<"read" | "follow" | "batches">,
): Promise<void> {
  const from = offsetOf(place, endOf(visible));
  const tags = tagsFor(queue, asked);
  const filter = filterOf(tags);
  const expected = wanted(since(visible, from), tags);
  const found: StoredMessage[] = [];
  if (how === "read") {
    for await (const message of store.read(...queue, { from, filter })) found.push(message);
  } else if (how === "batches") {
    let next = 0;
    for await (const { messages, nextOffset } of store.read(...queue, { from, filter }).batches()) {
      assert.ok(messages.length > 0 && nextOffset > next, `${messages.length} messages, goes on at ${nextOffset}`);
      next = nextOffset;
      found.push(...messages);
    }
  } else {
    const stop = new AbortController();
    const cursor = store.read(...queue, { from, filter, follow: true, signal: stop.signal });
    for (const _ of expected) found.push((await cursor.next()).value as StoredMessage);
    // Behind what is there it waits.
    const more = cursor.next();
    stop.abort();
    await assert.rejects(more, { code: store.readOnly ? /STORE_(ABORTED|READ_ONLY)/ : "STORE_ABORTED" });
  }
  sameMessages(found, expected, visible);
}

type Asked<K extends Question["ask"]> = Extract<Question, { ask: K }>;

function get(store: Store, model: Model, queue: Queue, visible: Visible, question: Asked<"get">): void {
  const { max, maxBytes } = question;
  const tags = tagsFor(queue, question.tags);
  const last = endOf(visible);
  const offset = offsetOf(question.at, last);
  const into = question.into ? { into: new Uint8Array(1 << 16) } : {};
  const filter = filterOf(tags);
  const result = store.get(...queue, offset, { max, maxBytes: Math.min(maxBytes, 1 << 16), filter, ...into });
  const { status, nextOffset, minOffset, maxOffset, messages, bytes } = result;
  assert.deepEqual([minOffset, maxOffset], [0, last]);
  assert.equal(
    bytes.length,
    messages.reduce((sum, { size }) => sum + size, 0),
  );
  if (offset >= last) {
    const isNone = model.queue(...queue).length === 0;
    const expected = isNone
      ? ["NO_MATCHED_LOGIC_QUEUE", 0]
      : last === 0
        ? ["NO_MESSAGE_IN_QUEUE", 0]
        : [offset === last ? "OFFSET_OVERFLOW_ONE" : "OFFSET_OVERFLOW_BADLY", last];
    assert.deepEqual([status, nextOffset, messages.length], [...expected, 0]);
    return;
  }
  assert.ok(nextOffset > offset && nextOffset <= last, `goes on at ${nextOffset}`);
  const within = placed(visible).filter(({ end }) => end > offset && end <= nextOffset);
  const passed = wanted(
    within.map(({ stored }) => stored),
    tags,
  );
  assert.equal(status, passed.length > 0 ? "FOUND" : "NO_MATCHED_MESSAGE");
  sameMessages(messages, passed, visible);
  const taken = endOf(passed);
  assert.ok(messages.length <= 1 || taken <= max, `${taken} messages`);
  assert.ok(messages.length <= 1 || bytes.length <= maxBytes, `${bytes.length} bytes`);
  if (tags.length > 0) return;
  // As many as there is room for.
  const [next] = since(visible, nextOffset);
  assert.ok(next === undefined || taken + next.count > max || bytes.length + next.size > Math.min(maxBytes, 1 << 16));
}

function offsetByTime(store: Store, queue: Queue, visible: Visible, question: Asked<"offsetByTime">): void {
  const times = visible.map(({ storeTimestamp }) => storeTimestamp);
  const time = (times[question.at % Math.max(1, times.length)] ?? 5) + question.later;
  const found = store.offsetByTime(...queue, time, question.boundary);
  if (queue[0] === BATCHES) return; // RocketMQ's own bisection: its answers are golden vectors
  if (times.some((each, i) => i > 0 && each < (times[i - 1] as number))) {
    // A clock that was followed backwards: any place in the queue is as good as another.
    assert.ok(found >= 0 && found <= times.length);
    return;
  }
  const first = times.findIndex((each) => each >= time);
  const last = times.findLastIndex((each) => each <= time);
  assert.equal(found, question.boundary === "upper" ? Math.max(0, last) : first < 0 ? times.length : first);
}

function lookup(store: Store, model: Model, topic: string, visibleOffset: number, question: Asked<"lookup">): void {
  const key = KEYS[question.key] as string;
  const time = (pick: number) => model.log[pick % Math.max(1, model.log.length)]?.storeTimestamp ?? 0;
  const [begin, end] = question.range?.map(time) ?? [0, Number.MAX_SAFE_INTEGER];
  const found = store.lookup(topic, key, { begin, end, max: question.max });
  const offsets = new Set(found.map(({ physicalOffset }) => physicalOffset));
  const matching = model.log.filter(
    ({ message, keys, physicalOffset, storeTimestamp: at }) =>
      message.topic === topic &&
      keys.includes(key) &&
      physicalOffset < visibleOffset &&
      at >= (begin as number) &&
      at <= (end as number),
  );
  // What was put, or is asked for, while the store kept no index may be found or not.
  const isCertain = ({ indexed, physicalOffset }: Stored) =>
    (model.kind.index && indexed) || offsets.has(physicalOffset);
  const expected = matching.filter(isCertain).reverse().slice(0, question.max);
  sameMessages(found, expected);
  const [, again = [], ...others] = store.lookupAll(topic, ["no-such-key", key], { begin, end, max: question.max });
  sameMessages(again, expected);
  assert.equal(others.length, 0);
}

function scan(store: Store, model: Model, visibleOffset: number, question: Asked<"scan">): void {
  const borders = model.borders();
  const from = borders[question.from % borders.length] as number;
  const last = Math.min(offsetOf(question.to, borders.length), borders.length - 1);
  const to = Math.min(borders[last] as number, visibleOffset);
  const items: ScanItem[] = [...store.scan({ from, to: borders[last] as number })];
  const isWithin = (at: number) => at >= from && at < to;
  const messages = model.log.filter(({ physicalOffset }) => isWithin(physicalOffset));
  const expected = [
    ...messages.map(({ physicalOffset, size }) => ({ kind: "message", physicalOffset, size })),
    ...model.blanks
      .filter(({ at }) => isWithin(at))
      .map(({ at, size }) => ({ kind: "blank", physicalOffset: at, size })),
  ].sort((a, b) => a.physicalOffset - b.physicalOffset);
  const found = items.map(({ kind, physicalOffset, size }) => ({ kind, physicalOffset, size }));
  assert.deepEqual(found, expected);
  sameMessages(
    items.flatMap((item) => (item.kind === "message" ? [item.message] : [])),
    messages,
  );
}

function at(store: Store, model: Model, visibleOffset: number, question: Asked<"at">): void {
  const borders = model.borders();
  const place = (borders[question.record % borders.length] as number) + question.further;
  if (place < 0) {
    assert.throws(() => store.at(place), { code: "STORE_INVALID_ARGUMENT" });
    return;
  }
  const stored = model.log.find(({ physicalOffset }) => physicalOffset === place && place < visibleOffset);
  const found = store.at(place);
  assert.equal(found?.physicalOffset, stored?.physicalOffset);
  if (found && stored) sameMessage(found, stored);
}
