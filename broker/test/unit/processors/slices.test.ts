import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { consumeStatsHandlers } from "../../../src/processors/consume-stats.ts";
import { topicHandlers } from "../../../src/processors/topics.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { Rig } from "./rig.ts";

const QUEUES = 50;
let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve([...consumeStatsHandlers(rig), ...topicHandlers(rig)]);
  await rig.topic("orders", QUEUES);
  rig.groups.find("readers");
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    rig.put("orders", queueId);
    rig.offsets.commit("readers", "orders", queueId, 1);
  }
});

afterEach(() => rig.close());

test.each([
  ["all groups", RequestCode.GET_BROKER_CONSUME_STATS, { isOrder: "false" }],
  ["one group", RequestCode.GET_CONSUME_STATS, { consumerGroup: "readers" }],
  ["the times of one", RequestCode.QUERY_CONSUME_TIME_SPAN, { topic: "orders", group: "readers" }],
  ["a topic", RequestCode.GET_TOPIC_STATS_INFO, { topic: "orders" }],
])("others are served while the queues of %s are looked at", async (_, code, ext) => {
  const { timeOf } = rig.store;
  let looks = 0;
  // A disk that takes its time.
  vi.spyOn(rig.store, "timeOf").mockImplementation((...given) => {
    looks++;
    const until = performance.now() + 1;
    while (performance.now() < until);
    return timeOf.apply(rig.store, given);
  });
  const answer = rig.ask(code, { ext });
  await turn();
  expect(looks).toBeGreaterThan(0);
  expect(looks).toBeLessThan(QUEUES);
  expect((await answer).code).toBe(ResponseCode.SUCCESS);
  expect(looks).toBeGreaterThanOrEqual(QUEUES);
});
