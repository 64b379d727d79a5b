/** What whoever reaches a name server may make it keep, and do. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KVConfig } from "../../../src/name-server/kv-config.ts";
import { Registry } from "../../../src/name-server/registry.ts";
import type { TopicConfig } from "../../../src/protocol/bodies/topic-config.ts";
import { RequestCode } from "../../../src/protocol/codes.ts";
import type { Connection } from "../../../src/transport/connection.ts";
import { packed } from "../protocol/compressed-registration.ts";
import { FakeConnection } from "../services/rig.ts";
import { type Asking, Cluster, topic } from "./cluster.ts";

describe("over sockets", () => {
  let cluster: Cluster;
  let broker: Asking;
  beforeEach(async () => {
    cluster = await Cluster.start();
    broker = await cluster.connect();
  });
  afterEach(() => cluster.stop());

  const who = { brokerName: "x", brokerAddr: "10.0.0.7:1", clusterName: "c", brokerId: 0, haServerAddr: "" };
  const clusters = () => broker.text(RequestCode.GET_BROKER_CLUSTER_INFO);

  it("a registration whose references multiply is refused, and nothing of it is kept", async () => {
    const levels = Array.from({ length: 40 }, (_, n) => {
      const before = `{"$ref":"$.topicConfigSerializeWrapper.topicQueueMappingInfoMap.T.l${n}"}`;
      return `"l${n + 1}":{"a":${before},"b":${before}}`;
    });
    const table = JSON.stringify({ T: topic("T"), U: topic("U") });
    const mappings = `{"T":{"l0":{"a":1},${levels.join(",")}}}`;
    const body = `{"topicConfigSerializeWrapper":{"topicConfigTable":${table},"topicQueueMappingInfoMap":${mappings}}}`;
    const answer = await broker.ask(RequestCode.REGISTER_BROKER, who, Buffer.from(body));
    expect(answer).toMatchObject({ code: 1, remark: expect.stringMatching(/multiply/) });
    expect(await clusters()).toBe('{"brokerAddrTable":{},"clusterAddrTable":{}}');
  });

  it("static topics are left out, as their mappings are", async () => {
    const table = JSON.stringify({ s: topic("s"), t: topic("t"), u: topic("u") });
    const wrapper = `{"topicConfigTable":${table},"topicQueueMappingInfoMap":{"s":{"topic":"s"}}}`;
    const body = Buffer.from(`{"topicConfigSerializeWrapper":${wrapper}}`);
    expect(await broker.ask(RequestCode.REGISTER_BROKER, who, body)).toMatchObject({ code: 0 });
    expect(await broker.json(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).toEqual({ topicList: ["t", "u"] });
  });

  it("millions of topics in few bytes are refused while they are read", async () => {
    const version = '{"counter":1,"stateVersion":0,"timestamp":5}';
    const line = packed("aaaaaaa 0 0 0");
    const lines = Buffer.alloc(line.length * 1_500_000, line);
    const body = deflateSync(Buffer.concat([packed(version, 1_500_000), lines, packed("[]", 0)]));
    const before = process.memoryUsage().heapUsed;
    const answer = await broker.ask(RequestCode.REGISTER_BROKER, { ...who, compressed: true }, body);
    expect(answer).toMatchObject({ code: 1, remark: expect.stringMatching(/1500000 of what there may be 131072/) });
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000);
  });

  it("a refused registration leaves no cluster behind", async () => {
    for (let count = 0; count < 50; count++) {
      expect(await broker.register({ cluster: `c${count}`, brokerName: `b${count}`, topics: ["t"] })).toMatchObject({
        code: 1,
      });
    }
    expect(await clusters()).toBe('{"brokerAddrTable":{},"clusterAddrTable":{}}');
  });
});

describe("the registry", () => {
  const connection: Connection = new FakeConnection();
  let registry: Registry;
  beforeEach(() => {
    registry = new Registry({ now: () => performance.now(), deleteMissingTopics: () => false });
  });
  afterEach(() => registry.stop());

  const register = (given: {
    cluster?: string;
    brokerName?: string;
    brokerId?: number;
    address?: string;
    haServerAddr?: string;
    topics?: readonly TopicConfig[];
    filterServerList?: readonly string[];
  }) => {
    const { topics = [topic("t"), topic("u")], filterServerList = [], ...more } = given;
    return registry.register({
      cluster: "c",
      brokerName: "b",
      brokerId: 0,
      address: "10.0.0.1:1",
      haServerAddr: "",
      zoneName: undefined,
      timeoutMs: undefined,
      enableActingMaster: true,
      connection,
      body: {
        dataVersion: { counter: 1, stateVersion: 0, timestamp: 1 },
        topicConfigTable: new Map(topics.map((config) => [config.topicName, config])),
        filterServerList,
        staticTopics: new Set(),
      },
      ...more,
    });
  };
  /** How many of so many are taken. */
  const taken = (count: number, one: (n: number) => void): number => {
    let done = 0;
    for (let n = 0; n < count; n++) {
      try {
        one(n);
        done++;
      } catch (error) {
        expect(error).toMatchObject({ name: "RequestError", code: 1 });
      }
    }
    return done;
  };

  it("a broker has so many addresses", () => {
    expect(taken(500, (n) => void register({ brokerId: n, address: `10.0.0.1:${n}` }))).toBe(64);
    expect(registry.broker("b")?.brokerAddrs.size).toBe(64);
  });

  it("a broker that comes from ever new addresses has the last of them alone", () => {
    expect(taken(500, (n) => void register({ address: `10.0.0.1:${n}`, filterServerList: ["f:1"] }))).toBe(500);
    expect(registry.live.size).toBe(1);
    expect(registry.filterServers("c", "10.0.0.1:7")).toBeUndefined();
    expect(registry.filterServers("c", "10.0.0.1:499")).toEqual(["f:1"]);
  });

  it("a broker is in two clusters at most, and in none when it is gone", () => {
    expect(taken(500, (n) => void register({ cluster: `c${n}` }))).toBe(2);
    expect(registry.clusterInfo().clusterAddrTable.size).toBe(2);
    for (const cluster of ["c0", "c1"]) {
      registry.unregister({ cluster, brokerName: "b", brokerId: 0, address: "10.0.0.1:1" });
    }
    expect(registry.clusterInfo().clusterAddrTable.size).toBe(0);
    expect(registry.topics.queueDatas).toBe(0);
  });

  it("names have a length, and lists, too", () => {
    const long = "x".repeat(256);
    for (const wrong of [
      { cluster: long },
      { brokerName: long },
      { address: long },
      { haServerAddr: long },
      { filterServerList: [long] },
      { filterServerList: Array<string>(65).fill("f:1") },
      { topics: [topic("t"), topic("x".repeat(513))] },
    ]) {
      expect(taken(1, () => void register(wrong))).toBe(0);
    }
    expect(registry.clusterInfo().brokerAddrTable.size).toBe(0);
    expect(taken(1, () => void register({ topics: [topic("t"), topic("x".repeat(512))] }))).toBe(1);
  });

  it("queues are counted by topics and brokers together", () => {
    const topics = Array.from({ length: 50_000 }, (_, n) => topic(`topic-${n}`));
    expect(taken(25, (n) => void register({ brokerName: `b${n}`, address: `10.0.0.1:${n}`, topics }))).toBe(20);
    expect(registry.topics.queueDatas).toBe(1_000_000);
    const queues = { brokerName: "b0", readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 };
    expect(taken(1, () => registry.registerTopic("another", [queues]))).toBe(0);
    expect(taken(1, () => registry.registerTopic("topic-7", [queues]))).toBe(1);
    registry.deleteTopic("topic-7", undefined);
    expect(registry.topics.queueDatas).toBe(999_980);
    expect(taken(1, () => registry.registerTopic("another", [queues]))).toBe(1);
  });
});

describe("settings of tools", () => {
  const MiB = 1_048_576;

  it("have so many bytes in all, as they are written, and what is deleted makes room", async () => {
    const config = await KVConfig.load(undefined);
    const value = "v".repeat(MiB);
    const puts = [];
    for (const key of ["a", "b", "c", "d"]) puts.push(await config.put("n", key, value));
    expect(puts).toEqual([true, true, true, false]);
    expect(await config.put("n", "a", "v".repeat(2 * MiB))).toBe(false);
    expect(config.get("n", "a")).toBe(value);
    // A line feed is two characters of the file, and what is no ASCII six.
    expect(await config.put("n", "e", "\n".repeat(0.6 * MiB))).toBe(false);
    expect(await config.put("n", "e", "é".repeat(0.2 * MiB))).toBe(false);
    expect(await config.put("n", "a", "less")).toBe(true);
    expect(await config.put("n", "e", "\n".repeat(0.6 * MiB))).toBe(true);
    await config.delete("n", "b");
    expect(await config.put("n", "d", value)).toBe(true);
  });

  it("leave nothing behind: neither bytes nor names of namespaces", async () => {
    const config = await KVConfig.load(undefined);
    const long = "n".repeat(100_000);
    for (let count = 0; count < 100; count++) {
      expect(await config.put(`${long}${count}`, long, long)).toBe(true);
      await config.delete(`${long}${count}`, long);
    }
    expect(config.namespace(`${long}7`)).toBeUndefined();
    expect(await config.put(long, long, "v".repeat(3.5 * MiB))).toBe(true);
  });

  it("that are more in a file stay, and may become fewer alone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "moraine-kv-"));
    const path = join(folder, "kvConfig.json");
    try {
      writeFileSync(path, JSON.stringify({ configTable: { n: { a: "v".repeat(5 * MiB), b: "v" } } }));
      const config = await KVConfig.load(path);
      expect(config.get("n", "a")).toHaveLength(5 * MiB);
      expect(await config.put("n", "b", "vv")).toBe(false);
      expect(await config.put("n", "a", "v".repeat(4.5 * MiB))).toBe(true);
      expect(await config.put("n", "a", "v")).toBe(true);
      expect(await config.put("n", "b", "vv")).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
