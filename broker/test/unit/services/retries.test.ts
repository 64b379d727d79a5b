import { describe, expect, test } from "vitest";
import { parseProperties, printProperties } from "../../../src/protocol/message-properties.ts";
import { delaysOf, realPlace, waitingPlace } from "../../../src/services/delay-levels.ts";
import { isDeadLetter, maxReconsumeTimes, sendBack } from "../../../src/services/retries.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";

const group = groupConfig("g");
const NEW = 479;
const OLD = 100;

describe("a message that is sent back", () => {
  const message = { topic: "orders", reconsumeTimes: 0, properties: new Map([["TAGS", "A"]]), offsetMsgId: "ID0" };
  const request = { group, delayLevel: 0, maxReconsumeTimes: undefined, clientVersion: NEW };

  test("goes to the retry topic, later each time", () => {
    const back = sendBack(message, request);
    expect(back).toMatchObject({ topic: "%RETRY%g", isDeadLetter: false, queues: 1, delayLevel: 3, reconsumeTimes: 1 });
    expect(Object.fromEntries(back.properties)).toEqual({
      TAGS: "A",
      RETRY_TOPIC: "orders",
      ORIGIN_MESSAGE_ID: "ID0",
      WAIT: "false",
      DELAY: "3",
    });
    expect(sendBack({ ...message, reconsumeTimes: 5 }, request)).toMatchObject({ delayLevel: 8, reconsumeTimes: 6 });
  });

  test("keeps its first topic and id", () => {
    const properties = new Map([
      ["RETRY_TOPIC", "first"],
      ["ORIGIN_MESSAGE_ID", "ID"],
    ]);
    const back = sendBack({ ...message, topic: "%RETRY%g", properties, reconsumeTimes: 1 }, request);
    expect(back.properties.get("RETRY_TOPIC")).toBe("first");
    expect(back.properties.get("ORIGIN_MESSAGE_ID")).toBe("ID");
    expect(properties.size).toBe(2);
  });

  test("waits as long as the consumer says", () => {
    expect(sendBack(message, { ...request, delayLevel: 7 })).toMatchObject({ delayLevel: 7, isDeadLetter: false });
  });

  test.each([
    ["after the last retry of the group", { ...message, reconsumeTimes: 16 }, request, true],
    ["not before it", { ...message, reconsumeTimes: 15 }, request, false],
    ["when the consumer wants no retry", message, { ...request, delayLevel: -1 }, true],
    ["after the client's last retry", { ...message, reconsumeTimes: 2 }, { ...request, maxReconsumeTimes: 2 }, true],
    [
      "not by what an old client says",
      { ...message, reconsumeTimes: 2 },
      { ...request, maxReconsumeTimes: 2, clientVersion: OLD },
      false,
    ],
  ])("is a dead letter %s", (_, given, asked, expected) => {
    const back = sendBack(given, asked);
    expect(back.isDeadLetter).toBe(expected);
    expect(back.topic).toBe(expected ? "%DLQ%g" : "%RETRY%g");
    if (expected) expect([back.delayLevel, back.queues, back.properties.get("DELAY")]).toEqual([0, 1, "0"]);
  });
});

describe("a message that a client sends to its retry topic", () => {
  const send = { group, reconsumeTimes: 16, maxReconsumeTimes: undefined, clientVersion: NEW, isOrderly: false };

  test("is a dead letter behind the last retry, and in a group that consumes in order", () => {
    expect(isDeadLetter(send)).toBe(false);
    expect(isDeadLetter({ ...send, reconsumeTimes: 17 })).toBe(true);
    expect(isDeadLetter({ ...send, reconsumeTimes: 0, isOrderly: true })).toBe(true);
    expect(isDeadLetter({ ...send, maxReconsumeTimes: 3 })).toBe(true);
    expect(maxReconsumeTimes(group, 3, OLD)).toBe(16);
  });
});

describe("delay levels", () => {
  const delays = delaysOf("1s 5m 2h 1d");

  test("have times", () => {
    expect(delays).toEqual([1000, 300_000, 7_200_000, 86_400_000]);
  });

  test("put a message into the queue of its level, with the place where it goes", () => {
    const properties = printProperties([
      ["TAGS", "A"],
      ["DELAY", "9"],
      ["TIMER_DELAY_SEC", "7"],
      ["REAL_QID", "8"],
    ]);
    const placed = waitingPlace({ topic: "orders", queueId: 3, properties }, 4);
    expect(placed).toMatchObject({ topic: "SCHEDULE_TOPIC_XXXX", queueId: 3 });
    expect(Object.fromEntries(parseProperties(placed.properties))).toEqual({
      TAGS: "A",
      DELAY: "4",
      REAL_TOPIC: "orders",
      REAL_QID: "3",
    });
    expect(realPlace(parseProperties(placed.properties))).toEqual({ topic: "orders", queueId: 3 });
  });

  test("leave a message alone that asks for none", () => {
    const message = { topic: "orders", queueId: 3, properties: "" };
    expect(waitingPlace(message, 0)).toBe(message);
  });

  test.each([
    [{ REAL_TOPIC: "t" }],
    [{ REAL_QID: "1" }],
    [{ REAL_TOPIC: "t", REAL_QID: "-1" }],
    [{ REAL_TOPIC: "RMQ_SYS_TRANS_HALF_TOPIC", REAL_QID: "0" }],
  ])("lead nowhere from %j", (properties) => {
    expect(realPlace(new Map(Object.entries(properties)))).toBeUndefined();
  });
});
