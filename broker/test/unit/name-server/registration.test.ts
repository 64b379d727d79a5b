import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KVConfig } from "../../../src/name-server/kv-config.ts";
import { registrationHandlers } from "../../../src/name-server/registration-handlers.ts";
import { Registry } from "../../../src/name-server/registry.ts";
import { Settings } from "../../../src/name-server/settings.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import type { Command } from "../../../src/protocol/command.ts";
import { printBody } from "../../../src/protocol/json.ts";
import { FakeConnection } from "../services/rig.ts";
import { until } from "../transport/peer.ts";
import { type Asking, Cluster, topic } from "./cluster.ts";

let cluster: Cluster;
let broker: Asking;
let client: Asking;

const start = async (options: Readonly<Record<string, unknown>> = {}) => {
  cluster = await Cluster.start(options);
  broker = await cluster.connect();
  client = await cluster.connect();
};
beforeEach(() => start());
afterEach(() => cluster.stop());

const route = async (name: string) => {
  const answer = await client.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: name });
  return answer.code === 0 ? JSON.parse(Buffer.from(answer.body).toString()) : answer.code;
};
const topics = async () =>
  ((await client.json(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)) as { topicList: string[] }).topicList;

/** The broker stays when the connection ends that it had before, and goes with `current`. */
async function expectHeardOver(current: Asking): Promise<void> {
  broker.peer.end();
  await broker.peer.closed;
  await client.ask(RequestCode.GET_NAMESRV_CONFIG);
  expect(await topics()).toEqual(["t", "u"]);
  current.peer.end();
  while ((await topics()).length > 0);
}

describe("registration", () => {
  it.each([false, true])("a broker's topics have routes (compressed: %s)", async (compressed) => {
    expect(await broker.register({ compressed })).toMatchObject({ code: 0 });
    expect(await route("t")).toEqual({
      brokerDatas: [{ brokerAddrs: { 0: "10.0.0.1:10911" }, brokerName: "b", cluster: "c", enableActingMaster: false }],
      filterServerTable: {},
      queueDatas: [{ brokerName: "b", perm: 6, readQueueNums: 8, topicSysFlag: 0, writeQueueNums: 8 }],
    });
    expect(await topics()).toEqual(["t", "u"]);
  });

  it("a first registration with one topic is refused, a later one adds it", async () => {
    expect(await broker.register({ topics: ["t"] })).toMatchObject({ code: 1, remark: "register broker failed" });
    expect(await client.json(RequestCode.GET_BROKER_CLUSTER_INFO)).toEqual({
      brokerAddrTable: {},
      clusterAddrTable: {},
    });
    await broker.register({});
    expect(await broker.register({ topics: ["new"], counter: 2 })).toMatchObject({ code: 0 });
    expect(await topics()).toEqual(["new", "t", "u"]);
  });

  it("a changed body is refused by its checksum, and an unreadable one", async () => {
    expect(await broker.register({ ext: { bodyCrc32: 7 } })).toMatchObject({ code: 1, remark: "crc32 not match" });
    expect(await broker.register({ ext: { bodyCrc32: 0, compressed: true } })).toMatchObject({ code: 1 });
    expect(await broker.register({ ext: { bodyCrc32: 0 } })).toMatchObject({ code: 0 });
    expect(await broker.ask(RequestCode.REGISTER_BROKER, {})).toMatchObject({ code: ResponseCode.INVALID_PARAMETER });
  });

  it("queues are taken when the data version is another one", async () => {
    await broker.register({});
    await broker.register({ topics: [topic("t", { writeQueueNums: 4 }), "u"] });
    expect((await route("t")).queueDatas[0].writeQueueNums).toBe(8);
    await broker.register({ topics: [topic("t", { writeQueueNums: 4 }), "u"], counter: 2 });
    expect((await route("t")).queueDatas[0].writeQueueNums).toBe(4);
  });

  it("topics that are missing stay, unless the options say otherwise", async () => {
    await broker.register({ topics: ["t", "u", "v"] });
    await broker.register({ topics: ["t", "u"], counter: 2 });
    expect(await topics()).toEqual(["t", "u", "v"]);
    await cluster.stop();
    await start({ deleteTopicWithBrokerRegistration: true });
    await broker.register({ topics: ["t", "u", "v"] });
    await broker.register({ topics: ["t", "u"], counter: 2 });
    expect(await topics()).toEqual(["t", "u"]);
  });

  it("a slave is told its master, and brings no topics", async () => {
    await broker.register({});
    const answer = await broker.register({ brokerId: 1, topics: ["t", "u", "only-there"] });
    expect({ ...answer.ext }).toEqual({ haServerAddr: "10.0.0.1:10912", masterAddr: "10.0.0.1:10911" });
    expect(await route("only-there")).toBe(ResponseCode.TOPIC_NOT_EXIST);
    expect((await route("t")).brokerDatas[0].brokerAddrs).toEqual({ 0: "10.0.0.1:10911", 1: "10.0.0.1:10912" });
  });

  it("an address that comes with another id leaves the old one", async () => {
    await broker.register({});
    await broker.register({ brokerId: 1, brokerAddr: "10.0.0.2:1" });
    await broker.register({ brokerId: 0, brokerAddr: "10.0.0.2:1", counter: 9, stateVersion: 1 });
    expect((await route("t")).brokerDatas[0].brokerAddrs).toEqual({ 0: "10.0.0.2:1" });
  });

  it("an older state does not take the place of a newer one", async () => {
    await broker.register({ stateVersion: 5 });
    const answer = await (await cluster.connect()).register({ brokerAddr: "10.0.0.9:9", stateVersion: 4 });
    expect(answer).toMatchObject({ code: 0 });
    expect((await route("t")).brokerDatas[0].brokerAddrs).toEqual({ 0: "10.0.0.1:10911" });
  });

  it("topics one by one, of known brokers only", async () => {
    await broker.register({});
    const queues = (brokerName: string) => ({
      brokerName,
      perm: 6,
      readQueueNums: 2,
      topicSysFlag: 0,
      writeQueueNums: 3,
    });
    const body = printBody({ brokerDatas: [], queueDatas: [queues("b"), queues("unknown")], filterServerTable: {} });
    expect(await broker.ask(RequestCode.REGISTER_TOPIC_IN_NAMESRV, { topic: "single" }, body)).toMatchObject({
      code: 0,
    });
    expect((await route("single")).queueDatas).toEqual([queues("b")]);
  });

  it("strictly ordered topics are told to brokers", async () => {
    const put = { namespace: "ORDER_TOPIC_CONFIG", key: "t", value: "b:4" };
    await client.ask(RequestCode.PUT_KV_CONFIG, put);
    expect(Buffer.from((await broker.register({})).body).toString()).toBe('{"table":{"t":"b:4"}}');
    expect((await route("t")).orderTopicConf).toBeUndefined();
    expect(
      await client.ask(RequestCode.UPDATE_NAMESRV_CONFIG, {}, Buffer.from("orderMessageEnable=true\n")),
    ).toMatchObject({ code: 0 });
    expect((await route("t")).orderTopicConf).toBe("b:4");
  });
});

/** What `register` registers by itself. */
const who = { clusterName: "c", brokerName: "b", brokerAddr: "10.0.0.1:10911", brokerId: 0 };
const known = { counter: 1, stateVersion: 0, timestamp: 1_700_000_000_000 };
const version = printBody(known);

describe("leaving", () => {
  it("a broker that says so takes its topics along; others keep them", async () => {
    await broker.register({});
    await broker.register({ brokerName: "b2", brokerAddr: "10.0.0.2:1", topics: ["u", "v"] });
    expect(await broker.ask(RequestCode.UNREGISTER_BROKER, who)).toMatchObject({ code: 0 });
    expect(await topics()).toEqual(["u", "v"]);
    expect(await client.text(RequestCode.GET_BROKER_CLUSTER_INFO)).toContain('"clusterAddrTable":{"c":["b2"]}');
  });

  it("a closed connection is a broker gone, unless it has another one by now", async () => {
    await broker.register({});
    const again = await cluster.connect();
    await again.register({});
    await expectHeardOver(again);
    expect(await route("t")).toBe(ResponseCode.TOPIC_NOT_EXIST);
    expect(cluster.log.reasons).toContain("its connection closed");
  });

  it.each([
    ["question whether there is anything new", RequestCode.QUERY_DATA_VERSION],
    ["heartbeat", RequestCode.BROKER_HEARTBEAT],
  ])("a %s over another connection is the broker's from then on", async (_, code) => {
    await broker.register({});
    const again = await cluster.connect();
    expect(await again.ask(code, who, version)).toMatchObject({ code: 0 });
    await expectHeardOver(again);
    expect(cluster.log.reasons.filter((reason) => reason === "its connection closed")).toHaveLength(1);
  });

  it.each([
    ["any", false],
    ["loopback", true],
  ])(
    "with brokerAccess=%s, whether a broker stays whose version another machine asks for: %s",
    async (access, stays) => {
      const registry = new Registry({ now: () => 0, deleteMissingTopics: () => false });
      const settings = new Settings({ brokerAccess: access });
      const handlers = new Map(registrationHandlers({ registry, settings, kv: await KVConfig.load(undefined) }));
      const topicConfigTable = new Map([
        ["t", topic("t")],
        ["u", topic("u")],
      ]);
      registry.register({
        cluster: who.clusterName,
        brokerName: who.brokerName,
        brokerId: who.brokerId,
        address: who.brokerAddr,
        haServerAddr: "",
        zoneName: undefined,
        timeoutMs: undefined,
        enableActingMaster: undefined,
        body: { dataVersion: known, topicConfigTable, staticTopics: new Set(), filterServerList: [] },
        connection: new FakeConnection(),
      });
      const foreign = Object.assign(new FakeConnection(), { isSameMachine: false });
      const question = { ext: { ...who, brokerId: "0" }, body: version } as unknown as Command;
      const context = { connection: foreign, receivedAt: 0, signal: new AbortController().signal };
      await handlers.get(RequestCode.QUERY_DATA_VERSION)?.(question, context);
      foreign.close("the test has done with it");
      expect(registry.broker("b") !== undefined).toBe(stays);
      registry.stop();
    },
  );

  it("silence is a broker gone; a heartbeat or a question keeps it", async () => {
    await broker.register({ ext: { heartbeatTimeoutMillis: 150 } });
    for (let round = 0; round < 6; round++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (round % 2 === 0) await broker.ask(RequestCode.BROKER_HEARTBEAT, who);
      else await broker.ask(RequestCode.QUERY_DATA_VERSION, who, version);
    }
    expect(await topics()).toEqual(["t", "u"]);
    await until(() => cluster.log.reasons.includes("its registration expired"));
    expect(await topics()).toEqual([]);
    expect(await broker.ask(RequestCode.BROKER_HEARTBEAT, who)).toMatchObject({ code: 0 });
    expect(await topics()).toEqual([]);
  });

  it("data versions are compared", async () => {
    const unknown = await broker.ask(RequestCode.QUERY_DATA_VERSION, who, version);
    expect([unknown.ext.changed, unknown.body.length]).toEqual(["true", 0]);
    await broker.register({});
    const same = await broker.ask(RequestCode.QUERY_DATA_VERSION, who, version);
    expect([same.ext.changed, JSON.parse(Buffer.from(same.body).toString())]).toEqual(["false", known]);
    const other = await broker.ask(RequestCode.QUERY_DATA_VERSION, who, printBody({ ...known, counter: 2 }));
    expect(other.ext.changed).toBe("true");
  });
});
