import type { Store } from "moraine";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FlushWaits } from "../../../../src/processors/messages/flush-waits.ts";
import { configOf } from "../../tables/rig.ts";

/** A store whose syncs end when the test says so. */
class SlowStore {
  readonly waiting: { readonly upTo: number; resolve(offset: number): void; reject(error: Error): void }[] = [];

  flush(upTo: number): Promise<number> {
    return new Promise((resolve, reject) => this.waiting.push({ upTo, resolve, reject }));
  }
}

let store: SlowStore;
let waits: FlushWaits;

beforeEach(() => {
  vi.useFakeTimers();
  store = new SlowStore();
  waits = new FlushWaits(store as unknown as Store, configOf({ syncFlushTimeout: "1000" }));
});

afterEach(() => vi.useRealTimers());

test("each is told whether the disk was fast enough for it", async () => {
  const first = waits.until(100);
  await vi.advanceTimersByTimeAsync(600);
  const second = waits.until(200);
  store.waiting[0]?.resolve(100);
  expect(await first).toBe(true);
  await vi.advanceTimersByTimeAsync(1100);
  expect(await second).toBe(false);
  // What comes too late changes nothing.
  store.waiting[1]?.resolve(200);
  const third = waits.until(300);
  store.waiting[2]?.resolve(300);
  expect(await third).toBe(true);
});

test("nobody waits for another one's time", async () => {
  const told: string[] = [];
  const first = waits.until(1).then((isDurable) => told.push(`first ${isDurable}`));
  await vi.advanceTimersByTimeAsync(500);
  const second = waits.until(2).then((isDurable) => told.push(`second ${isDurable}`));
  await vi.advanceTimersByTimeAsync(600);
  expect(told).toEqual(["first false"]);
  await vi.advanceTimersByTimeAsync(500);
  expect(told).toEqual(["first false", "second false"]);
  await Promise.all([first, second]);
});

test("many settled ones are forgotten while one is waited for", async () => {
  const last = Array.from({ length: 5000 }, (_, i) => waits.until(i)).at(-1);
  for (const { resolve, upTo } of store.waiting) if (upTo < 4999) resolve(upTo);
  store.waiting.at(-1)?.resolve(4999);
  expect(await last).toBe(true);
});

test("a failing disk is an error", async () => {
  const wait = waits.until(1);
  store.waiting[0]?.reject(new Error("no disk"));
  await expect(wait).rejects.toThrow("no disk");
});
