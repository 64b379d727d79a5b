import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { type Store, StoreError } from "moraine";
import { describe, expect, test } from "vitest";
import type { TopicConfig } from "../../../src/protocol/bodies/topic-config.ts";
import { printProperties } from "../../../src/protocol/message-properties.ts";
import { delaysOf, waitingPlace } from "../../../src/services/delay-levels.ts";
import type { Delivered } from "../../../src/services/delay-queue.ts";
import { DelayService } from "../../../src/services/delay-service.ts";
import { DelayOffsets } from "../../../src/tables/delay-offsets.ts";
import { fileOf, fixture } from "../tables/rig.ts";
import { Logged, ManualClock, newFolder, open } from "./rig.ts";

const LEVELS = "1s 5s 10s";
const SCHEDULE = "SCHEDULE_TOPIC_XXXX";

interface Rig {
  readonly folder: string;
  readonly store: Store;
  readonly clock: ManualClock;
  readonly offsets: DelayOffsets;
  readonly service: DelayService;
  readonly log: Logged;
  readonly delivered: Delivered[];
  /** Names of topics that were made. */
  readonly made: string[];
}

function topicsThatAreMade(made: string[]) {
  return {
    create: async (config: TopicConfig) => {
      made.push(config.topicName);
      return config;
    },
  };
}

async function rig(folder: string = newFolder(), clock: ManualClock = new ManualClock()): Promise<Rig> {
  const store = await open(folder, { delayLevels: LEVELS, clock: () => clock.now() });
  const offsets = new DelayOffsets(store);
  const log = new Logged();
  const delivered: Delivered[] = [];
  const onDelivered = (one: Delivered) => void delivered.push(one);
  const made: string[] = [];
  const topics = topicsThatAreMade(made);
  const service = new DelayService({ store, topics, offsets, delays: delaysOf(LEVELS), log, clock, onDelivered });
  return { folder, store, clock, offsets, service, log, delivered, made };
}

function put(store: Store, level: number, given: { topic?: string; tags?: string; body?: string } = {}): void {
  const { topic = "orders", tags = "A", body = "x" } = given;
  const asked = printProperties([
    ["TAGS", tags],
    ["DELAY", String(level)],
  ]);
  const placed = waitingPlace({ topic, queueId: 2, properties: asked }, level);
  const properties = Buffer.from(placed.properties);
  const host = { address: "10.0.0.9", port: 4444 };
  store.put({
    ...placed,
    properties,
    body: Buffer.from(body),
    flag: 7,
    bornTimestamp: 5,
    bornHost: host,
    reconsumeTimes: 3,
  });
}

const DEAD_LETTERS = "%DLQ%SCHEDULE_CONSUMER";

const bodiesOf = (store: Store, topic: string, queueId: number) =>
  store.get(topic, queueId, 0).messages.map(({ body }) => Buffer.from(body).toString());
const bodies = (store: Store) => bodiesOf(store, "orders", 2);

/** Lets the service come to where it waits. */
async function settle(clock?: ManualClock, sleepers = 0): Promise<void> {
  for (let i = 0; i < 200 && (i < 10 || (clock !== undefined && clock.wanted.length < sleepers)); i++) await turn();
}

describe("a delayed message", () => {
  test("comes when its time has come, as it was sent", async () => {
    const { store, clock, service, delivered } = await rig();
    service.start();
    put(store, 2);
    await settle(clock, 1);
    expect(clock.wanted).toEqual([clock.now() + 5000]);
    clock.advance(4999);
    await settle();
    expect(store.offsets("orders", 2).max).toBe(0);
    clock.advance(1);
    expect(await store.arrival("orders", 2, 0)).toBe(true);
    const [message] = store.get("orders", 2, 0).messages;
    expect(message).toMatchObject({ flag: 7, bornTimestamp: 5, reconsumeTimes: 3, tags: "A" });
    expect(message?.bornHost).toEqual({ address: "10.0.0.9", port: 4444 });
    // RocketMQ leaves them in the text, too.
    const { "__CRC32#": _, ...properties } = Object.fromEntries(message?.properties ?? []);
    expect(properties).toEqual({ TAGS: "A", DELAY: "2", REAL_TOPIC: "orders", REAL_QID: "2" });
    expect(store.get("orders", 2, 0, { filter: { tags: "A" } }).messages).toHaveLength(1);
    await settle();
    expect(delivered).toMatchObject([
      { topic: "orders", queueId: 2, message: { topic: SCHEDULE }, result: { queueOffset: 0 } },
    ]);
    await service.stop();
  });

  test("that is due already comes at once, and others of its level in their order", async () => {
    const { store, clock, service } = await rig();
    for (let i = 0; i < 100; i++) put(store, 1, { body: `m${i}` });
    clock.advance(1000);
    put(store, 1, { body: "late" });
    service.start();
    await store.arrival("orders", 2, 99);
    expect(bodies(store).slice(0, 32)).toEqual(Array.from({ length: 32 }, (_, i) => `m${i}`));
    await settle(clock, 1);
    expect(store.offsets("orders", 2).max).toBe(100);
    clock.advance(1000);
    expect(await store.arrival("orders", 2, 100)).toBe(true);
    await service.stop();
  });

  test("of a short level is not behind one of a long level", async () => {
    const { store, clock, service } = await rig();
    put(store, 3, { body: "long" });
    put(store, 1, { body: "short" });
    service.start();
    await settle(clock, 2);
    clock.advance(1000);
    await store.arrival("orders", 2, 0);
    clock.advance(9000);
    await store.arrival("orders", 2, 1);
    expect(bodies(store)).toEqual(["short", "long"]);
    await service.stop();
  });

  test("of a time that its level cannot mean comes at once", async () => {
    const { store, clock, service } = await rig();
    put(store, 3);
    clock.advance(-3_600_000);
    service.start();
    expect(await store.arrival("orders", 2, 0)).toBe(true);
    await service.stop();
  });
});

describe("progress", () => {
  test("is kept in RocketMQ's file, and nothing comes twice after an orderly stop", async () => {
    const first = await rig();
    for (const body of ["a", "b"]) put(first.store, 1, { body });
    put(first.store, 2, { body: "c" });
    first.clock.advance(1000);
    first.service.start();
    await first.store.arrival("orders", 2, 1);
    await settle(first.clock, 1);
    expect(first.service.progress()).toEqual([
      { level: 1, delivered: 2, max: 2 },
      { level: 2, delivered: 0, max: 1 },
    ]);
    await first.service.stop();
    await first.store.close();
    expect(fileOf(first.folder, "delayOffset").offsetTable).toEqual({ 1: 2 });
    const second = await rig(first.folder, first.clock);
    second.service.start();
    await settle(second.clock, 1);
    second.clock.advance(5000);
    await second.store.arrival("orders", 2, 2);
    expect(bodies(second.store)).toEqual(["a", "b", "c"]);
    await second.service.stop();
  });

  test("that was lost makes messages come again, and none is left out", async () => {
    const first = await rig();
    for (const body of ["a", "b"]) put(first.store, 1, { body });
    first.clock.advance(1000);
    first.service.start();
    await first.store.arrival("orders", 2, 1);
    // No stop: as if it had died before it noted anything.
    await first.store.close();
    const second = await rig(first.folder, first.clock);
    expect(second.offsets.levels()).toEqual([]);
    second.service.start();
    await second.store.arrival("orders", 2, 3);
    expect(bodies(second.store)).toEqual(["a", "b", "a", "b"]);
    await second.service.stop();
  });

  test("behind what there is begins at the end", async () => {
    const { store, clock, offsets, service } = await rig();
    put(store, 1, { body: "old" });
    offsets.set(new Map([[1, 1000]]));
    service.start();
    put(store, 1, { body: "new" });
    await settle(clock, 1);
    clock.advance(1000);
    await store.arrival("orders", 2, 0);
    expect(bodies(store)).toEqual(["new"]);
    await service.stop();
    expect(offsets.get(1)).toBe(2);
  });
});

describe("what cannot be delivered", () => {
  test("goes to the dead letters as it had waited, and is told", async () => {
    const { store, clock, service, log, made, delivered, offsets } = await rig();
    const properties = { DELAY: "1" };
    store.put({ topic: SCHEDULE, queueId: 0, body: Buffer.from("nowhere"), properties });
    put(store, 1, { topic: "no topic", body: "no topic" });
    put(store, 1, { topic: "RMQ_SYS_TRANS_HALF_TOPIC", body: "half" });
    put(store, 1, { body: "mine" });
    clock.advance(1000);
    service.start();
    await Promise.all([store.arrival("orders", 2, 0), store.arrival(DEAD_LETTERS, 0, 2)]);
    await settle();
    expect(bodies(store)).toEqual(["mine"]);
    expect(bodiesOf(store, DEAD_LETTERS, 0).toSorted()).toEqual(["half", "no topic", "nowhere"]);
    const dead = store.get(DEAD_LETTERS, 0, 0).messages.find(({ tags }) => tags === "A");
    expect(dead).toMatchObject({ flag: 7, bornTimestamp: 5, reconsumeTimes: 3 });
    expect(dead?.properties.get("REAL_QID")).toBe("2");
    expect(new Set(made)).toEqual(new Set([DEAD_LETTERS]));
    expect(delivered).toHaveLength(4);
    expect(log.lines.toSorted()).toEqual([
      "error: a delayed message cannot be put where it goes; it goes to the dead letters",
      "error: a delayed message does not say where it goes; it goes to the dead letters",
      "error: a delayed message does not say where it goes; it goes to the dead letters",
    ]);
    await service.stop();
    expect(offsets.get(1)).toBe(4);
  });

  test("to the dead letters for now is tried again, and not lost", async () => {
    const { store, clock, service, log } = await rig();
    put(store, 1, { topic: "no topic", body: "no topic" });
    clock.advance(1000);
    const append = store.append.bind(store);
    let refusals = 1;
    store.append = (message, options) =>
      message.topic === DEAD_LETTERS && refusals-- > 0
        ? Promise.reject(new StoreError("STORE_FULL", "for a test"))
        : append(message, options);
    service.start();
    await settle(clock, 1);
    expect(log.lines.at(-1)).toBe("error: a delayed message could not be delivered; it is tried again");
    clock.advance(10_000);
    expect(await store.arrival(DEAD_LETTERS, 0, 0)).toBe(true);
    await service.stop();
  });

  test("as there can be no topic for dead letters is kept with them all the same", async () => {
    const store = await open(newFolder(), { delayLevels: LEVELS });
    put(store, 1, { topic: "no topic", body: "no topic" });
    const log = new Logged();
    const topics = { create: () => Promise.reject(new Error("too many topics")) };
    const clock = new ManualClock(Date.UTC(2100, 0, 1));
    const offsets = new DelayOffsets(store);
    const service = new DelayService({ store, topics, offsets, delays: delaysOf(LEVELS), log, clock });
    service.start();
    expect(await store.arrival(DEAD_LETTERS, 0, 0)).toBe(true);
    expect(log.lines).toContain("warn: dead letters can be read once their topic is made");
    await service.stop();
  });

  test("as its topic was deleted is there when that is made again, as with RocketMQ", async () => {
    const { store, clock, service, log } = await rig();
    store.put({ topic: "orders", queueId: 2, body: Buffer.from("before") });
    put(store, 1, { body: "mine" });
    await store.deleteTopic("orders");
    clock.advance(1000);
    service.start();
    await store.arrival("orders", 2, 1);
    const { min, max } = store.offsets("orders", 2);
    expect([min, max]).toEqual([1, 2]);
    expect(store.get("orders", 2, 1).messages.map(({ body }) => Buffer.from(body).toString())).toEqual(["mine"]);
    expect(log.lines).toEqual([]);
    await service.stop();
  });

  test("at all, not even with the dead letters, is told with its id, and keeps nobody behind it waiting", async () => {
    const { store, clock, service, log } = await rig();
    for (const code of ["STORE_UNSUPPORTED_FORMAT", "STORE_UNSUPPORTED"] as const) put(store, 1, { body: code });
    put(store, 1, { body: "mine" });
    clock.advance(1000);
    const append = store.append.bind(store);
    store.append = (message, options) => {
      const body = Buffer.from(message.body as Uint8Array).toString();
      return body === "mine"
        ? append(message, options)
        : Promise.reject(new StoreError(body as "STORE_UNSUPPORTED", "for a test"));
    };
    service.start();
    await store.arrival("orders", 2, 0);
    await settle();
    expect(bodies(store)).toEqual(["mine"]);
    const nowhere =
      "error: a delayed message cannot be put anywhere; it can be read by its id until its file of the log goes";
    expect(log.lines.filter((line) => line === nowhere)).toHaveLength(2);
    await service.stop();
  });

  test("as the store has failed waits for the next start, and is told once", async () => {
    const { store, clock, service, log, offsets } = await rig();
    put(store, 1);
    clock.advance(1000);
    store.append = () => Promise.reject(new StoreError("STORE_POISONED", "for a test"));
    service.start();
    await settle();
    clock.advance(60_000);
    await settle();
    expect(log.lines).toEqual(["error: delayed messages are not delivered any more"]);
    await service.stop();
    expect(offsets.get(1)).toBe(0);
  });

  test("for now is tried again, from the same message on", async () => {
    const { store, clock, service, log } = await rig();
    for (const body of ["a", "b", "c"]) put(store, 1, { body });
    clock.advance(1000);
    const append = store.append.bind(store);
    let refusals = 1;
    store.append = (message, options) =>
      Buffer.from(message.body as Uint8Array).toString() === "b" && refusals-- > 0
        ? Promise.reject(new Error("not now"))
        : append(message, options);
    service.start();
    await settle(clock, 1);
    expect(log.lines).toEqual(["error: a delayed message could not be delivered; it is tried again"]);
    expect(service.progress()).toEqual([{ level: 1, delivered: 1, max: 3 }]);
    clock.advance(10_000);
    await store.arrival("orders", 2, 2);
    expect(bodies(store)).toEqual(["a", "b", "c"]);
    await service.stop();
  });

  test("because it is damaged is passed over, and told", async () => {
    const { store, clock, service, log } = await rig();
    for (const body of ["a", "b", "c"]) put(store, 1, { body });
    clock.advance(1000);
    const fetch = store.fetch.bind(store);
    store.fetch = (topic, queueId, queueOffset, options) =>
      queueOffset === 0
        ? Promise.reject(new StoreError("STORE_CORRUPT", "damaged", { details: { nextOffset: 2 } }))
        : fetch(topic, queueId, queueOffset, options);
    service.start();
    await store.arrival("orders", 2, 0);
    expect(bodies(store)).toEqual(["c"]);
    expect(log.lines).toEqual(["error: delayed messages are damaged and passed over"]);
    await service.stop();
  });

  test("keeps nobody from stopping", async () => {
    const { store, service } = await rig();
    put(store, 3);
    service.start();
    await settle();
    await service.stop();
    expect(store.offsets("orders", 2).max).toBe(0);
  });

  test("does not outlive the store", async () => {
    const { store, service, log, clock } = await rig();
    put(store, 3);
    service.start();
    await settle(clock, 1);
    await store.close();
    await service.stop();
    expect(log.lines).toEqual([]);
  });
});

test("progress that cannot be written keeps no message from coming, and is written once it can be", async () => {
  const { folder, store, clock, service, offsets } = await rig();
  mkdirSync(join(folder, "config/delayOffset.json.tmp/x"), { recursive: true });
  put(store, 1);
  clock.advance(1000);
  service.start();
  await store.arrival("orders", 2, 0);
  await settle();
  offsets.set(new Map([[1, 1]]));
  await expect(offsets.flush()).rejects.toMatchObject({ code: "STORE_IO" });
  put(store, 1);
  await settle(clock, 1);
  clock.advance(1000);
  expect(await store.arrival("orders", 2, 1)).toBe(true);
  await settle();
  await service.stop();
  await expect(offsets.flush()).rejects.toMatchObject({ code: "STORE_IO" });
  rmdirSync(join(folder, "config/delayOffset.json.tmp/x"));
  rmdirSync(join(folder, "config/delayOffset.json.tmp"));
  await offsets.flush();
  expect(fileOf(folder, "delayOffset").offsetTable).toEqual({ 1: 2 });
});

test("progress is noted once what was delivered is on the disk, and not before", async () => {
  const { store, clock, service, offsets } = await rig();
  const flush = store.flush.bind(store);
  let mayFlush = (): void => {};
  const until = new Promise<void>((resolve) => {
    mayFlush = resolve;
  });
  const asked: (number | undefined)[] = [];
  store.flush = async (offset) => {
    asked.push(offset);
    await until;
    return flush(offset);
  };
  put(store, 1);
  clock.advance(1000);
  service.start();
  await store.arrival("orders", 2, 0);
  await settle();
  const stopped = service.stop();
  await settle();
  expect(asked).toEqual([store.log.endOffset]);
  expect(offsets.get(1)).toBe(0);
  mayFlush();
  await stopped;
  expect(offsets.get(1)).toBe(1);
});

test("what RocketMQ has delivered and what is delivered here are the same, and what it has left waiting goes on", async () => {
  const store = await open(fixture("rmq5-delay"), {
    segmentBytes: 65_536,
    queueFileEntries: 100,
    indexSlots: 64,
    indexEntries: 256,
  });
  const read = (queueId: number) => {
    const entries = store.entries("TopicD", queueId);
    return store.get("TopicD", queueId, 0).messages.map((message, i) => {
      const { physicalOffset: _, queueOffset: __, storeTimestamp: ___, size: ____, ...facts } = message.toJSON();
      // RocketMQ writes them in the order of a hash map.
      const properties = [...message.properties].filter(([name]) => name !== "__CRC32#").sort();
      return { ...facts, properties, body: Buffer.from(message.body), tagsCode: entries[i]?.tagsCode };
    });
  };
  const theirs = [read(0), read(1)];
  expect(theirs.map(({ length }) => length)).toEqual([4, 4]);
  const offsets = new DelayOffsets(store);
  // Once more, as after a crash; the levels behind them go on where RocketMQ was.
  offsets.set(
    new Map([
      [1, 0],
      [2, 0],
    ]),
  );
  const levels = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";
  const clock = new ManualClock(Date.UTC(2100, 0, 1));
  const topics = topicsThatAreMade([]);
  const service = new DelayService({ store, topics, offsets, delays: delaysOf(levels), log: new Logged(), clock });
  service.start();
  await Promise.all([store.arrival("TopicD", 0, 7), store.arrival("TopicD", 1, 7)]);
  await settle();
  await service.stop();
  const ours = [read(0).slice(4), read(1).slice(4)];
  for (const queueId of [0, 1]) {
    const again = ours[queueId]?.filter(({ properties }) =>
      ["1", "2"].includes(new Map(properties).get("DELAY") ?? ""),
    );
    expect(again).toEqual(theirs[queueId]);
  }
  const levelsOfAll = ours.flat().map(({ properties }) => Number(new Map(properties).get("DELAY")));
  const counts = [1, 2, 5, 10, 18].map((level) => levelsOfAll.filter((one) => one === level).length);
  expect(counts).toEqual([4, 4, 3, 3, 6]);
  expect([1, 2, 5, 10, 18].map((level) => offsets.get(level))).toEqual(counts);
});
