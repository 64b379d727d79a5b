import { expect, test } from "vitest";
import { markProperties } from "../../../../src/processors/messages/property-marks.ts";
import { parseProperties, printProperties } from "../../../../src/protocol/message-properties.ts";

const marks = (...pairs: (readonly [string, string])[]) => markProperties(printProperties(pairs));

test("what the broker acts on is found, wherever it stands", () => {
  expect(marks()).toEqual({
    uniqKey: "",
    keys: "",
    delay: undefined,
    isTransaction: false,
    isTimer: false,
    isTimerOut: false,
    isWaiting: true,
    hasInnerNumber: false,
    hasLightQueues: false,
    hasBrokerProperty: false,
  });
  const all = marks(
    ["A", "b"],
    ["UNIQ_KEY", "U"],
    ["KEYS", "x y"],
    ["DELAY", "3"],
    ["WAIT", "false"],
    ["TRAN_MSG", "True"],
  );
  expect(all).toMatchObject({ uniqKey: "U", keys: "x y", delay: "3", isWaiting: false, isTransaction: true });
  for (const name of ["TIMER_DELIVER_MS", "TIMER_DELAY_SEC", "TIMER_DELAY_MS"]) {
    expect(marks([name, "1"]).isTimer).toBe(true);
  }
  for (const name of ["MSG_REGION", "TRACE_ON", "CLUSTER", "POP_CK"]) {
    expect(marks([name, "1"]).hasBrokerProperty).toBe(true);
  }
  expect(marks(["TIMER_OUT_MS", "1"], ["INNER_NUM", "2"])).toMatchObject({ isTimerOut: true, hasInnerNumber: true });
});

test("names are whole names, and values are no names", () => {
  expect(marks(["XDELAY", "3"], ["DELAYX", "3"], ["A", "DELAY"], ["TRAN_MS", "true"])).toMatchObject({
    delay: undefined,
    isTransaction: false,
  });
  expect(markProperties("A\u0001DELAY\u00013\u0002")).toMatchObject({ delay: undefined });
});

test("it reads a string as whoever reads the record does", () => {
  const pieces = [
    "",
    "\u0001",
    "\u0002",
    "DELAY",
    "DELAY\u0001",
    "3",
    "WAIT\u0001false",
    "TRAN_MSG\u0001true",
    "x\u0002",
  ];
  for (const a of pieces) {
    for (const b of pieces) {
      for (const c of pieces) {
        for (const d of pieces) {
          const text = a + b + c + d;
          const properties = parseProperties(text);
          expect(markProperties(text), JSON.stringify(text)).toMatchObject({
            delay: properties.get("DELAY"),
            isWaiting: (properties.get("WAIT") ?? "true").toLowerCase() === "true",
            isTransaction: properties.get("TRAN_MSG")?.toLowerCase() === "true",
          });
        }
      }
    }
  }
});
