import { expect, test, vi } from "vitest";
import { limitedLog } from "../../../src/transport/limited-log.ts";
import { KeptLog } from "./peer.ts";

test("of warnings and of errors so many are written in ten seconds, and how many were left out is said then", () => {
  let now = 1000;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
  const kept = new KeptLog();
  const log = limitedLog(kept);
  const count = (level: string) => kept.lines.filter((line) => line.level === level).length;
  for (let i = 0; i < 100; i++) log.warn({ i }, "a peer's");
  log.error({ mine: true }, "ours");
  for (let i = 0; i < 30; i++) log.info({ i }, "as many as there are");
  expect([count("warn"), count("error"), count("info")]).toEqual([20, 1, 30]);
  expect(kept.lines.find(({ level }) => level === "error")?.facts).toEqual({ mine: true });
  now += 10_000;
  log.error({}, "ours");
  log.warn({}, "a peer's");
  log.warn({}, "a peer's");
  expect(kept.lines.slice(-3).map(({ facts }) => facts)).toEqual([{}, { leftOut: 80 }, {}]);
  clock.mockRestore();
});
