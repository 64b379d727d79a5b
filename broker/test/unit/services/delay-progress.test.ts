/** When it is noted how far delayed messages have come. */
import { setImmediate as turn } from "node:timers/promises";
import { StoreError } from "moraine";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { delayRig, putDelayed } from "./delay-rig.ts";

const LEVELS = "1s 5s";

// The timer of the notes; messages come by a clock of their own.
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** Until something is so. The test's own time goes on. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

test("progress is noted a second after a delivery, while deliveries go on", async () => {
  const { store, clock, service, offsets } = await delayRig(LEVELS);
  const flush = vi.spyOn(store, "flush");
  for (const level of [1, 2]) putDelayed(store, "x", { level });
  service.start();
  await until(() => clock.wanted.length === 2);
  for (const [level, ms] of [
    [1, 1000],
    [2, 4000],
  ] as const) {
    flush.mockClear();
    clock.advance(ms);
    await until(() => service.progress()[level - 1]?.delivered === 1);
    vi.advanceTimersByTime(999);
    await turn();
    expect(flush).not.toHaveBeenCalled();
    expect(offsets.get(level)).toBe(0);
    vi.advanceTimersByTime(1);
    await until(() => offsets.get(level) === 1);
    expect(flush).toHaveBeenCalledExactlyOnceWith(store.log.endOffset);
  }
  await service.stop();
});

test("progress that could not be noted, as what was delivered was not safe yet, is noted the next time", async () => {
  const { store, clock, service, offsets, log } = await delayRig(LEVELS);
  const flush = vi.spyOn(store, "flush").mockRejectedValueOnce(new StoreError("STORE_IO", "for a test"));
  putDelayed(store, "x");
  clock.advance(1000);
  service.start();
  await until(() => service.progress()[0]?.delivered === 1);
  vi.advanceTimersByTime(1000);
  await until(() => log.lines.length > 0);
  expect(log.lines).toEqual([
    "error: progress of delayed messages could not be noted; they may be delivered once more",
  ]);
  expect(flush).toHaveBeenCalledTimes(1);
  expect(offsets.get(1)).toBe(0);
  await service.stop();
  expect(flush).toHaveBeenCalledTimes(2);
  expect(offsets.get(1)).toBe(1);
});

test("progress that could not be noted is told no more often than it is tried", async () => {
  const { store, clock, service, offsets, log } = await delayRig(LEVELS);
  vi.spyOn(store, "flush").mockRejectedValue(new StoreError("STORE_POISONED", "for a test"));
  putDelayed(store, "x");
  clock.advance(1000);
  service.start();
  await until(() => service.progress()[0]?.delivered === 1);
  vi.advanceTimersByTime(600_000);
  await until(() => log.lines.length > 0);
  await turn();
  expect(vi.getTimerCount()).toBe(0);
  expect(log.lines).toHaveLength(1);
  await service.stop();
  expect(log.lines).toHaveLength(2);
  expect(offsets.get(1)).toBe(0);
});
