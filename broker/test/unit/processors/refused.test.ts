import { afterEach, beforeEach, expect, test } from "vitest";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { type MessageRig, openRig } from "./message-rig.ts";

let one: MessageRig;

beforeEach(async () => {
  one = await openRig();
});

afterEach(() => one.rig.close());

test("what is not built is refused with RocketMQ's code and a sentence", async () => {
  for (const [name, sentence] of [
    ["END_TRANSACTION", "has no transactions"],
    ["POP_MESSAGE", "has no POP"],
    ["ACK_MESSAGE", "has no POP"],
    ["AUTH_CREATE_USER", "has no users"],
    ["GET_TIMER_METRICS", "has no timers"],
  ] as const) {
    const { code, remark } = await one.rig.ask(RequestCode[name]);
    expect(code).toBe(ResponseCode.REQUEST_CODE_NOT_SUPPORTED);
    expect(remark).toContain(` request type ${RequestCode[name]} not supported: this broker ${sentence}`);
  }
  expect((await one.rig.ask(RequestCode.RECALL_MESSAGE)).code).toBe(ResponseCode.NO_PERMISSION);
});
