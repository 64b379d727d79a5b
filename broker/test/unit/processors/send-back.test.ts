import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { type MessageRig, messages, offsetOf, openRig, propertiesOf, send } from "./message-rig.ts";

let one: MessageRig;
let offset: number;

beforeEach(async () => {
  one = await openRig();
  await one.rig.topic("orders");
  const { ext } = await send(one, { f: "1" }, { TAGS: "red", KEYS: "k" }, Buffer.from("compressed as it came"));
  offset = offsetOf(ext?.msgId);
});

afterEach(() => one.rig.close());

const sendBack = (given: object = {}) =>
  one.rig.ask(RequestCode.CONSUMER_SEND_MSG_BACK, {
    ext: { offset: String(offset), group: "readers", delayLevel: "0", originTopic: "orders", ...given },
  });

test("a message is tried again later, a copy of what it was", async () => {
  expect(await sendBack()).toMatchObject({ code: ResponseCode.SUCCESS });
  const [origin] = messages(one, "orders");
  const [copy] = messages(one, "SCHEDULE_TOPIC_XXXX", 2);
  expect(copy).toMatchObject({
    flag: 7,
    sysFlag: 1,
    bornTimestamp: origin?.bornTimestamp,
    bornHost: origin?.bornHost,
    reconsumeTimes: 1,
    body: origin?.body,
  });
  expect(propertiesOf(copy)).toMatchObject({
    TAGS: "red",
    KEYS: "k",
    UNIQ_KEY: propertiesOf(origin).UNIQ_KEY,
    RETRY_TOPIC: "orders",
    ORIGIN_MESSAGE_ID: origin?.offsetMsgId,
    REAL_TOPIC: "%RETRY%readers",
    REAL_QID: "0",
    DELAY: "3",
    WAIT: "false",
  });
  expect(one.rig.topics.get("%RETRY%readers")).toMatchObject({ readQueueNums: 1, perm: 6 });
  expect(one.statistics.snapshot("SNDBCK_PUT_NUMS", "orders@readers")).toBeDefined();
});

test("each time takes the next level, until it is dead", async () => {
  await one.rig.groups.put(groupConfig("readers", { retryMaxTimes: 2 }));
  for (const level of [3, 4]) {
    await sendBack();
    const copy = messages(one, "SCHEDULE_TOPIC_XXXX", level - 1).at(-1);
    expect(propertiesOf(copy)).toMatchObject({ DELAY: String(level), RETRY_TOPIC: "orders" });
    offset = copy?.physicalOffset ?? -1;
  }
  expect((await sendBack()).code).toBe(ResponseCode.SUCCESS);
  const [dead] = messages(one, "%DLQ%readers");
  expect(dead).toMatchObject({ reconsumeTimes: 3, tags: "red" });
  expect(propertiesOf(dead)).toMatchObject({ ORIGIN_MESSAGE_ID: messages(one, "orders")[0]?.offsetMsgId });
  expect(one.rig.topics.get("%DLQ%readers")).toMatchObject({ readQueueNums: 1, perm: 6 });
  expect(one.statistics.snapshot("DLQ_PUT_NUMS", "orders@readers")).toBeDefined();
  expect(one.rig.lines).toEqual(["warn: a message goes to the dead letters"]);
});

test("the client may say the level, how often, and that it is enough", async () => {
  await sendBack({ delayLevel: "5" });
  expect(messages(one, "SCHEDULE_TOPIC_XXXX", 4)).toHaveLength(1);
  await sendBack({ delayLevel: "99" });
  expect(messages(one, "SCHEDULE_TOPIC_XXXX", 17)).toHaveLength(1);
  await sendBack({ delayLevel: "-1" });
  await sendBack({ maxReconsumeTimes: "0" });
  expect(messages(one, "%DLQ%readers")).toHaveLength(2);
});

test("of a group with more queues for retries than its topic it goes to those that consumers read", async () => {
  await one.rig.topics.put(topicConfig("%RETRY%readers", 2));
  await one.rig.groups.put(groupConfig("readers", { retryQueueNums: 16 }));
  for (let count = 0; count < 50; count++) expect((await sendBack()).code).toBe(ResponseCode.SUCCESS);
  const copies = one.rig.store.get("SCHEDULE_TOPIC_XXXX", 2, 0, { max: 100 }).messages;
  expect(copies).toHaveLength(50);
  expect(new Set(copies.map((copy) => propertiesOf(copy).REAL_QID))).toEqual(new Set(["0", "1"]));
});

test("a group without retries drops the message", async () => {
  await one.rig.groups.put(groupConfig("readers", { retryQueueNums: 0 }));
  expect((await sendBack()).code).toBe(ResponseCode.SUCCESS);
  expect(one.rig.store.topics()).toEqual(["orders"]);
});

test("refusals come in RocketMQ's order", async () => {
  const { config, groups, topics } = one.rig;
  Object.assign(config, { autoCreateSubscriptionGroup: false, brokerPermission: 4 });
  expect((await sendBack({ offset: "1" })).code).toBe(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST);
  await groups.put(groupConfig("readers"));
  await topics.put(topicConfig("%RETRY%readers", 1, { perm: 4 }));
  expect((await sendBack({ offset: "1" })).remark).toBe("the broker[127.0.0.1] sending message is forbidden");
  Object.assign(config, { brokerPermission: 6 });
  expect((await sendBack({ offset: "1" })).remark).toBe("the topic[%RETRY%readers] sending message is forbidden");
  await topics.put(topicConfig("%RETRY%readers", 1));
  for (const wrong of ["1", "-1", "9223372036854775807", "100000000"]) {
    expect(await sendBack({ offset: wrong })).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: expect.stringContaining("look message by offset failed, "),
    });
  }
});

test("what is half of a transaction, timed or a batch is copied nowhere", async () => {
  const { store } = one.rig;
  const put = (given: object) =>
    store.put({ topic: "orders", queueId: 0, body: Buffer.from("x"), ...given } as Parameters<typeof store.put>[0]);
  const answer = async (given: object, asked: object = {}) => {
    offset = put(given).physicalOffset;
    const { code, remark } = await sendBack(asked);
    return [code, remark];
  };
  const forbidden = [ResponseCode.NO_PERMISSION, "the broker[127.0.0.1] sending transaction message is forbidden"];
  expect(await answer({ topic: "RMQ_SYS_TRANS_HALF_TOPIC" })).toEqual(forbidden);
  expect(await answer({ sysFlag: 4 })).toEqual(forbidden);
  const timed = { properties: { TIMER_DELIVER_MS: "99999999999999" } };
  expect(await answer(timed, { delayLevel: "-1" })).toEqual([1, "WHEEL_TIMER_NOT_ENABLE"]);
  await one.rig.topics.put(topicConfig("bulk", 1, { attributes: { "queue.type": "BatchCQ" } }));
  const batch = { topic: "bulk", body: undefined, innerBatch: [{ body: Buffer.from("x") }] };
  expect(await answer(batch)).toEqual([1, "MESSAGE_ILLEGAL"]);
  // A level takes the place of a time, and a message that was committed is one as any other.
  expect(await answer(timed)).toEqual([0, undefined]);
  expect(await answer({ sysFlag: 8, properties: { TRAN_MSG: "true" } })).toEqual([0, undefined]);
});

test("a store that does not take the copy is told with RocketMQ's name for it", async () => {
  const { StoreError } = await import("moraine");
  for (const [code, remark] of [
    ["STORE_BUSY", "OS_PAGE_CACHE_BUSY"],
    ["STORE_FULL", "SERVICE_NOT_AVAILABLE"],
    ["STORE_MESSAGE_TOO_LARGE", "MESSAGE_ILLEGAL"],
  ] as const) {
    vi.spyOn(one.rig.store, "put").mockImplementationOnce(() => {
      throw new StoreError(code, "for a test");
    });
    expect(await sendBack()).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark });
  }
  expect(one.rig.lines).toEqual(["error: the store does not take messages"]);
});

test("with SYNC_FLUSH it is answered once the copy is on the disk, and not as done where that takes too long", async () => {
  Object.assign(one.rig.config, { flushDiskType: "SYNC_FLUSH", syncFlushTimeout: 50 });
  const { store } = one.rig;
  expect((await sendBack()).code).toBe(ResponseCode.SUCCESS);
  expect(store.log.durableOffset).toBe(store.log.endOffset);
  vi.spyOn(store, "flush").mockReturnValue(new Promise(() => {}));
  expect(await sendBack()).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: "FLUSH_DISK_TIMEOUT" });
  Object.assign(one.rig.config, { flushDiskType: "ASYNC_FLUSH" });
  expect((await sendBack()).code).toBe(ResponseCode.SUCCESS);
});

test("a copy makes no light queues, and what is counted are topics that there are", async () => {
  one.rig.store.put({
    topic: "orders",
    queueId: 0,
    body: Buffer.from("x"),
    properties: { INNER_MULTI_DISPATCH: "%LMQ%x" },
  });
  offset = messages(one, "orders").at(-1)?.physicalOffset ?? -1;
  const before = one.rig.store.topics();
  expect(await sendBack({ delayLevel: "-1" })).toMatchObject({ remark: "MESSAGE_ILLEGAL" });
  expect(one.rig.store.topics()).toEqual(before);
  const { ext } = await send(one, {}, { RETRY_TOPIC: "x".repeat(1000) });
  offset = offsetOf(ext?.msgId);
  expect((await sendBack()).code).toBe(ResponseCode.SUCCESS);
  expect(one.statistics.snapshot("SNDBCK_PUT_NUMS", "orders@readers")).toBeDefined();
  expect(one.statistics.snapshot("SNDBCK_PUT_NUMS", `${"x".repeat(1000)}@readers`)).toBeUndefined();
});
