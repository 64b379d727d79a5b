import { afterEach, beforeEach, expect, test } from "vitest";
import { groupHandlers } from "../../../src/processors/groups.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { Rig } from "./rig.ts";

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve(groupHandlers(rig));
});

afterEach(() => rig.close());

const make = (body: object) => rig.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body });
const show = (group: string) => rig.ask(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { ext: { group } });

test("a group is made with RocketMQ's defaults, shown and changed", async () => {
  expect((await make({ groupName: "readers", retryMaxTimes: 3 })).code).toBe(ResponseCode.SUCCESS);
  expect((await show("readers")).json).toMatchObject({
    groupName: "readers",
    consumeEnable: true,
    consumeTimeoutMinute: 15,
    groupRetryPolicy: { type: "CUSTOMIZED" },
    retryMaxTimes: 3,
    retryQueueNums: 1,
    whichBrokerWhenConsumeSlowly: 1,
  });
  await make({ groupName: "readers", consumeEnable: false });
  expect(rig.groups.get("readers")).toMatchObject({ consumeEnable: false, retryMaxTimes: 16 });
  expect((await rig.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP)).code).toBe(ResponseCode.SUCCESS);
});

test("names that no group has, and attributes, are refused", async () => {
  for (const groupName of ["", "a b", "x".repeat(121)]) {
    expect((await make({ groupName })).code).toBe(ResponseCode.INVALID_PARAMETER);
  }
  const odd = await make({ groupName: "readers", attributes: { "+color": "red" } });
  expect(odd).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: "unsupported key: color" });
  for (const body of [Buffer.from("{"), Buffer.from("[]"), Buffer.from('{"groupName":{}}')]) {
    expect((await make(body)).code).not.toBe(ResponseCode.SUCCESS);
  }
  expect(rig.groups.get("readers")).toBeUndefined();
});

test("many groups are made in one request, all or none", async () => {
  const list = (groupConfigList: readonly object[]) =>
    rig.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, { body: { groupConfigList } });
  expect((await list([{ groupName: "one" }, { groupName: "" }])).code).toBe(ResponseCode.INVALID_PARAMETER);
  expect(rig.groups.get("one")).toBeUndefined();
  expect((await list([{ groupName: "one" }, { groupName: "two" }])).code).toBe(ResponseCode.SUCCESS);
  expect(rig.groups.get("two")).toBeDefined();
});

test("a group that is asked for is made, where that is allowed", async () => {
  expect((await show("readers")).code).toBe(ResponseCode.SUCCESS);
  expect((await show("a b")).code).toBe(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST);
  await rig.close();
  rig = await Rig.open({ autoCreateSubscriptionGroup: "false" });
  rig.serve(groupHandlers(rig));
  expect((await show("readers")).code).toBe(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST);
});

test("a deleted group keeps its offsets unless they are to go", async () => {
  const drop = (given: object) =>
    rig.ask(RequestCode.DELETE_SUBSCRIPTIONGROUP, { ext: { groupName: "readers", ...given } });
  await make({ groupName: "readers" });
  rig.offsets.commit("readers", "orders", 0, 5);
  expect((await drop({})).code).toBe(ResponseCode.SUCCESS);
  expect(rig.groups.get("readers")).toBeUndefined();
  expect(rig.offsets.committed("readers", "orders", 0)).toBe(5);
  expect((await drop({ cleanOffset: "true" })).code).toBe(ResponseCode.SUCCESS);
  expect(rig.offsets.committed("readers", "orders", 0)).toBeUndefined();
});

test("what a group may not read", async () => {
  await make({ groupName: "readers" });
  const ask = (given: object = {}) =>
    rig.ask(RequestCode.UPDATE_AND_GET_GROUP_FORBIDDEN, { ext: { group: "readers", topic: "orders", ...given } });
  expect((await ask()).json).toEqual({ group: "readers", topic: "orders", readable: true });
  expect((await ask({ readable: "false" })).json).toMatchObject({ readable: false });
  expect(rig.groups.forbidden("readers", "orders")).toBe(4);
  expect((await ask()).json).toMatchObject({ readable: false });
  const all = (await rig.ask(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).json;
  expect(all).toMatchObject({ forbiddenTable: { readers: { orders: 4 } }, dataVersion: rig.groups.version });
  expect((await ask({ readable: "true" })).json).toMatchObject({ readable: true });
});

test("all groups are listed, or a page of them with what they are forbidden", async () => {
  await make({ groupName: "aaa" });
  await rig.groups.setForbidden("aaa", "orders", 4);
  const total = [...rig.groups.all()].length;
  const page = await rig.ask(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, {
    ext: { groupSeq: "1", maxGroupNum: "2", dataVersion: JSON.stringify(rig.groups.version) },
  });
  expect(page.ext).toEqual({ totalGroupNum: total });
  const { subscriptionGroupTable, forbiddenTable } = page.json as Record<string, object>;
  const names = [...rig.groups.all()].map(({ groupName }) => groupName).sort();
  expect(Object.keys(subscriptionGroupTable ?? {}).sort()).toEqual(names.slice(1, 3));
  expect(Object.keys(forbiddenTable ?? {})).toEqual(names.slice(1, 3).filter((name) => name === "aaa"));
});
