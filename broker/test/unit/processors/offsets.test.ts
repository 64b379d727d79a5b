import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { offsetHandlers } from "../../../src/processors/offsets.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { Rig } from "./rig.ts";

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve(offsetHandlers(rig));
  await rig.topic("orders");
  await rig.groups.put(groupConfig("readers"));
});

afterEach(() => rig.close());

const queue = (given: object = {}) => ({ consumerGroup: "readers", topic: "orders", queueId: "0", ...given });
const query = (given: object = {}) => rig.ask(RequestCode.QUERY_CONSUMER_OFFSET, { ext: queue(given) });
const update = (given: object) => rig.ask(RequestCode.UPDATE_CONSUMER_OFFSET, { ext: queue(given) });

test("a committed offset is told, also one further back", async () => {
  expect((await update({ commitOffset: "12" })).code).toBe(ResponseCode.SUCCESS);
  expect((await query()).ext).toEqual({ offset: 12 });
  await update({ commitOffset: "3" });
  expect((await query()).ext).toEqual({ offset: 3 });
  expect((await query({ queueId: "-1" })).code).toBe(ResponseCode.QUERY_NOT_FOUND);
});

test("a group that has committed nothing begins with the first message of a young queue, and is not found otherwise", async () => {
  expect((await query()).code).toBe(ResponseCode.QUERY_NOT_FOUND);
  rig.put("orders", 0);
  expect(await query()).toMatchObject({ code: ResponseCode.SUCCESS, ext: { offset: 0 } });
  expect((await query({ setZeroIfNotFound: "false" })).code).toBe(ResponseCode.QUERY_NOT_FOUND);
  expect((await query({ topic: "never/heard of" })).code).toBe(ResponseCode.QUERY_NOT_FOUND);
});

test("a group begins where its clients say, if the first message is damaged", async () => {
  rig.put("orders", 0, 2);
  await rig.store.flush();
  const [entry] = rig.store.entries("orders", 0);
  const file = await open(join(rig.store.path, "commitlog", "0".repeat(20)), "r+");
  await file.write(Buffer.alloc(60, 0xff), 0, 60, entry?.physicalOffset);
  await file.close();
  expect((await query()).code).toBe(ResponseCode.QUERY_NOT_FOUND);
});

test("an offset is taken for topics and groups that there are", async () => {
  expect((await update({ consumerGroup: "others", commitOffset: "1" })).code).toBe(
    ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
  );
  expect((await update({ topic: "bills", commitOffset: "1" })).code).toBe(ResponseCode.TOPIC_NOT_EXIST);
  for (const wrong of [
    {},
    { commitOffset: "-1" },
    { commitOffset: "x" },
    { queueId: "-1", commitOffset: "1" },
    { queueId: "4", commitOffset: "1" },
    { queueId: "2147483647", commitOffset: "1" },
  ]) {
    expect((await update(wrong)).code).toBe(ResponseCode.INVALID_PARAMETER);
  }
  expect(rig.offsets.topicsOf("readers")).toEqual([]);
});

test("a pending reset is what is told, and commits in between do not count", async () => {
  rig.offsets.reset("readers", "orders", 0, 5);
  expect((await query()).ext).toEqual({ offset: 5 });
  expect(await update({ commitOffset: "9" })).toMatchObject({
    code: ResponseCode.SUCCESS,
    remark: "Offset has been previously reset",
  });
  expect(rig.offsets.takeReset("readers", "orders", 0)).toBe(5);
  expect((await query()).ext).toEqual({ offset: 5 });
  await update({ commitOffset: "9" });
  expect((await query()).ext).toEqual({ offset: 9 });
});

test("ends of queues, and where they stood at a time", async () => {
  const ask = (code: number, ext: object = {}) => rig.ask(code, { ext: { topic: "orders", queueId: "1", ...ext } });
  expect((await ask(RequestCode.GET_MAX_OFFSET)).ext).toEqual({ offset: 0 });
  expect((await ask(RequestCode.GET_EARLIEST_MSG_STORETIME)).ext).toEqual({ timestamp: -1 });
  expect((await ask(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, { timestamp: "0" })).ext).toEqual({ offset: 0 });
  rig.put("orders", 1, 3);
  const time = rig.store.timeOf("orders", 1, 0) ?? 0;
  expect((await ask(RequestCode.GET_MAX_OFFSET)).ext).toEqual({ offset: 3 });
  expect((await ask(RequestCode.GET_MIN_OFFSET)).ext).toEqual({ offset: 0 });
  expect((await ask(RequestCode.GET_EARLIEST_MSG_STORETIME)).ext).toEqual({ timestamp: time });
  const at = async (timestamp: number, boundaryType = "LOWER") =>
    (await ask(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, { timestamp: String(timestamp), boundaryType })).ext?.offset;
  expect(await at(time)).toBe(0);
  expect(await at(-1)).toBe(0);
  expect(await at(time + 60_000)).toBe(3);
  expect(await at(time + 60_000, "UPPER")).toBe(2);
  for (const code of [RequestCode.GET_MAX_OFFSET, RequestCode.GET_MIN_OFFSET]) {
    expect((await ask(code, { topic: "../x", queueId: "-1" })).ext).toEqual({ offset: 0 });
  }
});

test("a queue that a topic has no more keeps its offset", async () => {
  await update({ queueId: "3", commitOffset: "1" });
  await rig.topic("orders", 2);
  expect((await update({ queueId: "3", commitOffset: "2" })).code).toBe(ResponseCode.SUCCESS);
  expect((await update({ queueId: "2", commitOffset: "2" })).code).toBe(ResponseCode.INVALID_PARAMETER);
});
