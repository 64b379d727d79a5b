import { afterEach, beforeEach, expect, test } from "vitest";
import { queueLockHandlers } from "../../../src/processors/queue-locks.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { Rig } from "./rig.ts";

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve(queueLockHandlers(rig));
  await rig.topic("orders");
});

afterEach(() => rig.close());

const queue = (queueId: number) => ({ brokerName: "broker-a", queueId, topic: "orders" });
const ask = (code: number, clientId: string, queueIds: readonly number[]) =>
  rig.ask(code, { body: { clientId, consumerGroup: "readers", mqSet: queueIds.map(queue), onlyThisBroker: false } });

test("a queue is one client's until it is given back", async () => {
  const first = await ask(RequestCode.LOCK_BATCH_MQ, "one", [0, 1]);
  expect(first.json).toEqual({ lockOKMQSet: [queue(0), queue(1)] });
  expect((await ask(RequestCode.LOCK_BATCH_MQ, "two", [1, 2])).json).toEqual({ lockOKMQSet: [queue(2)] });
  expect((await ask(RequestCode.UNLOCK_BATCH_MQ, "two", [1])).code).toBe(ResponseCode.SUCCESS);
  expect((await ask(RequestCode.LOCK_BATCH_MQ, "two", [1])).json).toEqual({ lockOKMQSet: [] });
  await ask(RequestCode.UNLOCK_BATCH_MQ, "one", [1]);
  expect((await ask(RequestCode.LOCK_BATCH_MQ, "two", [1])).text).toBe(
    '{"lockOKMQSet":[{"brokerName":"broker-a","queueId":1,"topic":"orders"}]}',
  );
  expect(rig.locks.isLockAllExpired("readers")).toBe(false);
});

test("a consumer may have ten thousand queues in one request, with names of usual lengths", async () => {
  const topic = "orders-of-a-shop-whose-name-is-rather-long-and-of-its-branches";
  await rig.topic(topic, 10_000);
  const mqSet = Array.from({ length: 10_000 }, (_, queueId) => ({ ...queue(queueId), topic }));
  const body = { clientId: "one", consumerGroup: "readers", mqSet, onlyThisBroker: false };
  expect(JSON.stringify(body).length).toBeGreaterThan(1_048_576);
  expect((await rig.ask(RequestCode.LOCK_BATCH_MQ, { body })).json).toEqual({ lockOKMQSet: mqSet });
  expect((await rig.ask(RequestCode.UNLOCK_BATCH_MQ, { body })).code).toBe(ResponseCode.SUCCESS);
});

test("what is no lock request is refused", async () => {
  for (const body of ["[]", '{"mqSet":{}}', '{"mqSet":[{"queueId":"x"}]}', '{"mqSet":[1]}']) {
    const answer = await rig.ask(RequestCode.LOCK_BATCH_MQ, { body: Buffer.from(body) });
    expect(answer.code).toBe(ResponseCode.SYSTEM_ERROR);
  }
});

test("queues that there are not, and names that are too long, are kept for nobody", async () => {
  expect((await ask(RequestCode.LOCK_BATCH_MQ, "one", [3, 4, -1, 2_147_483_647])).json).toEqual({
    lockOKMQSet: [queue(3)],
  });
  const body = (given: object) => ({ clientId: "one", consumerGroup: "readers", mqSet: [queue(0)], ...given });
  const { INVALID_PARAMETER, SUCCESS } = ResponseCode;
  for (const [given, code] of [
    [{ clientId: "x".repeat(513) }, INVALID_PARAMETER],
    [{ consumerGroup: "x".repeat(256) }, INVALID_PARAMETER],
    [
      {
        mqSet: [
          { ...queue(0), brokerName: "x".repeat(256) },
          { ...queue(0), topic: "bills" },
        ],
      },
      SUCCESS,
    ],
  ] as const) {
    const answer = await rig.ask(RequestCode.LOCK_BATCH_MQ, { body: body(given) });
    expect(answer.code).toBe(code);
    if (code === SUCCESS) expect(answer.json).toEqual({ lockOKMQSet: [] });
  }
});
