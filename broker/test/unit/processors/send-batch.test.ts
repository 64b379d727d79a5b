import { afterEach, beforeEach, expect, test } from "vitest";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import {
  type MessageRig,
  messages,
  openRig,
  type Properties,
  propertiesOf,
  sendFields,
  wireMessage,
} from "./message-rig.ts";
import type { Answer } from "./rig.ts";

let one: MessageRig;

beforeEach(async () => {
  one = await openRig();
  await one.rig.topic("orders");
});

afterEach(() => one.rig.close());

function sendBatch(bodies: readonly Buffer[], given: object = {}, properties: Properties = {}): Promise<Answer> {
  const ext = sendFields({ m: "true", e: "1", ...given }, properties) as Record<string, unknown>;
  return one.rig.ask(RequestCode.SEND_BATCH_MESSAGE, { ext, body: Buffer.concat(bodies) });
}

test("messages of a batch stand one behind the other, each with its own properties", async () => {
  const answer = await sendBatch([
    wireMessage("one", { UNIQ_KEY: "A", TAGS: "red" }),
    wireMessage("two", { UNIQ_KEY: "B" }),
    wireMessage("three"),
  ]);
  const stored = messages(one, "orders", 1);
  expect(answer).toMatchObject({
    code: ResponseCode.SUCCESS,
    ext: { queueId: 1, queueOffset: 0, msgId: stored.map(({ offsetMsgId }) => offsetMsgId).join(",") },
  });
  expect(stored.map(({ body }) => Buffer.from(body).toString())).toEqual(["one", "two", "three"]);
  expect(propertiesOf(stored[0])).toMatchObject({ UNIQ_KEY: "A", TAGS: "red" });
  expect(one.rig.store.lookup("orders", "B")).toHaveLength(1);
  expect((await sendBatch([wireMessage("four")])).ext).toMatchObject({ queueOffset: 3 });
});

test("a batch is what the header says, not the code", async () => {
  const ext = sendFields({ m: "true" }) as Record<string, unknown>;
  const body = Buffer.concat([wireMessage("one"), wireMessage("two")]);
  expect((await one.rig.ask(RequestCode.SEND_MESSAGE_V2, { ext, body })).code).toBe(ResponseCode.SUCCESS);
  expect(messages(one, "orders")).toHaveLength(2);
});

test("what batches cannot have is refused, whichever message has it", async () => {
  const plain = wireMessage("plain");
  const code = async (...given: Parameters<typeof sendBatch>) => (await sendBatch(...given)).code;
  for (const properties of [
    { DELAY: "1" },
    { TIMER_DELIVER_MS: "5" },
    { TIMER_DELAY_MS: "5" },
    { TIMER_DELAY_SEC: "5" },
    { TRAN_MSG: "true" },
  ]) {
    expect(await code([plain, wireMessage("special", properties)])).toBe(ResponseCode.MESSAGE_ILLEGAL);
    expect(await code([plain], {}, properties)).toBe(ResponseCode.MESSAGE_ILLEGAL);
  }
  expect(await code([plain], { f: "4" })).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(await code([plain], { f: "128" })).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(await code([plain], { b: "%RETRY%readers" })).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(await code([])).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(one.rig.store.topics()).toEqual([]);
});

test("lengths that lie are refused, and nothing is stored", async () => {
  const lying = (at: number, value: number) => {
    const message = wireMessage("body", { TRAN_MSG: "true", A: "b" });
    message.writeInt32BE(value, at);
    return message;
  };
  const plain = wireMessage("plain");
  for (const value of [-1, 0, 3, 21, 1000, 2_147_483_647]) {
    expect((await sendBatch([plain, lying(0, value)])).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
    expect((await sendBatch([plain, lying(16, value)])).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
  }
  const short = wireMessage("body", { A: "b" });
  expect((await sendBatch([plain, short.subarray(0, short.length - 1)])).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
  expect(one.rig.store.topics()).toEqual([]);
});

test("a topic with batch queues keeps a batch as one record", async () => {
  await one.rig.topics.put(topicConfig("bulk", 1, { attributes: { "queue.type": "BatchCQ" } }));
  const bodies = [wireMessage("one"), wireMessage("two")];
  const answer = await sendBatch(bodies, { b: "bulk", e: "0" }, { UNIQ_KEY: "C0FFEE" });
  expect(answer).toMatchObject({ code: ResponseCode.SUCCESS, ext: { batchUniqId: "C0FFEE", queueOffset: 0 } });
  const [message, ...others] = messages(one, "bulk");
  expect(others).toEqual([]);
  expect(message?.innerBatch).toBe(true);
  expect(propertiesOf(message)).toMatchObject({ INNER_NUM: "2", UNIQ_KEY: "C0FFEE", CLUSTER: "DefaultCluster" });
  expect((await sendBatch(bodies, { b: "bulk", e: "0" })).ext).toMatchObject({ queueOffset: 2 });
});

test("no way leads to light queues", async () => {
  const light = { INNER_MULTI_DISPATCH: "%LMQ%x" };
  await one.rig.topics.put(topicConfig("batches", 1, { attributes: { "queue.type": "BatchCQ" } }));
  const inner = { m: "false", e: "0", f: "128", b: "batches" };
  for (const answer of [
    await sendBatch([wireMessage("one")], {}, light),
    await sendBatch([wireMessage("one", light)]),
    await sendBatch([wireMessage("one")], { b: "batches", e: "0" }, light),
    await sendBatch([wireMessage("one", light)], inner),
  ]) {
    expect([answer.code, answer.remark]).toEqual([1, expect.stringContaining("this broker has no light queues")]);
  }
  expect(one.rig.store.topics()).toEqual([]);
});

test("a batch that is sent as one message has none that is delayed, timed or of a transaction either", async () => {
  await one.rig.topics.put(topicConfig("batches", 1, { attributes: { "queue.type": "BatchCQ" } }));
  for (const special of [{ DELAY: "1" }, { TIMER_DELAY_SEC: "5" }, { TRAN_MSG: "true" }]) {
    const answer = await sendBatch([wireMessage("one", special)], { m: "false", e: "0", f: "128", b: "batches" });
    expect(answer.code).toBe(ResponseCode.MESSAGE_ILLEGAL);
  }
});

test("a batch is no larger than a message may be", async () => {
  Object.assign(one.rig.config, { maxMessageSize: 100 });
  expect((await sendBatch([wireMessage("x".repeat(50))])).code).toBe(ResponseCode.SUCCESS);
  const twice = [wireMessage("x".repeat(50)), wireMessage("x".repeat(50))];
  expect((await sendBatch(twice)).code).toBe(ResponseCode.MESSAGE_ILLEGAL);
});
