import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "moraine";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ResponseCode } from "../../../src/protocol/codes.ts";
import { buildSubscription } from "../../../src/protocol/subscription.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { type MessageRig, messages, openRig, pull, send } from "./message-rig.ts";
import { FakeConnection } from "./rig.ts";

let one: MessageRig;

beforeEach(async () => {
  one = await openRig();
  await one.rig.topic("orders");
});

afterEach(async () => {
  vi.useRealTimers();
  one.heldPulls.stop();
  await one.rig.close();
});

const fill = (count: number, queueId = 0) => one.rig.put("orders", queueId, count);

/** A consumer that has sent a heartbeat. */
function register(
  expression: string,
  subVersion: number,
  given: { model?: "BROADCASTING" | "CLUSTERING"; type?: "CONSUME_ACTIVELY" | "CONSUME_PASSIVELY" } = {},
): void {
  one.rig.consumers.register(
    "readers",
    { connection: one.rig.connection, clientId: "reader", language: "JAVA", version: 479 },
    {
      consumeType: given.type ?? "CONSUME_PASSIVELY",
      messageModel: given.model ?? "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    },
    [buildSubscription("orders", expression, "TAG", subVersion)],
    false,
  );
}

test("messages come as they are stored, with where to go on", async () => {
  fill(3);
  const answer = await pull(one, { queueOffset: "1" });
  expect(answer).toMatchObject({
    code: ResponseCode.SUCCESS,
    remark: "FOUND",
    ext: {
      nextBeginOffset: 3,
      minOffset: 0,
      maxOffset: 3,
      suggestWhichBrokerId: 0,
      topicSysFlag: 0,
      groupSysFlag: 0,
    },
  });
  const stored = messages(one, "orders").slice(1);
  expect(Buffer.from(answer.body as Uint8Array)).toEqual(Buffer.concat(stored.map(({ raw }) => raw)));
  expect(one.rig.offsets.pulled("readers", "orders", 0)).toBe(3);
  expect(one.statistics.snapshot("GROUP_GET_NUMS", "orders@readers")?.statsMinute).toBeDefined();
});

test("as many as are asked for, at most as many as the configuration says", async () => {
  fill(50);
  const next = async (maxMsgNums: string) => (await pull(one, { maxMsgNums })).ext?.nextBeginOffset;
  expect(await next("5")).toBe(5);
  expect(await next("1000")).toBe(32);
  expect(await next("0")).toBe(1);
  expect(await next("-3")).toBe(1);
});

test("every status has its code, and all offsets", async () => {
  const answer = async (given: object) => {
    const { code, remark, ext } = await pull(one, given as Record<string, unknown>);
    return [code, remark, ext?.nextBeginOffset, ext?.minOffset, ext?.maxOffset];
  };
  const { PULL_NOT_FOUND, PULL_OFFSET_MOVED, PULL_RETRY_IMMEDIATELY } = ResponseCode;
  expect(await answer({})).toEqual([PULL_NOT_FOUND, "NO_MESSAGE_IN_QUEUE", 0, 0, 0]);
  expect(await answer({ queueOffset: "5" })).toEqual([PULL_OFFSET_MOVED, "NO_MESSAGE_IN_QUEUE", 0, 0, 0]);
  fill(3);
  expect(await answer({ queueOffset: "3" })).toEqual([PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", 3, 0, 3]);
  expect(await answer({ queueOffset: "9" })).toEqual([PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", 3, 0, 3]);
  expect(await answer({ queueOffset: "9223372036854775807" })).toEqual([
    PULL_OFFSET_MOVED,
    "OFFSET_OVERFLOW_BADLY",
    3,
    0,
    3,
  ]);
  expect(await answer({ queueOffset: "-1" })).toEqual([PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", 0, 0, 3]);
  expect(await answer({ subscription: "B" })).toEqual([PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE", 3, 0, 3]);
});

test("tags choose, whether they come with the request or came with a heartbeat", async () => {
  for (const tag of ["red", "green", "blue", "red"]) await send(one, {}, { TAGS: tag });
  const tags = ({ body }: { body?: unknown }) => {
    const text = Buffer.from(body as Uint8Array).toString("latin1");
    return text
      .split("TAGS\u0001")
      .slice(1)
      .map((rest) => rest.split("\u0002")[0]);
  };
  expect(tags(await pull(one, { subscription: "red || blue" }))).toEqual(["red", "blue", "red"]);
  expect(tags(await pull(one, { subscription: "" }))).toHaveLength(4);
  register("green", 7);
  expect(tags(await pull(one, { sysFlag: "0", subVersion: "7", subscription: undefined }))).toEqual(["green"]);
});

test("without a subscription in the request there must be one of a heartbeat, and not an older one", async () => {
  const pulled = (subVersion = "7") => pull(one, { sysFlag: "0", subVersion });
  expect(await pulled()).toMatchObject({
    code: ResponseCode.SUBSCRIPTION_NOT_EXIST,
    remark: expect.stringContaining("the consumer's group info not exist"),
  });
  register("*", 6);
  expect((await pulled()).code).toBe(ResponseCode.SUBSCRIPTION_NOT_LATEST);
  register("*", 7);
  expect((await pulled()).code).toBe(ResponseCode.PULL_NOT_FOUND);
  await one.rig.topic("bills");
  expect(await pull(one, { sysFlag: "0", topic: "bills" })).toMatchObject({
    code: ResponseCode.SUBSCRIPTION_NOT_EXIST,
    remark: expect.stringContaining("the consumer's subscription not exist"),
  });
});

test("refusals come in RocketMQ's order, and say what is forbidden", async () => {
  const { config, groups, topics } = one.rig;
  const refusal = async (given: Record<string, unknown> = {}) => {
    const { code, ext } = await pull(one, { queueId: "9", expressionType: "SQL92", subscription: "a = 1", ...given });
    return [code, ext?.forbiddenType];
  };
  const { NO_PERMISSION } = ResponseCode;
  Object.assign(config, { brokerPermission: 2 });
  expect(await refusal()).toEqual([NO_PERMISSION, 1]);
  Object.assign(config, { brokerPermission: 6, autoCreateSubscriptionGroup: false });
  expect(await refusal({ topic: "bills" })).toEqual([ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, undefined]);
  await groups.put(groupConfig("readers", { consumeEnable: false }));
  expect(await refusal({ topic: "bills" })).toEqual([NO_PERMISSION, 2]);
  await groups.put(groupConfig("readers"));
  expect(await refusal({ topic: "bills" })).toEqual([ResponseCode.TOPIC_NOT_EXIST, undefined]);
  await topics.put(topicConfig("orders", 4, { perm: 2 }));
  expect(await refusal()).toEqual([NO_PERMISSION, 3]);
  await topics.put(topicConfig("orders", 4));
  expect(await refusal()).toEqual([ResponseCode.INVALID_PARAMETER, undefined]);
  expect(await refusal({ queueId: "-1" })).toEqual([ResponseCode.INVALID_PARAMETER, undefined]);
  expect(await refusal({ queueId: "0" })).toEqual([ResponseCode.SYSTEM_ERROR, undefined]);
  expect(await refusal({ queueId: "0", expressionType: "TAG", subscription: "||" })).toEqual([
    ResponseCode.SUBSCRIPTION_PARSE_FAILED,
    undefined,
  ]);
  register("*", 1, { model: "BROADCASTING" });
  await groups.put(groupConfig("readers", { consumeBroadcastEnable: false }));
  expect(await refusal({ queueId: "0", sysFlag: "0" })).toEqual([NO_PERMISSION, 4]);
  await groups.put(groupConfig("readers"));
  await groups.setForbidden("readers", "orders", 4);
  expect(await refusal({ queueId: "0", sysFlag: "0" })).toEqual([NO_PERMISSION, 5]);
});

test("consumers without a listener are rejected where the configuration says so, but for those that are members already", async () => {
  const { SUBSCRIPTION_NOT_EXIST, PULL_NOT_FOUND } = ResponseCode;
  const stranger = new FakeConnection();
  const codes = async (given: Record<string, unknown> = {}) => [
    (await pull(one, given)).code,
    (await pull(one, given, stranger)).code,
  ];
  const known = { sysFlag: "0" };
  Object.assign(one.rig.config, { rejectPullConsumerEnable: true });
  expect(await pull(one)).toMatchObject({
    code: SUBSCRIPTION_NOT_EXIST,
    remark: expect.stringContaining("the consumer's group info not exist, or the pull consumer is rejected by server."),
  });
  for (const consumerGroup of ["TOOLS_CONSUMER", "__MONITOR_CONSUMER", "CID_RMQ_SYS_x"]) {
    expect(await codes({ consumerGroup })).toEqual([PULL_NOT_FOUND, PULL_NOT_FOUND]);
  }
  register("*", 0);
  expect([await codes(), await codes(known)]).toEqual(new Array(2).fill([PULL_NOT_FOUND, PULL_NOT_FOUND]));
  // The configuration was changed after its heartbeat.
  register("*", 0, { type: "CONSUME_ACTIVELY" });
  expect([await codes(), await codes(known)]).toEqual(new Array(2).fill([PULL_NOT_FOUND, SUBSCRIPTION_NOT_EXIST]));
  Object.assign(one.rig.config, { rejectPullConsumerEnable: false });
  expect([await codes(), await codes(known)]).toEqual(new Array(2).fill([PULL_NOT_FOUND, PULL_NOT_FOUND]));
});

test("SQL is refused by its name", async () => {
  const { code, remark } = await pull(one, { subscription: "a = 1", expressionType: "SQL92" });
  expect([code, remark]).toEqual([1, "The broker does not support consumer to filter message by SQL92"]);
});

test("the offset that comes along is committed if the request says so, and never twice", async () => {
  const { offsets } = one.rig;
  await pull(one, { commitOffset: "7" });
  expect(offsets.committed("readers", "orders", 0)).toBeUndefined();
  await pull(one, { commitOffset: "7", sysFlag: "5" });
  expect(offsets.committed("readers", "orders", 0)).toBe(7);
  await pull(one, { commitOffset: "-1", sysFlag: "5" });
  expect(offsets.committed("readers", "orders", 0)).toBe(7);
  const held = pull(one, { commitOffset: "8", sysFlag: "7", suspendTimeoutMillis: "5000" });
  await sleep(20);
  expect(offsets.committed("readers", "orders", 0)).toBe(8);
  offsets.commit("readers", "orders", 0, 9);
  fill(1);
  await held;
  expect(offsets.committed("readers", "orders", 0)).toBe(9);
});

test("a group that was set to another offset is told once", async () => {
  fill(3);
  one.rig.offsets.reset("readers", "orders", 0, 2);
  const reset = await pull(one, { commitOffset: "1", sysFlag: "5" });
  expect(reset).toMatchObject({
    code: ResponseCode.PULL_OFFSET_MOVED,
    remark: "OFFSET_RESET",
    ext: { nextBeginOffset: 2, minOffset: 0, maxOffset: 3 },
  });
  expect(reset.body).toBeUndefined();
  expect(one.rig.offsets.committed("readers", "orders", 0)).toBe(2);
  expect((await pull(one)).code).toBe(ResponseCode.SUCCESS);
});

test("a pull that finds nothing waits for the next message", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const held = pull(one, { sysFlag: "6", suspendTimeoutMillis: "20000" });
  await vi.waitFor(() => expect(one.heldPulls.size).toBe(1));
  await send(one);
  // The time that it is held at most does not come.
  expect(await held).toMatchObject({ code: ResponseCode.SUCCESS, ext: { nextBeginOffset: 1 } });
  expect(one.heldPulls.size).toBe(0);
});

test("a message that is not wanted wakes nobody", async () => {
  const held = pull(one, { sysFlag: "6", suspendTimeoutMillis: "20000", subscription: "red" });
  await vi.waitFor(() => expect(one.heldPulls.size).toBe(1));
  await send(one, {}, { TAGS: "green" });
  await sleep(50);
  expect(one.heldPulls.size).toBe(1);
  await send(one, {}, { TAGS: "red" });
  expect(await held).toMatchObject({ code: ResponseCode.SUCCESS, ext: { nextBeginOffset: 2 } });
});

test("a pull is not held longer than it asks, or than the configuration allows", async () => {
  expect(await pull(one, { sysFlag: "6", suspendTimeoutMillis: "30" })).toMatchObject({
    code: ResponseCode.PULL_NOT_FOUND,
    ext: { nextBeginOffset: 0 },
  });
  Object.assign(one.rig.config, { longPollingEnable: false, shortPollingTimeMills: 30 });
  expect((await pull(one, { sysFlag: "6", suspendTimeoutMillis: "60000" })).code).toBe(ResponseCode.PULL_NOT_FOUND);
});

test("what was held is checked again", async () => {
  const held = pull(one, { sysFlag: "6", suspendTimeoutMillis: "200" });
  await vi.waitFor(() => expect(one.heldPulls.size).toBe(1));
  await one.rig.topics.delete("orders");
  expect((await held).code).toBe(ResponseCode.TOPIC_NOT_EXIST);
});

test("many wait for one message", async () => {
  const connections = Array.from({ length: 20 }, () => new FakeConnection());
  const held = connections.map((connection) => pull(one, { sysFlag: "6", suspendTimeoutMillis: "20000" }, connection));
  await vi.waitFor(() => expect(one.heldPulls.size).toBe(20));
  await send(one);
  for (const { code } of await Promise.all(held)) expect(code).toBe(ResponseCode.SUCCESS);
});

test("a damaged message is passed over, where the store says how", async () => {
  fill(3);
  const fetch = vi.spyOn(one.rig.store, "fetch");
  const rejects = (nextOffset?: number) => {
    const details = nextOffset === undefined ? {} : { nextOffset };
    return new StoreError("STORE_CORRUPT", "for a test", { details });
  };
  fetch.mockRejectedValueOnce(rejects(2));
  expect(await pull(one, { queueOffset: "1" })).toMatchObject({
    code: ResponseCode.PULL_RETRY_IMMEDIATELY,
    remark: "MESSAGE_WAS_REMOVING",
    ext: { nextBeginOffset: 2, minOffset: 0, maxOffset: 3 },
  });
  fetch.mockRejectedValueOnce(rejects());
  expect((await pull(one, { queueOffset: "1" })).code).toBe(ResponseCode.SYSTEM_ERROR);
  fetch.mockRestore();
});

test("what is not held is to be pulled again later, not at once", async () => {
  const { SYSTEM_BUSY } = ResponseCode;
  const suspended = () => pull(one, { sysFlag: "6", suspendTimeoutMillis: "20000" });
  const arrival = vi.spyOn(one.rig.store, "arrival").mockRejectedValue(new StoreError("STORE_POISONED", "for a test"));
  expect((await suspended()).code).toBe(SYSTEM_BUSY);
  arrival.mockRestore();
  const held = suspended();
  await vi.waitFor(() => expect(one.heldPulls.size).toBe(1));
  one.heldPulls.stop();
  expect((await held).code).toBe(SYSTEM_BUSY);
  expect((await suspended()).code).toBe(SYSTEM_BUSY);
  vi.spyOn(one.heldPulls, "hold").mockResolvedValue("full");
  expect((await suspended()).code).toBe(SYSTEM_BUSY);
  fill(1);
  expect((await suspended()).code).toBe(ResponseCode.SUCCESS);
});

test("a pull is held for a minute at most", async () => {
  const hold = vi.spyOn(one.heldPulls, "hold").mockResolvedValue("gone");
  const gone = pull(one, { sysFlag: "6", suspendTimeoutMillis: "2147483647" });
  await expect(gone).rejects.toThrow("no answer");
  expect(hold.mock.calls[0]?.[0].timeoutMs).toBe(60_000);
});

test("an offset that cannot be committed takes nothing from the pull, and is logged once", async () => {
  fill(1);
  vi.spyOn(one.rig.offsets, "commit").mockImplementation(() => {
    throw new StoreError("STORE_POISONED", "for a test");
  });
  const error = vi.spyOn(one.rig.log, "error");
  for (let i = 0; i < 3; i++) {
    expect((await pull(one, { sysFlag: "5", commitOffset: "1" })).code).toBe(ResponseCode.SUCCESS);
  }
  expect(error).toHaveBeenCalledTimes(1);
  error.mockRestore();
});

test("a reset that came while a pull was read is not written over", async () => {
  fill(3);
  const { offsets, store } = one.rig;
  const { fetch } = store;
  vi.spyOn(store, "fetch").mockImplementationOnce(async (...given) => {
    offsets.reset("readers", "orders", 0, 2);
    return await fetch.apply(store, given);
  });
  await pull(one, { sysFlag: "5", commitOffset: "1" });
  expect(offsets.committed("readers", "orders", 0)).toBe(2);
});
