import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { clientHandlers } from "../../../src/processors/clients.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { FakeConnection, Rig } from "./rig.ts";

/** How long a Java client waits for the answer to a heartbeat. */
const CLIENT_WAITS_MS = 3000;
/** Milliseconds that were waited, or are. */
const waits = vi.hoisted((): unknown[] => []);

vi.mock("node:timers/promises", async (original) => {
  const timers = await original<typeof import("node:timers/promises")>();
  const setTimeout: typeof timers.setTimeout = (ms, ...rest) => {
    waits.push(ms);
    return timers.setTimeout(ms, ...rest);
  };
  return { ...timers, setTimeout };
});

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve(clientHandlers(rig));
});

afterEach(() => rig.close());

const subscription = (topic: string, subVersion = 1) => ({
  topic,
  subString: "A || B",
  expressionType: "TAG",
  tagsSet: ["A", "B"],
  codeSet: [65, 66],
  classFilterMode: false,
  subVersion,
});

const consumer = (groupName: string, topics: readonly string[], given: object = {}) => ({
  groupName,
  consumeType: "CONSUME_PASSIVELY",
  messageModel: "CLUSTERING",
  consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
  unitMode: false,
  subscriptionDataSet: topics.map((topic) => subscription(topic)),
  ...given,
});

const heartbeat = (clientID: string, given: object) => ({
  clientID,
  heartbeatFingerprint: 0,
  withoutSub: false,
  producerDataSet: [],
  consumerDataSet: [],
  ...given,
});

test("a heartbeat makes a group with its retry topic, and its members are listed", async () => {
  const body = heartbeat("one", {
    consumerDataSet: [consumer("readers", ["orders", "%RETRY%readers"])],
    producerDataSet: [{ groupName: "writers" }],
  });
  const answer = await rig.ask(RequestCode.HEART_BEAT, { body });
  expect(answer.code).toBe(ResponseCode.SUCCESS);
  expect(answer.ext).toEqual({ IS_SUPPORT_HEART_BEAT_V2: true, IS_SUB_CHANGE: true });
  expect(rig.groups.get("readers")).toMatchObject({ retryMaxTimes: 16 });
  expect(rig.topics.get("%RETRY%readers")).toMatchObject({
    readQueueNums: 1,
    writeQueueNums: 1,
    perm: 6,
    order: false,
  });
  expect(rig.producers.clients("writers").map(({ clientId }) => clientId)).toEqual(["one"]);
  expect(rig.consumers.find("readers")).toMatchObject({
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
  });
  expect(rig.consumers.subscription("readers", "orders")?.codeSet).toEqual(new Set([65, 66]));

  await rig.ask(RequestCode.HEART_BEAT, {
    body: heartbeat("two", { consumerDataSet: [consumer("readers", ["orders", "%RETRY%readers"])] }),
    connection: new FakeConnection(),
  });
  const list = await rig.ask(RequestCode.GET_CONSUMER_LIST_BY_GROUP, { ext: { consumerGroup: "readers" } });
  expect(list.text).toBe('{"consumerIdList":["one","two"]}');
  await wait(20);
  const codes = rig.connection.notices.map(({ code, ext }) => [code, ext]);
  expect(codes).toEqual([[RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: "readers" }]]);
});

test("names of enums may be ordinals, and what is left out has a default", async () => {
  const odd = { groupName: "odd", consumeType: 0, messageModel: 0, consumeFromWhere: 4, subscriptionDataSet: [] };
  const bare = { groupName: "bare", subscriptionDataSet: [{ topic: "orders", subString: "A" }] };
  await rig.ask(RequestCode.HEART_BEAT, { body: { clientID: "c", consumerDataSet: [odd, bare] } });
  expect(rig.consumers.find("odd")).toMatchObject({
    consumeType: "CONSUME_ACTIVELY",
    messageModel: "BROADCASTING",
    consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
  });
  expect(rig.consumers.subscription("bare", "orders")).toMatchObject({
    expressionType: "TAG",
    tagsSet: new Set(["A"]),
  });
});

test("a heartbeat of the second kind asks for subscriptions only when they may have changed", async () => {
  const beat = async (heartbeatFingerprint: number, withoutSub: boolean) => {
    const subscribed = consumer("readers", withoutSub ? [] : ["orders"]);
    const body = heartbeat("one", { heartbeatFingerprint, withoutSub, consumerDataSet: [subscribed] });
    return (await rig.ask(RequestCode.HEART_BEAT, { body })).ext?.IS_SUB_CHANGE;
  };
  expect(await beat(7, false)).toBe(false);
  expect(await beat(7, true)).toBe(false);
  expect(rig.consumers.subscription("readers", "orders")).toBeDefined();
  expect(await beat(8, true)).toBe(true);
  expect(await beat(8, false)).toBe(false);
});

test("a heartbeat of the first kind makes others of the group send their subscriptions again", async () => {
  const beat = async (given: object) => {
    const body = heartbeat("one", { consumerDataSet: [consumer("readers", ["orders"])], ...given });
    return (await rig.ask(RequestCode.HEART_BEAT, { body })).ext?.IS_SUB_CHANGE;
  };
  expect(await beat({ heartbeatFingerprint: 7 })).toBe(false);
  expect(await beat({})).toBe(true);
  expect(await beat({ heartbeatFingerprint: 7, withoutSub: true })).toBe(true);
});

test("a broker that has forgotten a client asks it for its subscriptions", async () => {
  const body = heartbeat("one", {
    heartbeatFingerprint: 7,
    withoutSub: true,
    consumerDataSet: [consumer("readers", [])],
  });
  expect((await rig.ask(RequestCode.HEART_BEAT, { body })).ext).toMatchObject({ IS_SUB_CHANGE: true });
});

test("the retry topic is ordered as long as an ordered topic is subscribed to, also by heartbeats without subscriptions", async () => {
  await rig.topic("ordered");
  const ordered = rig.topics.get("ordered");
  if (ordered === undefined) throw new Error("no topic");
  await rig.topics.put({ ...ordered, order: true });
  const beat = (withoutSub: boolean) => {
    const data = consumer("readers", withoutSub ? [] : ["ordered"]);
    return rig.ask(RequestCode.HEART_BEAT, {
      body: heartbeat("one", { heartbeatFingerprint: 7, withoutSub, consumerDataSet: [data] }),
    });
  };
  await beat(false);
  expect(rig.topics.get("%RETRY%readers")?.order).toBe(true);
  await beat(true);
  expect(rig.topics.get("%RETRY%readers")?.order).toBe(true);
});

test("a client that says farewell is out of its groups, and one without members is not listed", async () => {
  const body = heartbeat("one", {
    consumerDataSet: [consumer("readers", ["orders"])],
    producerDataSet: [{ groupName: "writers" }],
  });
  await rig.ask(RequestCode.HEART_BEAT, { body });
  const ext = { clientID: "one", producerGroup: "writers", consumerGroup: "readers" };
  expect((await rig.ask(RequestCode.UNREGISTER_CLIENT, { ext })).code).toBe(ResponseCode.SUCCESS);
  expect(rig.producers.clients("writers")).toEqual([]);
  const list = await rig.ask(RequestCode.GET_CONSUMER_LIST_BY_GROUP, { ext: { consumerGroup: "readers" } });
  expect(list).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: "no consumer for this group, readers" });
});

test("groups that may not be made are passed over", async () => {
  await rig.close();
  rig = await Rig.open({ autoCreateSubscriptionGroup: "false", rejectPullConsumerEnable: "true" });
  rig.serve(clientHandlers(rig));
  await rig.groups.put(groupConfig("pullers"));
  const pulling = consumer("pullers", ["orders"], { consumeType: "CONSUME_ACTIVELY" });
  const body = heartbeat("one", { consumerDataSet: [consumer("readers", ["orders"]), pulling] });
  expect((await rig.ask(RequestCode.HEART_BEAT, { body })).code).toBe(ResponseCode.SUCCESS);
  expect([...rig.consumers.groups()]).toEqual([]);
  expect(rig.topics.get("%RETRY%readers")).toBeUndefined();
});

test("subscriptions by tags are taken, others refused with the reason", async () => {
  const check = (subscriptionData: object) =>
    rig.ask(RequestCode.CHECK_CLIENT_CONFIG, { body: { clientId: "one", group: "readers", subscriptionData } });
  expect((await check(subscription("orders"))).code).toBe(ResponseCode.SUCCESS);
  const nothing = await rig.ask(RequestCode.CHECK_CLIENT_CONFIG, { body: { clientId: "one", group: "readers" } });
  expect(nothing.code).toBe(ResponseCode.SUCCESS);
  const refused = await check({ ...subscription("orders"), expressionType: "SQL92", subString: "a > 1" });
  expect(refused).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: "The broker does not support consumer to filter message by SQL92",
  });
});

test("what is no heartbeat is refused", async () => {
  for (const body of [Buffer.from(""), Buffer.from("{"), Buffer.from("[]"), Buffer.from('{"consumerDataSet":7}')]) {
    expect((await rig.ask(RequestCode.HEART_BEAT, { body })).code).not.toBe(ResponseCode.SUCCESS);
  }
});

test("who leaves while a topic for retries is made has left", async () => {
  const body = heartbeat("one", { consumerDataSet: [consumer("fresh", ["orders"])] });
  const answer = rig.ask(RequestCode.HEART_BEAT, { body });
  await rig.ask(RequestCode.UNREGISTER_CLIENT, { ext: { clientID: "one", consumerGroup: "fresh" } });
  await answer;
  expect(rig.consumers.find("fresh")).toBeUndefined();
});

test("a later heartbeat counts, however long the topics of an earlier one take", async () => {
  vi.spyOn(rig.topics, "createForRetry").mockImplementationOnce(() => new Promise(() => {}));
  const beat = (topics: readonly string[]) =>
    rig.ask(RequestCode.HEART_BEAT, { body: heartbeat("one", { consumerDataSet: [consumer("fresh", topics)] }) });
  waits.length = 0;
  const slow = beat(["orders"]);
  await beat(["orders", "bills"]);
  // Nothing but its wait answers it.
  expect((await slow).code).toBe(ResponseCode.SUCCESS);
  expect(waits.length).toBeGreaterThan(0);
  for (const ms of waits) expect(ms).toBeLessThan(CLIENT_WAITS_MS);
  expect([...(rig.consumers.find("fresh")?.subscriptions.keys() ?? [])]).toEqual(["orders", "bills"]);
});

test("a topic for retries that cannot be made fails no heartbeat", async () => {
  const warn = vi.spyOn(rig.log, "warn");
  vi.spyOn(rig.topics, "createForRetry").mockRejectedValueOnce(new Error("for a test"));
  const body = heartbeat("one", { consumerDataSet: [consumer("fresh", ["orders"])] });
  expect((await rig.ask(RequestCode.HEART_BEAT, { body })).code).toBe(ResponseCode.SUCCESS);
  expect(warn).toHaveBeenCalledTimes(1);
  warn.mockRestore();
});

test("names that are too long, and too many topics, are refused", async () => {
  const topics = Array.from({ length: 4097 }, (_, i) => ({ topic: `t${i}` }));
  for (const given of [
    { clientID: "x".repeat(513) },
    { producerDataSet: [{ groupName: "x".repeat(256) }] },
    { consumerDataSet: [consumer("x".repeat(256), [])] },
    { consumerDataSet: [consumer("readers", ["x".repeat(256)])] },
    { consumerDataSet: [consumer("readers", [], { subscriptionDataSet: topics })] },
  ]) {
    const { code } = await rig.ask(RequestCode.HEART_BEAT, { body: heartbeat("one", given) });
    expect(code).toBe(ResponseCode.INVALID_PARAMETER);
  }
  expect([...rig.producers.groups(), ...rig.consumers.groups()]).toEqual([]);
});
