import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { administrativeHook } from "../../../src/name-server/admin-handlers.ts";
import { KVConfig } from "../../../src/name-server/kv-config.ts";
import { readNameServerOptions } from "../../../src/name-server/options.ts";
import { Settings } from "../../../src/name-server/settings.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import type { Command } from "../../../src/protocol/command.ts";
import type { RequestContext } from "../../../src/transport/connection.ts";
import { type Asking, Cluster, topic } from "./cluster.ts";

let cluster: Cluster;
let broker: Asking;
let client: Asking;

const start = async (options: Readonly<Record<string, unknown>> = {}, now?: () => number) => {
  cluster = await Cluster.start(options, now);
  broker = await cluster.connect();
  client = await cluster.connect();
};
beforeEach(() => start());
afterEach(() => cluster.stop());

const { GET_ROUTEINFO_BY_TOPIC } = RequestCode;

describe("routes", () => {
  const bare = '"brokerAddrs":{0:"10.0.0.1:10911"}';
  const quoted = '"brokerAddrs":{"0":"10.0.0.1:10911"}';

  it("bare keys for older clients, quoted ones for those who can read them", async () => {
    await broker.register({});
    expect(await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t" }, 400)).toContain(bare);
    expect(await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t", acceptStandardJsonOnly: true }, 0)).toContain(
      quoted,
    );
    expect(await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t" }, 401)).toContain(quoted);
  });

  it("none for an unknown topic, or without a name", async () => {
    const remark =
      "No topic route info in name server for the topic: nothing" +
      "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
    expect(await client.ask(GET_ROUTEINFO_BY_TOPIC, { topic: "nothing" })).toMatchObject({
      code: ResponseCode.TOPIC_NOT_EXIST,
      remark,
    });
    expect(await client.ask(GET_ROUTEINFO_BY_TOPIC)).toMatchObject({ code: ResponseCode.INVALID_PARAMETER });
  });

  it("are the same whatever came first", async () => {
    for (const brokerName of ["b3", "b1", "b2"]) await broker.register({ brokerName, brokerAddr: `${brokerName}:1` });
    const route = JSON.parse(await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t" }));
    expect(route.queueDatas.map(({ brokerName }: { brokerName: string }) => brokerName)).toEqual(["b1", "b2", "b3"]);
    expect(route.brokerDatas.map(({ brokerName }: { brokerName: string }) => brokerName)).toEqual(["b1", "b2", "b3"]);
  });

  it("of one zone, in fastjson's form", async () => {
    await broker.register({ ext: { __ZONE_NAME: "East" }, filterServerList: ["f:1"] });
    await broker.register({ brokerName: "b2", brokerAddr: "10.0.0.2:1", ext: { __ZONE_NAME: "west" } });
    await broker.register({ brokerName: "b3", brokerAddr: "10.0.0.3:1" });
    const text = await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t", __ZONE_MODE: true, __ZONE_NAME: "EAST" });
    expect(text).toContain(bare);
    expect(text).toContain('"filterServerTable":{"10.0.0.1:10911":["f:1"]}');
    expect(text).toContain('"zoneName":"East"');
    expect(text).not.toMatch(/b2|b3/);
  });

  it("a slave stands in for a lost master where that is on", async () => {
    await cluster.stop();
    await start({ supportActingMaster: true });
    const slave = await cluster.connect();
    await broker.register({ ext: { enableActingMaster: true } });
    await slave.register({ brokerId: 2, brokerAddr: "10.0.0.2:1", ext: { enableActingMaster: true } });
    broker.peer.end();
    await broker.peer.closed;
    const route = async () => JSON.parse(await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t" }));
    while ((await route()).queueDatas[0].perm !== 4);
    expect((await route()).brokerDatas[0].brokerAddrs).toEqual({ 0: "10.0.0.2:1" });
  });

  it("are refused at first where brokers are waited for", async () => {
    await cluster.stop();
    let now = 1000;
    await start({ needWaitForService: "true" }, () => now);
    await broker.register({});
    expect(await client.ask(GET_ROUTEINFO_BY_TOPIC, { topic: "t" })).toMatchObject({
      code: 1,
      remark: "name server not ready",
    });
    now += 45_000;
    expect(await client.ask(GET_ROUTEINFO_BY_TOPIC, { topic: "t" })).toMatchObject({ code: 0 });
  });
});

describe("lists", () => {
  it("clusters, their topics, names of clusters and brokers", async () => {
    await broker.register({});
    await broker.register({ cluster: "c2", brokerName: "b2", brokerAddr: "10.0.0.2:1", topics: ["u", "v"] });
    expect(await client.text(RequestCode.GET_BROKER_CLUSTER_INFO)).toBe(
      '{"brokerAddrTable":{"b":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"b","cluster":"c","enableActingMaster":false},"b2":{"brokerAddrs":{0:"10.0.0.2:1"},"brokerName":"b2","cluster":"c2","enableActingMaster":false}},"clusterAddrTable":{"c":["b"],"c2":["b2"]}}',
    );
    expect(await client.json(RequestCode.GET_TOPICS_BY_CLUSTER, { cluster: "c2" })).toEqual({ topicList: ["u", "v"] });
    expect(await client.json(RequestCode.GET_TOPICS_BY_CLUSTER, { cluster: "none" })).toEqual({ topicList: [] });
    expect(await client.json(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS)).toEqual({
      brokerAddr: "10.0.0.1:10911",
      topicList: ["c", "b", "c2", "b2"],
    });
    expect(await client.text(RequestCode.GET_BROKER_MEMBER_GROUP, { clusterName: "c", brokerName: "b" })).toBe(
      '{"brokerMemberGroup":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"b","cluster":"c"}}',
    );
  });

  it("topics of units", async () => {
    const flagged = (name: string, topicSysFlag: number) => topic(name, { topicSysFlag });
    await broker.register({ topics: [flagged("unit", 1), flagged("sub", 2), flagged("both", 3), "none"] });
    const list = (code: number) => client.json(code);
    expect(await list(RequestCode.GET_UNIT_TOPIC_LIST)).toEqual({ topicList: ["both", "unit"] });
    expect(await list(RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST)).toEqual({ topicList: ["both", "sub"] });
    expect(await list(RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST)).toEqual({ topicList: ["sub"] });
  });

  it("can be switched off", async () => {
    await client.ask(
      RequestCode.UPDATE_NAMESRV_CONFIG,
      {},
      Buffer.from("enableAllTopicList=false\nenableTopicList=false"),
    );
    for (const code of [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, RequestCode.GET_UNIT_TOPIC_LIST]) {
      expect(await client.ask(code)).toMatchObject({ code: 1, remark: "disable" });
    }
  });

  it("permissions of a broker are taken and given", async () => {
    await broker.register({});
    const perm = async () => JSON.parse(await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t" })).queueDatas[0].perm;
    expect((await client.ask(RequestCode.WIPE_WRITE_PERM_OF_BROKER, { brokerName: "b" })).ext.wipeTopicCount).toBe("2");
    expect(await perm()).toBe(4);
    expect((await client.ask(RequestCode.ADD_WRITE_PERM_OF_BROKER, { brokerName: "b" })).ext.addTopicCount).toBe("2");
    expect(await perm()).toBe(6);
  });

  it("topics are deleted, everywhere or in a cluster", async () => {
    await broker.register({});
    await broker.register({ cluster: "c2", brokerName: "b2", brokerAddr: "10.0.0.2:1" });
    await client.ask(RequestCode.DELETE_TOPIC_IN_NAMESRV, { topic: "t", clusterName: "c2" });
    expect(JSON.parse(await client.text(GET_ROUTEINFO_BY_TOPIC, { topic: "t" })).queueDatas).toHaveLength(1);
    await client.ask(RequestCode.DELETE_TOPIC_IN_NAMESRV, { topic: "t" });
    expect(await client.ask(GET_ROUTEINFO_BY_TOPIC, { topic: "t" })).toMatchObject({ code: 17 });
  });
});

describe("settings", () => {
  it("of tools, by namespace", async () => {
    const key = { namespace: "n", key: "k" };
    expect(await client.ask(RequestCode.GET_KV_CONFIG, key)).toMatchObject({ code: ResponseCode.QUERY_NOT_FOUND });
    expect(await client.ask(RequestCode.GET_KVLIST_BY_NAMESPACE, key)).toMatchObject({
      code: ResponseCode.QUERY_NOT_FOUND,
    });
    await client.ask(RequestCode.PUT_KV_CONFIG, { ...key, value: "v" });
    expect((await client.ask(RequestCode.GET_KV_CONFIG, key)).ext.value).toBe("v");
    expect(await client.json(RequestCode.GET_KVLIST_BY_NAMESPACE, key)).toEqual({ table: { k: "v" } });
    await client.ask(RequestCode.DELETE_KV_CONFIG, key);
    expect(await client.ask(RequestCode.GET_KV_CONFIG, key)).toMatchObject({ code: ResponseCode.QUERY_NOT_FOUND });
  });

  it("are in a file of RocketMQ's form", async () => {
    const folder = mkdtempSync(join(tmpdir(), "moraine-kv-"));
    const path = join(folder, "below", "kvConfig.json");
    try {
      const config = await KVConfig.load(path);
      await Promise.all(Array.from({ length: 30 }, (_, index) => config.put("n", `k${index % 3}`, String(index))));
      expect(readFileSync(path, "utf8")).toBe('{"configTable":{"n":{"k0":"27","k1":"28","k2":"29"}}}');
      expect((await KVConfig.load(path)).get("n", "k1")).toBe("28");
      writeFileSync(path, "{");
      await expect(KVConfig.load(path)).rejects.toThrow(/not JSON/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("its own options are told, and some can be changed", async () => {
    expect(await client.text(RequestCode.GET_NAMESRV_CONFIG)).toMatch(/^orderMessageEnable=false$/m);
    const update = (body: string) => client.ask(RequestCode.UPDATE_NAMESRV_CONFIG, {}, Buffer.from(body));
    expect(await update("orderMessageEnable=true\nsomethingElse=1\n")).toMatchObject({ code: 0 });
    expect(await client.text(RequestCode.GET_NAMESRV_CONFIG)).toMatch(/^orderMessageEnable=true$/m);
    for (const forbidden of ["kvConfigPath=/x", "configBlackList=", "configStorePath=/x", "adminAccess=any"]) {
      expect(await update(`enableTopicList=false\n${forbidden}`)).toMatchObject({ code: ResponseCode.NO_PERMISSION });
    }
    expect(await update("waitSecondsForService=soon")).toMatchObject({ code: 1 });
    expect(await client.text(RequestCode.GET_NAMESRV_CONFIG)).toMatch(/^enableTopicList=true$/m);
  });

  it("wrong options are told all at once", () => {
    expect(() => readNameServerOptions({ listenPort: "x", orderMessageEnable: "maybe" })).toThrow(
      /listenPort.*orderMessageEnable/,
    );
    expect(readNameServerOptions({ listenPort: "9999", orderMessageEnable: "true" })).toMatchObject({
      listenPort: 9999,
      orderMessageEnable: true,
    });
  });

  it("what changes something is taken from this machine only, unless the options say otherwise", () => {
    const request = (code: number) => ({ code }) as Command;
    const from = (isSameMachine: boolean) => ({ connection: { isSameMachine } }) as RequestContext;
    const taken = (options: Readonly<Record<string, unknown>>, isSameMachine: boolean) => {
      const hook = administrativeHook(new Settings(options));
      return Object.values(RequestCode).filter((code) => {
        try {
          hook(request(code), from(isSameMachine));
          return true;
        } catch (error) {
          expect(error).toMatchObject({ code: ResponseCode.NO_PERMISSION });
          return false;
        }
      });
    };
    const { PUT_KV_CONFIG, GET_NAMESRV_CONFIG, REGISTER_BROKER, GET_ROUTEINFO_BY_TOPIC } = RequestCode;
    const asked = [PUT_KV_CONFIG, GET_NAMESRV_CONFIG, REGISTER_BROKER, GET_ROUTEINFO_BY_TOPIC];
    const among = (codes: readonly number[]) => asked.filter((code) => codes.includes(code));
    expect(among(taken({}, true))).toEqual(asked);
    expect(among(taken({}, false))).toEqual([REGISTER_BROKER, GET_ROUTEINFO_BY_TOPIC]);
    expect(among(taken({ brokerAccess: "loopback" }, false))).toEqual([GET_ROUTEINFO_BY_TOPIC]);
    expect(among(taken({ adminAccess: "any" }, false))).toEqual(asked);
    // What nobody has said anything of is administrative.
    expect(taken({ brokerAccess: "loopback" }, false)).toHaveLength(12);
  });
});

it("codes of brokers and controllers are not known here", async () => {
  for (const code of [RequestCode.SEND_MESSAGE, 1003]) {
    expect(await client.ask(code)).toMatchObject({ code: 3, remark: ` request type ${code} not supported` });
  }
});
