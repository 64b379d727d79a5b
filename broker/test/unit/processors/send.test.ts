import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { type MessageRig, messages, offsetOf, openRig, propertiesOf, send, sendFields, textOf } from "./message-rig.ts";

let one: MessageRig;

beforeEach(async () => {
  one = await openRig();
  await one.rig.topic("orders");
});

afterEach(() => one.rig.close());

const key = "7F000001000018B4AAC2000000000001";

/** Reopens with other options. */
async function configured(given: Readonly<Record<string, string>>): Promise<void> {
  await one.rig.close();
  one = await openRig(given);
  await one.rig.topic("orders");
}

test("a message is stored as it came, with what the broker adds", async () => {
  const answer = await send(one, { e: "2", f: "1", j: "3" }, { TAGS: "paid", KEYS: "o-1 o-2", WAIT: "true" });
  expect(answer.code).toBe(ResponseCode.SUCCESS);
  const [message] = messages(one, "orders", 2);
  expect(answer.ext).toEqual({
    MSG_REGION: "DefaultRegion",
    TRACE_ON: true,
    batchUniqId: undefined,
    msgId: message?.offsetMsgId,
    queueId: 2,
    queueOffset: 0,
    transactionId: key,
  });
  expect(message).toMatchObject({
    topic: "orders",
    flag: 7,
    sysFlag: 1,
    bornTimestamp: 1_700_000_000_000,
    bornHost: one.rig.connection.remote,
    storeHost: { address: "127.0.0.1", port: 10_911 },
    reconsumeTimes: 3,
    tags: "paid",
    keys: ["o-1", "o-2"],
  });
  expect(Buffer.from(message?.body ?? []).toString()).toBe("hello");
  expect(propertiesOf(message)).toEqual({
    UNIQ_KEY: key,
    TAGS: "paid",
    KEYS: "o-1 o-2",
    WAIT: "true",
    MSG_REGION: "DefaultRegion",
    TRACE_ON: "true",
    CLUSTER: "DefaultCluster",
    "__CRC32#": expect.any(String),
  });
  expect(one.statistics.snapshot("TOPIC_PUT_NUMS", "orders")).toBeDefined();
});

test("the first version says the same in long names", async () => {
  const ext = {
    producerGroup: "producers",
    topic: "orders",
    defaultTopic: "TBW102",
    defaultTopicQueueNums: "4",
    queueId: "1",
    sysFlag: "0",
    bornTimestamp: "1",
    flag: "0",
    properties: textOf({ TAGS: "a" }),
  };
  const answer = await one.rig.ask(RequestCode.SEND_MESSAGE, { ext, body: Buffer.from("x") });
  expect(answer).toMatchObject({ code: ResponseCode.SUCCESS, ext: { queueId: 1, queueOffset: 0 } });
  const [message] = messages(one, "orders", 1);
  expect(propertiesOf(message).UNIQ_KEY).toMatch(/^7F000001[0-9A-F]{24}$/);
  expect(answer.ext?.transactionId).toBe(propertiesOf(message).UNIQ_KEY);
});

test("what the broker sets itself is not taken from clients, and is there once", async () => {
  const given = { MSG_REGION: "elsewhere", TRACE_ON: "false", CLUSTER: "theirs", POP_CK: "1 2 3", COLOUR: "red" };
  await send(one, {}, given);
  const [message] = messages(one, "orders");
  const properties = propertiesOf(message);
  expect(properties).toMatchObject({ MSG_REGION: "DefaultRegion", TRACE_ON: "true", CLUSTER: "DefaultCluster" });
  expect(properties).not.toHaveProperty("POP_CK");
  expect(properties.COLOUR).toBe("red");
  expect(
    Buffer.from(message?.raw ?? [])
      .toString("latin1")
      .split("CLUSTER\u0001"),
  ).toHaveLength(2);
});

test("a property string without an end, and with characters of any kind, is kept", async () => {
  await send(one, { i: `UNIQ_KEY\u0001${key}\u0002NAME\u0001größer 你好` });
  expect(propertiesOf(messages(one, "orders")[0])).toMatchObject({
    UNIQ_KEY: key,
    NAME: "größer 你好",
    TRACE_ON: "true",
  });
});

test("any queue of those that are written to, where none is asked for", async () => {
  const queues = new Set<unknown>();
  for (let i = 0; i < 100; i++) queues.add((await send(one, { e: "-1" })).ext?.queueId);
  expect([...queues].sort()).toEqual([0, 1, 2, 3]);
});

test("refusals come in RocketMQ's order", async () => {
  const code = async (given: Readonly<Record<string, unknown>>, properties = {}, body = Buffer.from("x")) =>
    (await send(one, given, properties, body)).code;
  const empty = Buffer.alloc(0);
  expect(await code({ a: undefined })).toBe(ResponseCode.INVALID_PARAMETER);
  expect(await code({ e: "four" })).toBe(ResponseCode.INVALID_PARAMETER);
  expect(await code({ b: "or ders", e: "99" })).toBe(ResponseCode.INVALID_PARAMETER);
  expect(await code({ b: "SCHEDULE_TOPIC_XXXX", e: "99" })).toBe(ResponseCode.NO_PERMISSION);
  expect(await code({ b: "bills", c: "nothing" })).toBe(ResponseCode.TOPIC_NOT_EXIST);
  expect(await code({ e: "4" }, { TRAN_MSG: "true" })).toBe(ResponseCode.INVALID_PARAMETER);
  expect(await code({}, { TRAN_MSG: "true" }, empty)).toBe(ResponseCode.NO_PERMISSION);
  expect(await code({}, { TIMER_DELAY_SEC: "5" }, empty)).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(await code({}, { TIMER_DELAY_SEC: "5" })).toBe(ResponseCode.SYSTEM_ERROR);
  expect(await code({}, { INNER_NUM: "5" })).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(await code({ f: "128" })).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(await code({}, { INNER_MULTI_DISPATCH: "%LMQ%one" })).toBe(ResponseCode.SYSTEM_ERROR);
  expect(await code({}, { DELAY: "soon" })).toBe(ResponseCode.SYSTEM_ERROR);
  expect(one.rig.store.topics()).toEqual([]);
});

test("refusals tell the region and the trace switch, too", async () => {
  expect(await send(one, { b: "bills", c: "nothing" })).toMatchObject({
    code: ResponseCode.TOPIC_NOT_EXIST,
    remark: expect.stringContaining("topic[bills] not exist, apply first please!"),
    ext: { MSG_REGION: "DefaultRegion", TRACE_ON: true },
  });
});

test("a queue that there is not is told with the topic", async () => {
  const { remark } = await send(one, { e: "4" });
  expect(remark).toBe(
    "request queueId[4] is illegal, TopicConfig [topicName=orders, readQueueNums=4, writeQueueNums=4, perm=RW-, " +
      "topicFilterType=SINGLE_TAG, topicSysFlag=0, order=false, attributes={}] " +
      `Producer: 127.0.0.1:${one.rig.connection.remote.port}`,
  );
});

test("topics are made as the default topic allows", async () => {
  const answers = await Promise.all([send(one, { b: "bills", e: "1" }), send(one, { b: "bills", e: "3" })]);
  expect(answers.map(({ code }) => code)).toEqual([ResponseCode.SUCCESS, ResponseCode.SUCCESS]);
  expect(one.rig.topics.get("bills")).toMatchObject({ readQueueNums: 4, writeQueueNums: 4, perm: 6 });
  await configured({ autoCreateTopicEnable: "false" });
  expect((await send(one, { b: "bills" })).code).toBe(ResponseCode.TOPIC_NOT_EXIST);
  // Without this a consumer could not send back what it got in an earlier life of the broker.
  expect((await send(one, { b: "%RETRY%readers", c: "nothing" })).code).toBe(ResponseCode.SUCCESS);
  expect(one.rig.topics.get("%RETRY%readers")).toMatchObject({ readQueueNums: 1, perm: 6 });
});

test("a broker that may not be written to refuses topics in order, and no others", async () => {
  await configured({ brokerPermission: "4" });
  expect((await send(one)).code).toBe(ResponseCode.SUCCESS);
  await one.rig.topics.put(topicConfig("orders", 4, { order: true }));
  expect(await send(one)).toMatchObject({
    code: ResponseCode.NO_PERMISSION,
    remark: "the broker[127.0.0.1] sending message is forbidden",
  });
});

test("no message is taken before its time", async () => {
  await configured({ startAcceptSendRequestTimeStamp: String(Date.now() + 60_000) });
  expect((await send(one)).code).toBe(ResponseCode.SYSTEM_ERROR);
});

test("what is too large is illegal", async () => {
  const bytes = (count: number) => Buffer.alloc(count, 1);
  await configured({ maxMessageSize: "100" });
  expect((await send(one, {}, {}, bytes(100))).code).toBe(ResponseCode.SUCCESS);
  expect(await send(one, {}, {}, bytes(101))).toMatchObject({
    code: ResponseCode.MESSAGE_ILLEGAL,
    remark: expect.stringContaining("msg body length limit 100B, msg properties length limit 32KB."),
  });
  expect((await send(one, {}, { A: "x".repeat(32_600) })).code).toBe(ResponseCode.SUCCESS);
  expect((await send(one, {}, { A: "x".repeat(32_700) })).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect((await send(one, {}, { A: "ß".repeat(16_384) })).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
});

test("what the store answers has a code", async () => {
  const put = vi.spyOn(one.rig.store, "put");
  const { StoreError } = await import("moraine");
  for (const [code, expected] of [
    ["STORE_BUSY", ResponseCode.SYSTEM_BUSY],
    ["STORE_FULL", ResponseCode.SERVICE_NOT_AVAILABLE],
    ["STORE_POISONED", ResponseCode.SERVICE_NOT_AVAILABLE],
    ["STORE_CLOSED", ResponseCode.SERVICE_NOT_AVAILABLE],
    ["STORE_MESSAGE_TOO_LARGE", ResponseCode.MESSAGE_ILLEGAL],
    ["STORE_INVALID_ARGUMENT", ResponseCode.MESSAGE_ILLEGAL],
  ] as const) {
    put.mockImplementationOnce(() => {
      throw new StoreError(code, "for a test");
    });
    expect((await send(one)).code).toBe(expected);
  }
  put.mockRestore();
  // What is no fault of the message is in the log.
  expect(one.rig.lines).toEqual(Array(3).fill("error: the store does not take messages"));
});

test("the first half of a transaction is never stored, by whatever it says so", async () => {
  for (const [given, properties] of [
    [{}, { TRAN_MSG: "true" }],
    [{}, { TRAN_MSG: "TRUE", DELAY: "1" }],
    [{ f: "4" }, {}],
    [{ f: "12" }, {}],
    [{ f: "4", j: "1" }, { DELAY: "1" }],
  ] as const) {
    expect(await send(one, given, properties)).toMatchObject({
      code: ResponseCode.NO_PERMISSION,
      remark: "the broker[127.0.0.1] sending transaction message is forbidden",
    });
  }
  // The copy of one that was committed, which a consumer sends again.
  expect((await send(one, { b: "%RETRY%readers", j: "1" }, { TRAN_MSG: "true", DELAY: "3" })).code).toBe(0);
  expect(one.rig.store.topics()).toEqual(["SCHEDULE_TOPIC_XXXX"]);
});

test("a time of delivery is refused, unless there is a level or it has passed", async () => {
  for (const name of ["TIMER_DELIVER_MS", "TIMER_DELAY_SEC", "TIMER_DELAY_MS"]) {
    expect(await send(one, {}, { [name]: "5000" })).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: "accurate timer message is not enabled, timerWheelEnable is false",
    });
  }
  expect((await send(one, {}, { TIMER_DELIVER_MS: "5000", TIMER_OUT_MS: "5000" })).code).toBe(0);
  expect((await send(one, {}, { TIMER_DELIVER_MS: "5000", DELAY: "2" })).code).toBe(0);
  const [delayed] = messages(one, "SCHEDULE_TOPIC_XXXX", 1);
  expect(propertiesOf(delayed)).not.toHaveProperty("TIMER_DELIVER_MS");
});

test("a delayed message waits in the queue of its level", async () => {
  const answer = await send(one, { e: "3" }, { DELAY: "3", TAGS: "a" });
  expect(answer.ext).toMatchObject({ queueId: 3, queueOffset: 0 });
  const [message] = messages(one, "SCHEDULE_TOPIC_XXXX", 2);
  expect(propertiesOf(message)).toMatchObject({ DELAY: "3", REAL_TOPIC: "orders", REAL_QID: "3", TAGS: "a" });
  expect(message?.physicalOffset).toBe(offsetOf(answer.ext?.msgId));
  const [entry] = one.rig.store.entries("SCHEDULE_TOPIC_XXXX", 2);
  expect(entry?.tagsCode).toBe((message?.storeTimestamp ?? 0) + 10_000);
  await send(one, {}, { DELAY: "99" });
  expect(propertiesOf(messages(one, "SCHEDULE_TOPIC_XXXX", 17)[0]).DELAY).toBe("18");
  await send(one, {}, { DELAY: "0" });
  expect(messages(one, "orders")).toHaveLength(1);
});

test("a retry that has had its last try goes to the dead letters", async () => {
  const retry = (given: object, properties = {}) => send(one, { b: "%RETRY%readers", ...given }, properties);
  await one.rig.groups.put(groupConfig("readers", { retryMaxTimes: 2 }));
  expect((await retry({ j: "2" })).code).toBe(0);
  expect(messages(one, "%RETRY%readers")).toHaveLength(1);
  expect(one.rig.lines).toEqual([]);
  expect((await retry({ j: "3" }, { DELAY: "5" })).ext).toMatchObject({ queueId: 0, queueOffset: 0 });
  expect(one.rig.lines).toEqual(["warn: a message goes to the dead letters"]);
  const [dead] = messages(one, "%DLQ%readers");
  expect(dead).toMatchObject({ reconsumeTimes: 3 });
  expect(propertiesOf(dead).DELAY).toBe("-1");
  expect(one.rig.topics.get("%DLQ%readers")).toMatchObject({ readQueueNums: 1, perm: 6 });
  expect((await retry({ j: "3", l: "3" })).code).toBe(0);
  expect(messages(one, "%RETRY%readers")).toHaveLength(2);
  one.rig.locks.lock("readers", "a client", [{ brokerName: "broker-a", topic: "orders", queueId: 0 }]);
  expect((await retry({ j: "0" })).code).toBe(0);
  expect(messages(one, "%DLQ%readers")).toHaveLength(2);
});

test("a retry of a group that may not be is refused", async () => {
  await configured({ autoCreateSubscriptionGroup: "false" });
  expect(await send(one, { b: "%RETRY%strangers" })).toMatchObject({
    code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
    remark: expect.stringContaining("subscription group not exist, strangers"),
  });
});

test("topics say what their messages are", async () => {
  const { topics } = one.rig;
  await topics.put(topicConfig("tagged", 1, { topicFilterType: "MULTI_TAG" }));
  await send(one, { b: "tagged" });
  expect(messages(one, "tagged")[0]?.sysFlag).toBe(2);
  await topics.put(topicConfig("latest", 1, { attributes: { "cleanup.policy": "COMPACTION" } }));
  expect((await send(one, { b: "latest" })).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
});

test("an answer waits for the disk where the configuration says so, and the message does not say otherwise", async () => {
  await configured({ flushDiskType: "SYNC_FLUSH", flushIntervalCommitLog: "60000" });
  const { store } = one.rig;
  const waited = await send(one);
  expect(waited.code).toBe(ResponseCode.SUCCESS);
  expect(store.log.durableOffset).toBeGreaterThan(offsetOf(waited.ext?.msgId));
  const flush = vi.spyOn(store, "flush");
  expect((await send(one, {}, { WAIT: "false" })).code).toBe(ResponseCode.SUCCESS);
  expect(flush).not.toHaveBeenCalled();
  flush.mockRestore();
});

test("a disk that takes too long is told, with where the message stands", async () => {
  await configured({ flushDiskType: "SYNC_FLUSH", syncFlushTimeout: "20" });
  const flush = vi.spyOn(one.rig.store, "flush").mockReturnValue(new Promise(() => {}));
  const late = await Promise.all([send(one), send(one)]);
  expect(late.map(({ code }) => code)).toEqual([ResponseCode.FLUSH_DISK_TIMEOUT, ResponseCode.FLUSH_DISK_TIMEOUT]);
  expect(late[1]?.ext).toMatchObject({ queueOffset: 1, queueId: 0, transactionId: key });
  flush.mockRestore();
  // However long the disk of this machine takes.
  Object.assign(one.rig.config, { syncFlushTimeout: 600_000 });
  expect((await send(one)).code).toBe(ResponseCode.SUCCESS);
});

test("a disk that fails is no acknowledgement", async () => {
  await configured({ flushDiskType: "SYNC_FLUSH" });
  const { StoreError } = await import("moraine");
  const flush = vi.spyOn(one.rig.store, "flush").mockRejectedValue(new StoreError("STORE_POISONED", "for a test"));
  expect((await send(one)).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE);
  flush.mockRestore();
});

test("fields of other types than text are read", async () => {
  const ext = { ...(sendFields() as Record<string, unknown>), e: 1, m: false, j: null, l: undefined };
  const answer = await one.rig.ask(RequestCode.SEND_BATCH_MESSAGE, { ext, body: Buffer.from("x") });
  expect(answer).toMatchObject({ code: ResponseCode.SUCCESS, ext: { queueId: 1 } });
});

test("what could never be delivered is refused before it waits, and makes no topic", async () => {
  const { topics, store } = one.rig;
  await topics.put(topicConfig("latest", 1, { attributes: { "cleanup.policy": "COMPACTION" } }));
  for (const given of [{}, { DELAY: "1" }]) {
    expect((await send(one, { b: "latest" }, { KEYS: "k", ...given })).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
    expect((await send(one, { b: "%LMQ%x" }, given)).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
  }
  expect(topics.get("%LMQ%x")).toBeUndefined();
  expect(store.topics()).toEqual([]);
});

test("a region that is too long for a message is answered", async () => {
  Object.assign(one.rig.config, { regionId: "x".repeat(200_000) });
  expect((await send(one)).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(one.rig.failures).toEqual([]);
});
