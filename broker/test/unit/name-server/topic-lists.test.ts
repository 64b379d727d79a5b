import { beforeEach, expect, it } from "vitest";
import { KVConfig } from "../../../src/name-server/kv-config.ts";
import { queryHandlers } from "../../../src/name-server/query-handlers.ts";
import { Registry } from "../../../src/name-server/registry.ts";
import { Settings } from "../../../src/name-server/settings.ts";
import { RequestCode } from "../../../src/protocol/codes.ts";
import type { Command, Response } from "../../../src/protocol/command.ts";
import { parseBody } from "../../../src/protocol/json.ts";
import type { RequestContext } from "../../../src/transport/connection.ts";
import { FakeConnection } from "../services/rig.ts";
import { topic } from "./cluster.ts";

const { GET_ALL_TOPIC_LIST_FROM_NAMESERVER, GET_TOPICS_BY_CLUSTER, GET_UNIT_TOPIC_LIST } = RequestCode;

let registry: Registry;
let ask: (code: number, cluster?: string) => Response;

beforeEach(async () => {
  registry = new Registry({ now: () => 0, deleteMissingTopics: () => true });
  const parts = { registry, kv: await KVConfig.load(undefined), settings: new Settings(), now: () => 0, startedAt: 0 };
  const handlers = new Map(queryHandlers(parts));
  ask = (code, cluster = "c") =>
    handlers.get(code)?.({ code, ext: { cluster } } as unknown as Command, {} as RequestContext) as Response;
});

let counter = 0;

function register(brokerName: string, topics: Record<string, number>, cluster = "c"): void {
  const configs = Object.entries(topics).map(([name, topicSysFlag]) => topic(name, { topicSysFlag }));
  registry.register({
    cluster,
    brokerName,
    brokerId: 0,
    address: `${brokerName}:1`,
    haServerAddr: "",
    zoneName: undefined,
    timeoutMs: undefined,
    enableActingMaster: undefined,
    connection: new FakeConnection(),
    body: {
      dataVersion: { counter: ++counter, stateVersion: 0, timestamp: 0 },
      topicConfigTable: new Map(configs.map((config) => [config.topicName, config])),
      filterServerList: [],
      staticTopics: new Set(),
    },
  });
}

const namesOf = ({ body }: Response) =>
  (parseBody(body as Uint8Array) as { topicList: readonly string[] }).topicList.join(" ");
const lists = (cluster?: string) => [
  namesOf(ask(GET_ALL_TOPIC_LIST_FROM_NAMESERVER)),
  namesOf(ask(GET_TOPICS_BY_CLUSTER, cluster)),
  namesOf(ask(GET_UNIT_TOPIC_LIST)),
];

it("are printed once, until a topic comes or goes", () => {
  register("b", { t: 0, u: 1 });
  for (const code of [GET_ALL_TOPIC_LIST_FROM_NAMESERVER, GET_TOPICS_BY_CLUSTER, GET_UNIT_TOPIC_LIST]) {
    const { body } = ask(code);
    // What it has told already changes nothing.
    register("b", { t: 0, u: 1 });
    expect(ask(code).body).toBe(body);
    registry.registerTopic("new", [{ brokerName: "b", readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 }]);
    expect(ask(code).body).not.toBe(body);
    registry.deleteTopic("new", undefined);
  }
});

it("tell every change", () => {
  expect(lists()).toEqual(["", "", ""]);
  register("b", { t: 0, u: 1 });
  expect(lists()).toEqual(["t u", "t u", "u"]);
  register("b2", { v: 0, w: 0 }, "c2");
  expect([lists(), lists("c2")]).toEqual([
    ["t u v w", "t u", "u"],
    ["t u v w", "v w", "u"],
  ]);
  register("b", { t: 1, u: 1 });
  expect(lists()).toEqual(["t u v w", "t u", "t u"]);
  register("b", { t: 1, x: 0 });
  expect(lists()).toEqual(["t v w x", "t x", "t"]);
  registry.deleteTopic("t", "c");
  expect(lists()).toEqual(["v w x", "x", ""]);
  // It is in both clusters then, with what it has told already.
  register("b2", { v: 0, w: 0 }, "c");
  expect(lists()).toEqual(["v w x", "v w x", ""]);
  registry.deleteTopic("w", undefined);
  expect(lists()).toEqual(["v x", "v x", ""]);
  registry.unregister({ cluster: "c2", brokerName: "b2", brokerId: 0, address: "b2:1" });
  expect([lists(), lists("c2")]).toEqual([
    ["x", "x", ""],
    ["x", "", ""],
  ]);
});

it("of clusters that there are not are kept for nobody", () => {
  register("b", { t: 0, u: 0 });
  expect(ask(GET_TOPICS_BY_CLUSTER, "nowhere").body).not.toBe(ask(GET_TOPICS_BY_CLUSTER, "nowhere").body);
  expect(namesOf(ask(GET_TOPICS_BY_CLUSTER, "nowhere"))).toBe("");
});
