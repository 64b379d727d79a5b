import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { MinuteLooks } from "../../../src/services/minute-looks.ts";
import { Logged, ManualClock } from "./rig.ts";

test("each minute all looks are made, also where one fails, until it is stopped", async () => {
  const clock = new ManualClock();
  const log = new Logged();
  const seen: string[] = [];
  const looks = new MinuteLooks({
    looks: [
      async () => {
        seen.push("first");
        if (seen.length === 1) throw new Error("for a test");
      },
      () => void seen.push("second"),
    ],
    log,
    clock,
  });
  looks.start();
  const minute = async () => {
    while (clock.wanted.length === 0) await turn();
    clock.advance(60_000);
    while (clock.wanted.length === 0) await turn();
  };
  await turn();
  clock.advance(59_999);
  await turn();
  expect(seen).toEqual([]);
  clock.advance(1);
  await minute();
  expect(seen).toEqual(["first", "second", "first", "second"]);
  expect(log.lines).toEqual(["warn: what is looked at each minute could not be seen; it is tried again"]);
  await looks.stop();
  clock.advance(600_000);
  await turn();
  expect(seen).toHaveLength(4);
});
