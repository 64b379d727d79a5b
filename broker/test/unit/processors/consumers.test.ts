import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { consumeQueueHandlers } from "../../../src/processors/consume-queue.ts";
import { consumeStatsHandlers } from "../../../src/processors/consume-stats.ts";
import { consumerHandlers } from "../../../src/processors/consumers.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { Rig } from "./rig.ts";

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve([
    ...consumerHandlers(rig),
    ...consumeStatsHandlers({ ...rig, config: rig.config, now: () => Date.now() }),
    ...consumeQueueHandlers(rig),
  ]);
  await rig.topic("orders", 2);
});

afterEach(() => rig.close());

test("who consumes", async () => {
  const ask = () => rig.ask(RequestCode.GET_CONSUMER_CONNECTION_LIST, { ext: { consumerGroup: "readers" } });
  expect((await ask()).code).toBe(ResponseCode.CONSUMER_NOT_ONLINE);
  const { remote } = rig.consume("readers", "one", ["orders"]);
  expect((await ask()).json).toEqual({
    connectionSet: [{ clientAddr: `127.0.0.1:${remote.port}`, clientId: "one", language: "JAVA", version: 479 }],
    consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    subscriptionTable: {
      orders: {
        classFilterMode: false,
        codeSet: [],
        expressionType: "TAG",
        subString: "*",
        subVersion: 1,
        tagsSet: [],
        topic: "orders",
      },
    },
  });
});

test("who produces", async () => {
  const ask = () => rig.ask(RequestCode.GET_PRODUCER_CONNECTION_LIST, { ext: { producerGroup: "writers" } });
  expect(await ask()).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: "the producer group[writers] not exist",
  });
  rig.producers.register("writers", { connection: rig.connection, clientId: "one", language: "GO", version: 1 });
  const { port } = rig.connection.remote;
  const client = { clientId: "one", language: "GO", version: 1 };
  expect((await ask()).json).toEqual({ connectionSet: [{ clientAddr: `127.0.0.1:${port}`, ...client }] });
  const all = (await rig.ask(RequestCode.GET_ALL_PRODUCER_INFO)).json as { data: Record<string, object[]> };
  expect(all.data.writers).toEqual([
    { ...client, remoteIP: `/127.0.0.1:${port}`, lastUpdateTimestamp: expect.any(Number) },
  ]);
});

test("which group consumes a topic, and which topics a group", async () => {
  rig.consume("online", "one", ["orders"]);
  rig.offsets.commit("offline", "orders", 0, 1);
  const groups = await rig.ask(RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, { ext: { topic: "orders" } });
  expect(groups.text).toBe('{"groupList":["online","offline"]}');
  const topics = await rig.ask(RequestCode.QUERY_TOPICS_BY_CONSUMER, { ext: { group: "offline" } });
  expect(topics.json).toEqual({ brokerAddr: "127.0.0.1:10911", topicList: ["orders"] });
  const subscription = (group: string) =>
    rig.ask(RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, { ext: { group, topic: "orders" } });
  expect((await subscription("online")).json).toMatchObject({ subscriptionData: { subString: "*" } });
  expect((await subscription("offline")).json).toEqual({ group: "offline", topic: "orders" });
});

const progress = (
  brokerOffset: number,
  consumerOffset: number,
  lastTimestamp: number,
  pullOffset = consumerOffset,
) => ({
  brokerOffset,
  consumerOffset,
  lastTimestamp,
  pullOffset,
});
const queue = (queueId: number) => ({ brokerName: "broker-a", queueId, topic: "orders" });
const tableOf = (json: unknown) => [...(json as { offsetTable: Map<object, object> }).offsetTable];

test("how far a group has come", async () => {
  rig.put("orders", 0, 3);
  rig.offsets.commit("readers", "orders", 0, 2);
  rig.offsets.setPulled("readers", "orders", 0, 3);
  const time = rig.store.timeOf("orders", 0, 1) ?? 0;
  const ask = (given: object = {}) =>
    rig.ask(RequestCode.GET_CONSUME_STATS, { ext: { consumerGroup: "readers", ...given } });
  const expected = [
    [queue(0), progress(3, 2, time, 3)],
    [queue(1), progress(0, 0, 0)],
  ];
  for (const given of [{}, { topic: "orders" }, { topicList: "orders;missing" }]) {
    const { json } = await ask(given);
    expect(json).toMatchObject({ consumeTps: 0 });
    expect(tableOf(json)).toEqual(expected);
  }
  rig.consume("readers", "one", ["bills"]);
  expect((await ask()).text).toBe('{"consumeTps":0,"offsetTable":{}}');
  expect(tableOf((await ask({ topicList: "orders" })).json)).toEqual(expected);
});

test("a reset counts before the next pull has taken it", async () => {
  rig.put("orders", 0, 3);
  rig.offsets.reset("readers", "orders", 0, 1);
  rig.offsets.commit("readers", "orders", 0, 3);
  const { json } = await rig.ask(RequestCode.GET_CONSUME_STATS, {
    ext: { consumerGroup: "readers", topic: "orders" },
  });
  expect(tableOf(json)[0]?.[1]).toMatchObject({ consumerOffset: 1 });
});

test("how far all groups have come", async () => {
  await rig.groups.put(groupConfig("readers"));
  rig.put("orders", 0, 3);
  rig.offsets.commit("readers", "orders", 0, 1);
  rig.offsets.setPulled("readers", "orders", 0, 2);
  const { json } = await rig.ask(RequestCode.GET_BROKER_CONSUME_STATS, { ext: { isOrder: "false" } });
  expect(json).toMatchObject({ brokerAddr: "127.0.0.1:10911", totalDiff: 2, totalInflightDiff: 1 });
  const { consumeStatsList } = json as { consumeStatsList: Record<string, object[]>[] };
  expect(consumeStatsList.length).toBe([...rig.groups.all()].length);
  const [stats] = consumeStatsList.find((one) => one.readers !== undefined)?.readers ?? [];
  expect(tableOf(stats)[0]?.[1]).toMatchObject({ brokerOffset: 3, consumerOffset: 1, pullOffset: 2 });
  const ordered = await rig.ask(RequestCode.GET_BROKER_CONSUME_STATS, { ext: { isOrder: "true" } });
  expect(ordered.json).toMatchObject({ totalDiff: 0, totalInflightDiff: 0 });
});

test("more queues than an answer takes are not gathered", async () => {
  await rig.topic("wide", 40_000);
  for (const group of ["one", "two", "three"]) {
    await rig.groups.put(groupConfig(group));
    rig.offsets.commit(group, "wide", 0, 1);
    rig.offsets.commit(group, "orders", 0, 1);
  }
  const looked = vi.spyOn(rig.store, "offsets");
  const all = await rig.ask(RequestCode.GET_BROKER_CONSUME_STATS, { ext: { isOrder: "false" } });
  expect(all).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: expect.stringContaining("groups one by one") });
  // Of the third group not one.
  expect(looked.mock.calls.length).toBeLessThan(90_000);
  const one = await rig.ask(RequestCode.GET_CONSUME_STATS, { ext: { consumerGroup: "one" } });
  expect(one.code).toBe(ResponseCode.SUCCESS);
  expect(Buffer.byteLength(one.text)).toBeGreaterThan(40_000 * 100);
  await rig.topic("wider", 60_000);
  rig.offsets.commit("one", "wider", 0, 1);
  const many = await rig.ask(RequestCode.GET_CONSUME_STATS, { ext: { consumerGroup: "one" } });
  expect(many).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: expect.stringContaining("topicList") });
});

test("times of the messages that a group has and has not consumed", async () => {
  rig.put("orders", 0, 2);
  const [first, second] = [rig.store.timeOf("orders", 0, 0), rig.store.timeOf("orders", 0, 1)];
  const ask = async () => {
    const { json } = await rig.ask(RequestCode.QUERY_CONSUME_TIME_SPAN, { ext: { topic: "orders", group: "readers" } });
    return (json as { consumeTimeSpanSet: Record<string, unknown>[] }).consumeTimeSpanSet;
  };
  const [fresh, empty] = await ask();
  expect(fresh).toMatchObject({
    messageQueue: queue(0),
    minTimeStamp: first,
    maxTimeStamp: second,
    consumeTimeStamp: first,
  });
  expect(fresh?.delayTime).toBeLessThan(60_000);
  expect(empty).toEqual({
    messageQueue: queue(1),
    minTimeStamp: -1,
    maxTimeStamp: -1,
    consumeTimeStamp: -1,
    delayTime: 0,
  });
  rig.offsets.commit("readers", "orders", 0, 2);
  const [done] = await ask();
  expect(done).toMatchObject({ consumeTimeStamp: second, delayTime: 0 });
});

test("entries of a queue", async () => {
  rig.put("orders", 0, 3);
  const ask = (given: object = {}) =>
    rig.ask(RequestCode.QUERY_CONSUME_QUEUE, {
      ext: { topic: "orders", queueId: "0", index: "1", count: "10", ...given },
    });
  const entries = rig.store.entries("orders", 0);
  const shown = entries.map(({ physicalOffset, size, tagsCode }) => ({
    eval: false,
    physicOffset: physicalOffset,
    physicSize: size,
    tagsCode,
  }));
  expect((await ask()).json).toEqual({ maxQueueIndex: 3, minQueueIndex: 0, queueData: shown.slice(1) });
  expect((await ask({ count: "1" })).json).toMatchObject({ queueData: shown.slice(1, 2) });
  expect((await ask({ count: "-1" })).json).toMatchObject({ queueData: [] });
  expect((await ask({ consumerGroup: "readers" })).json).toMatchObject({ filterData: "readers@orders is not online!" });
  rig.consume("readers", "one", ["orders"]);
  expect((await ask({ consumerGroup: "readers" })).json).toMatchObject({
    filterData: "null",
    subscriptionData: { topic: "orders" },
  });
  expect(await ask({ index: "3" })).toMatchObject({
    code: ResponseCode.SUCCESS,
    remark: "Index 3 of 0@orders is not exist!",
  });
  expect((await ask({ queueId: "1", index: "0" })).remark).toBe("Index 0 of 1@orders is not exist!");
  for (const given of [{ queueId: "7" }, { topic: "bills" }, { topic: "../x" }]) {
    expect((await ask(given)).code).toBe(ResponseCode.SYSTEM_ERROR);
  }
});
