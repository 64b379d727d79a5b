import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { type MessageRig, messages, offsetOf, openRig, send } from "./message-rig.ts";

let one: MessageRig;

beforeEach(async () => {
  one = await openRig();
  await one.rig.topic("orders");
});

afterEach(() => one.rig.close());

const query = (given: object) =>
  one.rig.ask(RequestCode.QUERY_MESSAGE, {
    ext: { topic: "orders", maxNum: "10", beginTimestamp: "0", endTimestamp: "9223372036854775807", ...given },
  });
const view = (offset: string) => one.rig.ask(RequestCode.VIEW_MESSAGE_BY_ID, { ext: { topic: "orders", offset } });
const bytes = ({ body }: { body?: unknown }) => Buffer.concat([body].flat() as Uint8Array[]);

test("messages are found by key, the newest first", async () => {
  await send(one, {}, { KEYS: "a b" });
  await send(one, {}, { KEYS: "b c" });
  const [first, second] = messages(one, "orders");
  const answer = await query({ key: "b" });
  expect(answer).toMatchObject({
    code: ResponseCode.SUCCESS,
    ext: {
      indexLastUpdateTimestamp: second?.storeTimestamp,
      indexLastUpdatePhyoffset: second?.physicalOffset,
    },
  });
  expect(bytes(answer)).toEqual(Buffer.concat([second?.raw, first?.raw] as Uint8Array[]));
  expect(bytes(await query({ key: "b", maxNum: "1" }))).toEqual(Buffer.from(second?.raw ?? []));
  expect(bytes(await query({ key: "a" }))).toEqual(Buffer.from(first?.raw ?? []));
});

test("messages are found by their unique key, however few are asked for", async () => {
  const key = "7F000001000018B4AAC2000000000009";
  await send(one, {}, { UNIQ_KEY: key });
  await send(one, {}, { UNIQ_KEY: key });
  const all = messages(one, "orders").reduce((sum, { size }) => sum + size, 0);
  expect(bytes(await query({ key, maxNum: "1", _UNIQUE_KEY_QUERY: "true" })).length).toBe(all);
});

test("what is not there is not found", async () => {
  await send(one, {}, { KEYS: "a" });
  const remark = "can not find message, maybe time range not correct";
  for (const given of [{ key: "b" }, { key: "a", endTimestamp: "5" }, { key: "a", topic: "bills" }]) {
    expect(await query(given)).toMatchObject({ code: ResponseCode.QUERY_NOT_FOUND, remark });
  }
  expect((await query({ key: "a", beginTimestamp: "-5" })).code).toBe(ResponseCode.SUCCESS);
  expect((await query({})).code).toBe(ResponseCode.INVALID_PARAMETER);
  expect((await query({ key: "a", topic: "" })).code).toBe(ResponseCode.INVALID_PARAMETER);
});

test("a message is found by its place in the log", async () => {
  const offset = offsetOf((await send(one)).ext?.msgId);
  expect(bytes(await view(String(offset)))).toEqual(Buffer.from(messages(one, "orders")[0]?.raw ?? []));
  for (const wrong of ["1", "-1", "1000000", "9223372036854775807"]) {
    expect(await view(wrong)).toMatchObject({
      code: ResponseCode.SYSTEM_ERROR,
      remark: expect.stringContaining("can not find message by the offset, "),
    });
  }
});

test("large messages are looked up a few at a time, and as many are answered as a client takes", async () => {
  const body = Buffer.alloc(900_000);
  for (let i = 0; i < 40; i++) one.rig.store.put({ topic: "orders", queueId: 0, keys: ["k"], body });
  Object.assign(one.rig.config, { maxMessageSize: 4_194_304 });
  const lookup = vi.spyOn(one.rig.store, "lookup");
  const answer = await query({ key: "k", maxNum: "64" });
  const size = 900_000 + 100;
  expect(bytes(answer).length).toBeGreaterThan(15 * size);
  expect(bytes(answer).length).toBeLessThan(16_777_216);
  const given = lookup.mock.results.map(({ value }) => (value as unknown[]).length);
  // No more than fit, and a step beyond.
  expect(Math.max(...given)).toBeLessThan(28);
  expect(lookup.mock.calls[0]?.[2]?.max).toBeLessThanOrEqual(7);
});

test("small messages are all answered, as many as there are", async () => {
  for (let i = 0; i < 30; i++) one.rig.store.put({ topic: "orders", queueId: 0, keys: ["k"], body: Buffer.from("x") });
  const all = messages(one, "orders").map(({ raw }) => raw);
  expect(bytes(await query({ key: "k", maxNum: "64" })).length).toBe(Buffer.concat(all).length);
  expect(bytes(await query({ key: "k", maxNum: "17" }))).toEqual(Buffer.concat(all.slice(-17).reverse()));
});
