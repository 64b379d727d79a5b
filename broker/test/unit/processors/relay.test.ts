import { afterEach, beforeEach, expect, test } from "vitest";
import { relayHandlers } from "../../../src/processors/relay.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import type { Command } from "../../../src/protocol/command.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { TransportError } from "../../../src/transport/transport-error.ts";
import { Rig } from "./rig.ts";

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve(relayHandlers(rig));
});

afterEach(() => rig.close());

const answered = (given: Partial<Command>): Command => ({
  code: 0,
  language: "JAVA",
  version: 479,
  opaque: 7,
  flag: 1,
  remark: undefined,
  ext: {},
  body: new Uint8Array(0),
  serialization: "json",
  ...given,
});
const runningInfo = (clientId: string) =>
  rig.ask(RequestCode.GET_CONSUMER_RUNNING_INFO, {
    ext: { consumerGroup: "readers", clientId, jstackEnable: "true" },
  });

test("a client says how it runs", async () => {
  const client = rig.consume("readers", "one", ["orders"]);
  const asked: unknown[] = [];
  client.answer = (code, ext) => {
    asked.push([code, ext]);
    return answered({ remark: "fine", ext: { odd: "1" }, body: Buffer.from('{"properties":{}}') });
  };
  const answer = await runningInfo("one");
  expect(answer).toMatchObject({ code: 0, remark: "fine", ext: { odd: "1" }, text: '{"properties":{}}' });
  expect(asked).toEqual([
    [RequestCode.GET_CONSUMER_RUNNING_INFO, { consumerGroup: "readers", clientId: "one", jstackEnable: "true" }],
  ]);
});

test("a client that is not there, too old, silent or gone is told of", async () => {
  expect(await runningInfo("one")).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: "The Consumer <readers> <one> not online",
  });
  rig.consume("readers", "old", ["orders"], 30);
  expect((await runningInfo("old")).remark).toMatch(/Version <V3_0.*> too low to finish/);
  const client = rig.consume("readers", "one", ["orders"]);
  client.answer = () => {
    throw new TransportError("REQUEST_TIMEOUT", "no answer in 10000 ms");
  };
  expect((await runningInfo("one")).code).toBe(ResponseCode.CONSUME_MSG_TIMEOUT);
  client.answer = () => {
    throw new TransportError("CONNECTION_CLOSED", "the connection was closed");
  };
  expect((await runningInfo("one")).code).toBe(ResponseCode.SYSTEM_ERROR);
});

test("a client consumes one message directly, with what the broker knows of topic and group", async () => {
  await rig.topic("orders");
  await rig.groups.put(groupConfig("readers", { groupSysFlag: 3 }));
  rig.put("orders", 0);
  const [message] = rig.store.get("orders", 0, 0).messages;
  const client = rig.consume("readers", "one", ["orders"]);
  const asked: unknown[] = [];
  client.answer = (code, ext, body) => {
    asked.push([code, ext, body]);
    return answered({ body: Buffer.from('{"consumeResult":"CR_SUCCESS"}') });
  };
  const ext = { consumerGroup: "readers", clientId: "one", topic: "orders" };
  const consume = (msgId: string) => rig.ask(RequestCode.CONSUME_MESSAGE_DIRECTLY, { ext: { ...ext, msgId } });
  const msgId = message?.offsetMsgId ?? "";
  expect((await consume(msgId)).json).toEqual({ consumeResult: "CR_SUCCESS" });
  const known = { brokerName: "broker-a", topicSysFlag: 0, groupSysFlag: 3 };
  expect(asked).toEqual([
    [RequestCode.CONSUME_MESSAGE_DIRECTLY, { ...ext, msgId, ...known }, Uint8Array.from(message?.raw ?? [])],
  ]);
  for (const wrong of ["", "x", msgId.replace(/.$/, "1")]) {
    expect((await consume(wrong)).code).toBe(ResponseCode.SYSTEM_ERROR);
  }
});

test("clients say which offsets they have, and those that do not answer are left out", async () => {
  const ask = (given: object = {}) =>
    rig.ask(RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, {
      ext: { topic: "orders", group: "readers", ...given },
    });
  expect((await ask()).remark).toBe("No Any Consumer online in the consumer group: [readers]");
  const table = '{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:5}';
  const body = Buffer.from(`{"messageQueueTable":${table}}`);
  rig.consume("readers", "one", ["orders"]).answer = () => answered({ body });
  rig.consume("readers", "two", ["orders"]).answer = () => {
    throw new TransportError("REQUEST_TIMEOUT", "no answer");
  };
  rig.consume("readers", "three", ["orders"]).answer = () => answered({ body: Buffer.from("[]") });
  rig.consume("readers", "four", ["orders"]).answer = () => answered({ code: 1 });
  const expected = `{"consumerTable":{"one":${table}},"messageQueueTable":{}}`;
  expect((await ask()).text).toBe(expected);
  expect((await ask({ clientAddr: "one" })).text).toBe(expected);
  expect((await ask({ clientAddr: "two" })).text).toBe('{"consumerTable":{},"messageQueueTable":{}}');
});
