/** Whatever fields and bodies a request has, it is answered with a code, and nothing fails in a way that nobody thought of. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { brokerStatsHandlers } from "../../../src/processors/broker-stats.ts";
import { clientHandlers } from "../../../src/processors/clients.ts";
import { configurationHandlers } from "../../../src/processors/configuration.ts";
import { consumeQueueHandlers } from "../../../src/processors/consume-queue.ts";
import { consumeStatsHandlers } from "../../../src/processors/consume-stats.ts";
import { consumerHandlers } from "../../../src/processors/consumers.ts";
import { groupOffsetHandlers } from "../../../src/processors/group-offsets.ts";
import { groupHandlers } from "../../../src/processors/groups.ts";
import { offsetHandlers } from "../../../src/processors/offsets.ts";
import { queueLockHandlers } from "../../../src/processors/queue-locks.ts";
import { relayHandlers } from "../../../src/processors/relay.ts";
import { resetHandlers } from "../../../src/processors/reset.ts";
import { topicHandlers } from "../../../src/processors/topics.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import type { Handlers } from "../../../src/transport/connection.ts";
import { TransportError } from "../../../src/transport/transport-error.ts";
import { Rig } from "./rig.ts";

let rig: Rig;
let handlers: Handlers;

beforeEach(async () => {
  rig = await Rig.open();
  handlers = [
    ...brokerStatsHandlers(rig),
    ...clientHandlers(rig),
    ...configurationHandlers(rig),
    ...consumeQueueHandlers(rig),
    ...consumeStatsHandlers(rig),
    ...consumerHandlers(rig),
    ...groupOffsetHandlers(rig),
    ...groupHandlers(rig),
    ...offsetHandlers(rig),
    ...queueLockHandlers(rig),
    ...relayHandlers(rig),
    ...resetHandlers(rig),
    ...topicHandlers(rig),
  ];
  rig.serve(handlers);
  await rig.topic("orders", 2);
  rig.put("orders", 0, 3);
  rig.consume("readers", "one", ["orders"]).answer = () => {
    throw new TransportError("CONNECTION_CLOSED", "gone");
  };
});

afterEach(() => rig.close());

const NAMES: readonly string[] =
  "topic group consumerGroup producerGroup groupName srcGroup destGroup compareGroup clientId clientAddr msgId topicList dataVersion attributes statsName statsKey filterGroups clientID".split(
    " ",
  );
const NUMBERS: readonly string[] =
  "queueId timestamp offset commitOffset index count readQueueNums writeQueueNums perm topicSysFlag topicSeq groupSeq maxTopicNum maxGroupNum".split(
    " ",
  );
const TEXTS: readonly unknown[] = [
  undefined,
  "",
  " ",
  "orders",
  "readers",
  "one",
  "__proto__",
  "a/b",
  "../x",
  "%RETRY%",
  "%RETRY%readers",
  "%LMQ%x",
  "x".repeat(300),
  "ünïcödé",
  "\u0000",
  "\ud800",
  "+message.type=FIFO",
  '{"counter":"x"}',
  "7F00000100002A9F0000000000000000",
  "7F00000100002A9F00000000FFFFFFFF",
  {},
  true,
];
const AMOUNTS: readonly unknown[] = [
  undefined,
  "0",
  "1",
  "-1",
  "2147483647",
  "-2147483648",
  "2147483648",
  "9007199254740993",
  "9223372036854775807",
  "-9223372036854775808",
  "1.5",
  "x",
  "",
  3,
  null,
];
const BODIES: readonly unknown[] = [
  Buffer.from(""),
  Buffer.from("{"),
  Buffer.from("null"),
  Buffer.from("[1]"),
  Buffer.from('"x"'),
  Buffer.from("{1:2}"),
  Buffer.from('{{"a":1}:2}'),
  Buffer.from([0xff, 0xfe, 0]),
  {},
  { groupName: "__proto__", attributes: { __proto__: "x" } },
  { groupName: "readers", retryQueueNums: "x" },
  { topicConfigList: [{}, null, 7] },
  { topicConfigList: [{ topicName: "__proto__", readQueueNums: 1e300 }] },
  { groupConfigList: {} },
  { clientID: "c", consumerDataSet: [{ groupName: "a/b", subscriptionDataSet: [{ topic: "../x" }] }] },
  { clientID: "", consumerDataSet: [{ groupName: "__proto__", subscriptionDataSet: [] }], producerDataSet: [{}] },
  { mqSet: [{ brokerName: "", queueId: -1, topic: "" }], clientId: "", consumerGroup: "" },
  { subscriptionData: { topic: "orders", subString: "||", expressionType: "TAG" } },
];

/** The same numbers in each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("hostile requests are answered", async () => {
  const next = random(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  for (let round = 0; round < 60; round++) {
    // What the round before has deleted.
    await rig.topic("orders", 2);
    await rig.groups.put(groupConfig("readers"));
    rig.offsets.commit("readers", "orders", 0, 1);
    for (const [code] of handlers) {
      const ext: Record<string, unknown> = { topicFilterType: "SINGLE_TAG" };
      for (const name of NAMES) ext[name] = next() < 0.5 ? pick(["orders", "readers", "one"]) : pick(TEXTS);
      for (const name of NUMBERS) ext[name] = next() < 0.5 ? pick(["0", "1"]) : pick(AMOUNTS);
      const answer = await rig.ask(code, { ext, body: pick(BODIES) });
      const said = JSON.stringify({ code, ext, remark: answer.remark });
      expect(Number.isSafeInteger(answer.code), said).toBe(true);
      expect(rig.failures.splice(0), said).toEqual([]);
    }
  }
  expect(rig.store.offsets("orders", 0).max).toBeLessThanOrEqual(3);
});
