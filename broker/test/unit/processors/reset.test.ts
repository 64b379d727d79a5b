import { afterEach, beforeEach, expect, test } from "vitest";
import { groupOffsetHandlers } from "../../../src/processors/group-offsets.ts";
import { resetHandlers } from "../../../src/processors/reset.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { Rig } from "./rig.ts";

let rig: Rig;

async function open(given: Readonly<Record<string, string>> = {}): Promise<void> {
  rig = await Rig.open(given);
  rig.serve([...resetHandlers(rig), ...groupOffsetHandlers(rig)]);
  await rig.topic("orders", 2);
  await rig.groups.put(groupConfig("readers"));
}

beforeEach(() => open());
afterEach(() => rig.close());

const reset = (given: object, language?: string) => {
  const ext = { group: "readers", topic: "orders", timestamp: "-1", isForce: "true", ...given };
  return rig.ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, { ext, ...(language === undefined ? {} : { language }) });
};

test("all queues of a group are set to a time, whoever is online", async () => {
  rig.put("orders", 0, 3);
  const answer = await reset({ timestamp: "0" });
  expect(answer.text).toBe(
    '{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:0,' +
      '{"brokerName":"broker-a","queueId":1,"topic":"orders"}:0}}',
  );
  expect(rig.offsets.pendingReset("readers", "orders", 0)).toBe(0);
  await reset({});
  expect(rig.offsets.takeReset("readers", "orders", 0)).toBe(3);
  expect(rig.offsets.committed("readers", "orders", 0)).toBe(3);
});

test("one queue is set to an offset that it has", async () => {
  rig.put("orders", 1, 3);
  expect((await reset({ queueId: "1", offset: "2" })).code).toBe(ResponseCode.SUCCESS);
  expect(rig.offsets.pendingReset("readers", "orders", 1)).toBe(2);
  expect(rig.offsets.pendingReset("readers", "orders", 0)).toBeUndefined();
  expect(await reset({ queueId: "1", offset: "5" })).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: "Target offset 5 not in consume queue range [0-3]",
  });
  await reset({ queueId: "1", offset: "-1" });
  expect(rig.offsets.pendingReset("readers", "orders", 1)).toBe(3);
});

test("topics and groups that there are not are told", async () => {
  expect((await reset({ topic: "bills" })).code).toBe(ResponseCode.TOPIC_NOT_EXIST);
  expect((await reset({ group: "others" })).code).toBe(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST);
});

test("where clients reset themselves, they are told where to go on", async () => {
  await rig.close();
  await open({ useServerSideResetOffset: "false" });
  rig.put("orders", 0, 3);
  expect((await reset({})).code).toBe(ResponseCode.SYSTEM_ERROR);
  rig.offsets.commit("readers", "orders", 0, 1);
  rig.offsets.commit("readers", "orders", 1, 0);
  expect((await reset({})).code).toBe(ResponseCode.CONSUMER_NOT_ONLINE);
  const client = rig.consume("readers", "one", ["orders"]);
  expect((await reset({})).code).toBe(ResponseCode.SUCCESS);
  expect(client.notices).toMatchObject([
    { code: RequestCode.RESET_CONSUMER_CLIENT_OFFSET, ext: { topic: "orders", group: "readers", timestamp: -1 } },
  ]);
  const table = (queue0: number) =>
    `{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:${queue0},` +
    '{"brokerName":"broker-a","queueId":1,"topic":"orders"}:0}}';
  expect(client.notices[0]?.body).toBe(table(3));
  await reset({ isForce: "false" });
  expect(client.notices[1]?.body).toBe(table(1));
  await reset({}, "CPP");
  expect(client.notices[2]?.body).toBe(
    '{"offsetTable":[{"brokerName":"broker-a","offset":3,"queueId":0,"topic":"orders"},' +
      '{"brokerName":"broker-a","offset":0,"queueId":1,"topic":"orders"}]}',
  );
});

test("a client that is too old to reset itself is told of", async () => {
  await rig.close();
  await open({ useServerSideResetOffset: "false" });
  for (const queueId of [0, 1]) rig.offsets.commit("readers", "orders", queueId, 0);
  rig.consume("readers", "old", ["orders"], 20);
  expect((await reset({})).remark).toMatch(/^the client does not support this feature\. version=V3_0_/);
});

test("a group gets the offsets of another one", async () => {
  rig.offsets.commit("readers", "orders", 0, 5);
  rig.offsets.commit("readers", "bills", 0, 7);
  const clone = (given: object) =>
    rig.ask(RequestCode.CLONE_GROUP_OFFSET, { ext: { srcGroup: "readers", destGroup: "copies", ...given } });
  rig.consume("readers", "one", ["invoices"]);
  await clone({ topic: "orders" });
  expect(rig.offsets.topicsOf("copies")).toEqual([]);
  expect((await clone({ topic: "orders", offline: "true" })).code).toBe(ResponseCode.SUCCESS);
  expect(rig.offsets.all("copies")).toEqual([{ topic: "orders", queueId: 0, offset: 5 }]);
  expect((await clone({ offline: "true", destGroup: "a/b" })).code).toBe(ResponseCode.INVALID_PARAMETER);
  await rig.topic("bills");
  await clone({ offline: "true" });
  expect(rig.offsets.committed("copies", "bills", 0)).toBe(7);
});

test("offsets of all groups, and of the delay levels", async () => {
  expect((await rig.ask(RequestCode.GET_ALL_DELAY_OFFSET)).json).toEqual({
    dataVersion: { counter: 0, stateVersion: 0, timestamp: 0 },
    offsetTable: {},
  });
  rig.offsets.commit("readers", "orders", 0, 5);
  rig.delayOffsets.set(new Map([[3, 9]]));
  expect((await rig.ask(RequestCode.GET_ALL_CONSUMER_OFFSET)).json).toMatchObject({
    offsetTable: { "orders@readers": { "0": 5 } },
  });
  expect((await rig.ask(RequestCode.GET_ALL_DELAY_OFFSET)).json).toMatchObject({ offsetTable: { "3": 9 } });
});

test("how far the slowest group has come, and where another one is slower still", async () => {
  for (const [group, offset] of [
    ["fast", 9],
    ["slow", 4],
    ["left", 1],
  ] as const) {
    for (const queueId of [0, 1]) rig.offsets.commit(group, "orders", queueId, offset);
  }
  rig.offsets.commit("compared", "orders", 0, 3);
  const ask = async (compareGroup: string) => {
    const ext = { topic: "orders", compareGroup, filterGroups: "left,compared" };
    return (await rig.ask(RequestCode.QUERY_CORRECTION_OFFSET, { ext })).text;
  };
  expect(await ask("nobody")).toBe('{"correctionOffsets":{0:4,1:4}}');
  expect(await ask("compared")).toBe('{"correctionOffsets":{0:9223372036854775807,1:4}}');
  expect(rig.offsets.committed("left", "orders", 0)).toBe(1);
});
