import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readDataVersion, sameDataVersion } from "../../../src/protocol/bodies/data-version.ts";
import { readHeartbeat } from "../../../src/protocol/bodies/heartbeat.ts";
import { readKVTable } from "../../../src/protocol/bodies/kv-table.ts";
import { readLockBatchRequest } from "../../../src/protocol/bodies/queue-locks.ts";
import { bodyChecksum, printRegisterBroker, readRegisterBroker } from "../../../src/protocol/bodies/register-broker.ts";
import { readRoute } from "../../../src/protocol/bodies/route.ts";
import { readSubscriptionGroupConfig } from "../../../src/protocol/bodies/subscription-group.ts";
import { readTopicConfig, type TopicConfig } from "../../../src/protocol/bodies/topic-config.ts";
import { printBody, printFastjson } from "../../../src/protocol/json.ts";
import { RequestError } from "../../../src/protocol/request-error.ts";
import { int32 } from "./bytes.ts";
import { packed, printCompressedRegisterBroker } from "./compressed-registration.ts";

const bytes = (text: string) => Buffer.from(text);

describe("heartbeats", () => {
  it("Java's", () => {
    const body =
      '{"clientID":"10.0.0.2@123#456","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"cg","messageModel":"BROADCASTING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[65,66],"expressionType":"TAG","subString":"A || B","subVersion":1700000000000,"tagsSet":["A","B"],"topic":"t"},{"classFilterMode":false,"codeSet":[],"expressionType":"SQL92","subString":"a > 1","subVersion":2,"tagsSet":[],"topic":"s"}],"unitMode":false}],"heartbeatFingerprint":5,"producerDataSet":[{"groupName":"pg"}],"withoutSub":true}';
    expect(readHeartbeat(bytes(body))).toEqual({
      clientID: "10.0.0.2@123#456",
      heartbeatFingerprint: 5,
      withoutSub: true,
      producerDataSet: [{ groupName: "pg" }],
      consumerDataSet: [
        {
          groupName: "cg",
          consumeType: "CONSUME_PASSIVELY",
          messageModel: "BROADCASTING",
          consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
          unitMode: false,
          subscriptionDataSet: [
            {
              topic: "t",
              subString: "A || B",
              expressionType: "TAG",
              tagsSet: new Set(["A", "B"]),
              codeSet: new Set([65, 66]),
              classFilterMode: false,
              subVersion: 1_700_000_000_000,
            },
            {
              topic: "s",
              subString: "a > 1",
              expressionType: "SQL92",
              tagsSet: new Set(),
              codeSet: new Set(),
              classFilterMode: false,
              subVersion: 2,
            },
          ],
        },
      ],
    });
  });

  it("what native clients make of it", () => {
    const body =
      '{"clientID":"c","consumerDataSet":[{"groupName":"cg","consumeType":1,"messageModel":0,"consumeFromWhere":4,"subscriptionDataSet":[{"topic":"t","subString":"A","expressionType":null,"subVersion":"3"}]},{"groupName":"g2","consumeType":"whatever"}]}';
    const { consumerDataSet, producerDataSet } = readHeartbeat(bytes(body));
    expect(producerDataSet).toEqual([]);
    expect(consumerDataSet[0]).toMatchObject({
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "BROADCASTING",
      consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      subscriptionDataSet: [{ expressionType: "TAG", codeSet: new Set([65]), subVersion: 3 }],
    });
    expect(consumerDataSet[1]).toMatchObject({
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    });
  });

  it("a reference to a subscription that is used twice", () => {
    const body =
      '{"clientID":"c","consumerDataSet":[{"groupName":"a","subscriptionDataSet":[{"topic":"t","subString":"*"}]},{"groupName":"b","subscriptionDataSet":[{"$ref":"$.consumerDataSet[0].subscriptionDataSet[0]"}]}]}';
    expect(readHeartbeat(bytes(body)).consumerDataSet[1]?.subscriptionDataSet).toMatchObject([{ topic: "t" }]);
  });

  it.each([
    "",
    "[]",
    "7",
    "{}",
    '{"clientID":{}}',
    '{"clientID":"c","consumerDataSet":{}}',
    '{"clientID":"c","producerDataSet":[7]}',
  ])("%s is none", (body) => {
    expect(() => readHeartbeat(bytes(body))).toThrow(RequestError);
  });
});

it("locks", () => {
  const body =
    '{"clientId":"c","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":3,"topic":"t"}],"onlyThisBroker":true}';
  expect(readLockBatchRequest(bytes(body))).toEqual({
    clientId: "c",
    consumerGroup: "g",
    mqSet: [{ brokerName: "b", queueId: 3, topic: "t" }],
    onlyThisBroker: true,
  });
});

it("topics and groups have Java's defaults", () => {
  expect(
    readTopicConfig({ topicName: "t", topicFilterType: "MULTI_TAG", attributes: { "message.type": "FIFO" } }),
  ).toEqual({
    topicName: "t",
    readQueueNums: 16,
    writeQueueNums: 16,
    perm: 6,
    topicFilterType: "MULTI_TAG",
    topicSysFlag: 0,
    order: false,
    attributes: { "message.type": "FIFO" },
  });
  expect(() => readTopicConfig({})).toThrow(RequestError);
  expect(readSubscriptionGroupConfig({ groupName: "g" })).toMatchObject({
    consumeEnable: true,
    retryQueueNums: 1,
    retryMaxTimes: 16,
  });
});

describe("routes", () => {
  const route = {
    brokerDatas: [
      {
        cluster: "c",
        brokerName: "b",
        brokerAddrs: new Map([[0, "1.2.3.4:5"]]),
        zoneName: undefined,
        enableActingMaster: false,
      },
    ],
    queueDatas: [{ brokerName: "b", readQueueNums: 8, writeQueueNums: 8, perm: 6, topicSysFlag: 0 }],
    filterServerTable: new Map(),
  };

  it("both forms", () => {
    const head = '{"brokerDatas":[{"brokerAddrs":{';
    const tail =
      ':"1.2.3.4:5"},"brokerName":"b","cluster":"c","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":8,"topicSysFlag":0,"writeQueueNums":8}]}';
    expect(printBody(route).toString()).toBe(`${head}"0"${tail}`);
    expect(printFastjson(route).toString()).toBe(`${head}0${tail}`);
    for (const body of [printBody(route), printFastjson(route)]) expect(readRoute(body)).toMatchObject(route);
  });
});

it("tables of text", () => {
  expect([...readKVTable(bytes('{"table":{"a":"1","b":2,"c":null}}'))]).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
  expect(readKVTable(bytes("")).size).toBe(0);
});

it("data versions", () => {
  const version = readDataVersion({ counter: 3, stateVersion: 0, timestamp: 1_700_000_000_000 });
  expect(sameDataVersion(version, { ...version })).toBe(true);
  expect(sameDataVersion(version, { ...version, counter: 4 })).toBe(false);
  expect(readDataVersion(undefined)).toEqual({ counter: 0, stateVersion: 0, timestamp: 0 });
});

describe("registrations", () => {
  const topic = (name: string, attributes: Record<string, string> = {}): TopicConfig => ({
    topicName: name,
    readQueueNums: 4,
    writeQueueNums: 8,
    perm: 6,
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: 0,
    order: false,
    attributes,
  });
  const registration = {
    dataVersion: { counter: 3, stateVersion: 1, timestamp: 1_700_000_000_000 },
    topicConfigTable: new Map([
      ["a", topic("a")],
      ["b", topic("b", { "message.type": "FIFO" })],
    ]),
    filterServerList: ["f:1"],
  };

  it("JSON and compressed, there and back", () => {
    const read = { ...registration, staticTopics: new Set() };
    expect(readRegisterBroker(printRegisterBroker(registration), false, 479)).toEqual(read);
    expect(readRegisterBroker(printCompressedRegisterBroker(registration), true, 479)).toEqual(read);
  });

  it("Apache's JSON", () => {
    const body =
      '{"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":5},"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":5},"topicConfigTable":{"t":{"attributes":{},"order":false,"perm":6,"readQueueNums":16,"topicFilterType":"SINGLE_TAG","topicName":"t","topicSysFlag":1,"writeQueueNums":16}},"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":{"s":{"topic":"s","bname":"b"}}}}';
    const read = readRegisterBroker(bytes(body), false, 479);
    expect(read.topicConfigTable.get("t")).toMatchObject({ topicSysFlag: 1, readQueueNums: 16 });
    expect([...read.staticTopics]).toEqual(["s"]);
  });

  const version = '{"counter":1,"stateVersion":0,"timestamp":5}';

  it("the compressed form of old and new brokers", () => {
    const old = packed(version, 1, "t 16 8 6 MULTI_TAG", "[]");
    expect(readRegisterBroker(deflateSync(old), true, 399).topicConfigTable.get("t")).toMatchObject({
      writeQueueNums: 8,
      topicFilterType: "MULTI_TAG",
      attributes: {},
    });
    const recent = packed(version, 1, 't 16 8 6 SINGLE_TAG {"a":"b c"}', '["f:1"]', 1, '{"topic":"s"}');
    expect(readRegisterBroker(deflateSync(recent), true, 479)).toMatchObject({
      topicConfigTable: new Map([["t", expect.objectContaining({ attributes: { a: "b c" } })]]),
      filterServerList: ["f:1"],
      staticTopics: new Set(["s"]),
    });
  });

  it.each([
    ["no zlib", bytes("abc")],
    ["cut off", deflateSync(packed(version, 5, "t 1 1 6 SINGLE_TAG"))],
    ["a length that lies", deflateSync(Buffer.concat([int32(0x7fff_ffff), bytes("{}")]))],
    ["a negative length", deflateSync(packed(version, -1))],
    ["a topic without numbers", deflateSync(packed(version, 1, "t x y z", "[]", 0))],
    ["what becomes very large", deflateSync(Buffer.alloc(34_000_000))],
    ["a count of topics that nobody would read", deflateSync(packed(version, 0x7fff_ffff, "t 1 1 6 SINGLE_TAG"))],
    ["filter servers that are no text", deflateSync(packed(version, 0, "[[[]]]", 0))],
  ])("%s is refused", (_, body) => {
    expect(() => readRegisterBroker(body, true, 479)).toThrow(RequestError);
  });

  it("an empty body has no topics; checksums have 31 bits", () => {
    expect(readRegisterBroker(Buffer.alloc(0), false, 479).topicConfigTable.size).toBe(0);
    expect(bodyChecksum(bytes("123456789"))).toBe(0xcbf43926 & 0x7fff_ffff);
  });
});
