/** What a peer that asks for much at once, and takes nothing, may cost: memory, and the others' time. */
import { StoreError } from "moraine";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { type MessageRig, openRig, PULL_FIELDS, pull, send, sendFields } from "./message-rig.ts";
import { FakeConnection } from "./rig.ts";

const BODY_BYTES = 500_000;
const REQUESTS = 400;
let one: MessageRig;

beforeEach(async () => {
  one = await openRig();
  await one.rig.topic("orders");
  one.rig.store.put({ topic: "orders", queueId: 0, keys: ["k"], body: Buffer.alloc(BODY_BYTES) });
});

afterEach(async () => {
  one.heldPulls.stop();
  await one.rig.close();
});

/** A peer that takes nothing of what it is answered. */
function deaf(): { connection: FakeConnection; listen: () => void } {
  const connection = new FakeConnection();
  let listen = () => {};
  const taken = new Promise<void>((resolve) => {
    listen = () => {
      connection.waiting = undefined;
      resolve();
    };
  });
  connection.waiting = taken;
  return { connection, listen };
}

const offset = () => String(one.rig.store.get("orders", 0, 0).messages[0]?.physicalOffset);
const requests: readonly (readonly [name: string, code: number, ext: () => Record<string, unknown>])[] = [
  ["pull", RequestCode.PULL_MESSAGE, () => PULL_FIELDS],
  ["view", RequestCode.VIEW_MESSAGE_BY_ID, () => ({ topic: "orders", offset: offset() })],
  [
    "query",
    RequestCode.QUERY_MESSAGE,
    () => ({ topic: "orders", key: "k", maxNum: "64", beginTimestamp: "0", endTimestamp: "9223372036854775807" }),
  ],
];

test.each(requests)(
  "%s: of many requests at once few are read, and none for a peer that takes nothing",
  async (...given) => {
    const [, code, ext] = given;
    const { rig } = one;
    const asked = ext();
    const reads = [vi.spyOn(rig.store, "fetch"), vi.spyOn(rig.store, "fetchAt"), vi.spyOn(rig.store, "lookup")];
    const count = () => reads.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    const { connection, listen } = deaf();
    const refused = Array.from({ length: REQUESTS }, () => rig.ask(code, { ext: asked, connection }));
    await send(one);
    expect(count()).toBe(0);
    // Somebody else's are answered meanwhile.
    expect((await rig.ask(code, { ext: asked })).code).toBe(ResponseCode.SUCCESS);
    expect(count()).toBe(1);
    listen();
    const first = await Promise.race(refused);
    expect(first.code).toBe(ResponseCode.SUCCESS);
    expect(count()).toBeLessThan(10);
    for (const { code: answered } of await Promise.all(refused)) expect(answered).toBe(ResponseCode.SUCCESS);
    expect(count()).toBe(REQUESTS + 1);
  },
);

test("a send-back is read in its turn, too", async () => {
  const { rig } = one;
  const fetchAt = vi.spyOn(rig.store, "fetchAt");
  const ext = { offset: offset(), group: "readers", delayLevel: "0" };
  const { connection, listen } = deaf();
  const all = Array.from({ length: 20 }, () => rig.ask(RequestCode.CONSUMER_SEND_MSG_BACK, { ext, connection }));
  await send(one);
  expect(fetchAt).not.toHaveBeenCalled();
  listen();
  for (const { code } of await Promise.all(all)) expect(code).toBe(ResponseCode.SUCCESS);
});

test("expressions that are too long are refused, and nothing of them is kept", async () => {
  const subscription = Array.from({ length: 40_000 }, (_, i) => i).join("||");
  const answer = await pull(one, { subscription });
  expect(answer.code).toBe(ResponseCode.SUBSCRIPTION_PARSE_FAILED);
  expect(one.rig.consumers.subscription("readers", "orders")).toBeUndefined();
  expect(one.rig.failures).toEqual([]);
});

test("what the store refuses of a pull is the client's mistake, and no failure", async () => {
  vi.spyOn(one.rig.store, "fetch").mockRejectedValue(new StoreError("STORE_INVALID_ARGUMENT", "for a test"));
  expect((await pull(one)).code).toBe(ResponseCode.SUBSCRIPTION_PARSE_FAILED);
  expect(one.rig.failures).toEqual([]);
});

test("whatever a send names, nothing fails in a way that nobody thought of", async () => {
  const texts = ["", "x".repeat(70_000), "%RETRY%", "%LMQ%x", "a/b", "\u0000", "\ud800", "-1", "2147483648", "1e300"];
  for (const name of "abcdefghijklm") {
    for (const text of texts) {
      const ext = sendFields({ [name]: text }) as Record<string, unknown>;
      const { code } = await one.rig.ask(RequestCode.SEND_MESSAGE_V2, { ext, body: Buffer.from("x") });
      expect(Number.isSafeInteger(code), `${name}: ${text.slice(0, 20)}`).toBe(true);
      expect(one.rig.failures.splice(0), `${name}: ${text.slice(0, 20)}`).toEqual([]);
    }
  }
});
