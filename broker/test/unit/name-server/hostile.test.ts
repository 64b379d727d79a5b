/** Whatever a peer sends to a name server: it answers each request with a code, keeps little, and serves others on. */
import { deflateSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { RequestCode } from "../../../src/protocol/codes.ts";
import { encodeRequest } from "../../../src/protocol/frame.ts";
import { jsonFrame } from "../protocol/bytes.ts";
import { packed } from "../protocol/compressed-registration.ts";
import { collectGarbage } from "../transport/serving.ts";
import { type Asking, Cluster } from "./cluster.ts";

const CODES: readonly number[] = [
  RequestCode.PUT_KV_CONFIG,
  RequestCode.GET_KV_CONFIG,
  RequestCode.DELETE_KV_CONFIG,
  RequestCode.GET_KVLIST_BY_NAMESPACE,
  RequestCode.REGISTER_BROKER,
  RequestCode.UNREGISTER_BROKER,
  RequestCode.BROKER_HEARTBEAT,
  RequestCode.QUERY_DATA_VERSION,
  RequestCode.REGISTER_TOPIC_IN_NAMESRV,
  RequestCode.GET_BROKER_MEMBER_GROUP,
  RequestCode.GET_ROUTEINFO_BY_TOPIC,
  RequestCode.GET_BROKER_CLUSTER_INFO,
  RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
  RequestCode.GET_TOPICS_BY_CLUSTER,
  RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS,
  RequestCode.GET_UNIT_TOPIC_LIST,
  RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST,
  RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
  RequestCode.WIPE_WRITE_PERM_OF_BROKER,
  RequestCode.ADD_WRITE_PERM_OF_BROKER,
  RequestCode.DELETE_TOPIC_IN_NAMESRV,
  RequestCode.UPDATE_NAMESRV_CONFIG,
  RequestCode.GET_NAMESRV_CONFIG,
];
const LONG = "x".repeat(200_000);
const TEXTS = [
  "",
  "a",
  "__proto__",
  "\u0000",
  "\ud800",
  "-1",
  "9223372036854775807",
  "1e300",
  "true",
  "a;b:c",
  "x".repeat(300),
];
const NAMES =
  "clusterName brokerName brokerAddr brokerId haServerAddr bodyCrc32 compressed topic cluster namespace key value __ZONE_MODE __ZONE_NAME heartbeatTimeoutMillis enableActingMaster".split(
    " ",
  );
const version = '{"counter":1,"stateVersion":0,"timestamp":5}';
const BODIES: readonly Buffer[] = [
  "",
  "{",
  "null",
  "[]",
  "{1:2}",
  '{{"a":1}:2}',
  '{"topicConfigSerializeWrapper":[]}',
  '{"topicConfigSerializeWrapper":{"topicConfigTable":{"__proto__":{},"t":null}}}',
  '{"topicConfigSerializeWrapper":{"topicConfigTable":{"__proto__":{},"t":{"attributes":{"$ref":"$"}}}}}',
  '{"topicConfigSerializeWrapper":{"topicConfigTable":{"t":{"perm":1e300}}},"filterServerList":[[]]}',
  '{"queueDatas":[{"brokerName":"a","perm":-1}],"brokerDatas":[{}]}',
  '{"counter":{"$ref":"@"}}',
  "listenPort=x\nenableTopicList=maybe",
]
  .map((text) => Buffer.from(text))
  .concat([
    deflateSync(packed(version, 2, "t 1 1 6 SINGLE_TAG", "u 1 1 6 SINGLE_TAG", "[]", 0)),
    deflateSync(packed(version, 1, "t 1 1 6 SINGLE_TAG {", "[]", 1, "[]")),
    deflateSync(Buffer.alloc(1_000_000)),
  ]);

/** The same numbers in each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

let cluster: Cluster;
let hostile: Asking;
let honest: Asking;
beforeEach(async () => {
  cluster = await Cluster.start();
  hostile = await cluster.connect();
  honest = await cluster.connect();
});
afterEach(() => cluster.stop());

const isServed = async () => {
  expect(await honest.register({ brokerName: "honest", brokerAddr: "10.0.0.1:9" })).toMatchObject({ code: 0 });
  expect(await honest.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: "t" })).toMatchObject({ code: 0 });
};

it("any fields and bodies are answered, and none as an error that nobody thought of", async () => {
  const next = random(11);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  for (let round = 0; round < 80; round++) {
    for (const code of CODES) {
      const ext = Object.fromEntries(NAMES.filter(() => next() < 0.8).map((name) => [name, pick(TEXTS)]));
      if (next() < 0.5) ext.bodyCrc32 = "0";
      const answer = await hostile.ask(code, ext, pick(BODIES));
      expect(Number.isSafeInteger(answer.code)).toBe(true);
    }
  }
  expect(cluster.log.lines.filter(({ level }) => level === "error")).toEqual([]);
  // Switched off by one of the requests, perhaps.
  await cluster.stop();
  cluster = await Cluster.start();
  honest = await cluster.connect();
  await isServed();
});

it("long texts in headers are not kept", async () => {
  const ask = async (from: number, count: number) => {
    for (let n = from; n < from + count; n++) {
      for (const code of [RequestCode.REGISTER_BROKER, RequestCode.BROKER_HEARTBEAT, RequestCode.QUERY_DATA_VERSION]) {
        const who = {
          clusterName: `c${n}`,
          brokerName: `b${n}`,
          brokerAddr: `${n}${LONG}`,
          brokerId: 0,
          haServerAddr: "",
        };
        await hostile.ask(code, who);
      }
    }
  };
  await ask(0, 20);
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  await ask(20, 200);
  collectGarbage();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
  await isServed();
});

it("headers of lists, in numbers, take no more than their bytes", async () => {
  const lists = `[${"[],".repeat(80_000)}[]]`;
  const header = `{"code":105,"opaque":1,"flag":0,"version":479,"extFields":{"topic":"none","more":${lists}}}`;
  for (let count = 0; count < 100; count++) hostile.peer.socket.write(jsonFrame(header));
  await hostile.peer.has(100);
  expect(hostile.peer.received.every(({ code }) => code === 17)).toBe(true);
  await isServed();
});

it("a body that is too large for its code is refused unread", async () => {
  const body = Buffer.alloc(2_000_000, "[");
  for (const code of CODES.filter((one) => one !== RequestCode.REGISTER_BROKER)) {
    expect(await hostile.ask(code, {}, body)).toMatchObject({
      code: 1,
      remark: expect.stringMatching(/at most 1048576 bytes/),
    });
  }
  await isServed();
});

it("a flood that nobody reads answers of is not read from, and harms nobody", async () => {
  hostile.peer.socket.pause();
  await isServed();
  const request = Buffer.concat(encodeRequest({ code: RequestCode.GET_BROKER_CLUSTER_INFO, opaque: 1 }));
  const flood = Buffer.concat(Array.from({ length: 1000 }, () => request));
  for (let count = 0; count < 100; count++) hostile.peer.socket.write(flood);
  for (let count = 0; count < 20; count++) await isServed();
});
