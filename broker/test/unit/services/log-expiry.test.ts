/** Which files of the log go, and what is told of it. */
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Store } from "moraine";
import { expect, test, vi } from "vitest";
import { readOptions } from "../../../src/config/schema.ts";
import { LogExpiry } from "../../../src/services/log-expiry.ts";
import { storeOptions } from "../../../src/store-options.ts";
import { Logged, newFolder, open } from "./rig.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Of a message, and so of three of them a file. */
const BODY = Buffer.alloc(300_000);

interface Rig {
  readonly store: Store;
  readonly expiry: LogExpiry;
  readonly log: Logged;
  usedPercent: number;
  now: number;
  /** Milliseconds by the clock that nobody sets. */
  elapsed: number;
  /** A minute later. */
  look(): Promise<void>;
}

async function rig(given: Readonly<Record<string, string>> = {}): Promise<Rig> {
  const made = { usedPercent: 10, elapsed: 0, now: Date.now() };
  const now = () => made.now;
  const store = await open(newFolder(), { clock: now });
  for (let count = 0; count < 60; count++) store.put({ topic: "orders", queueId: 0, body: BODY });
  const hour = String((new Date(made.now).getHours() + 12) % 24);
  const config = readOptions({ brokerName: "broker-a", deleteWhen: hour, ...given });
  const log = new Logged();
  const elapsed = () => made.elapsed;
  const usedPercent = async () => made.usedPercent;
  const expiry = new LogExpiry({ store, config, log, now, elapsed, usedPercent });
  const look = async () => {
    later(made, MINUTE_MS);
    await expiry.look();
  };
  return Object.assign(made, { store, expiry, log, look });
}

function later(clocks: { elapsed: number; now: number }, ms: number): void {
  clocks.elapsed += ms;
  clocks.now += ms;
}

test("by default no file goes for the room on the disk that is not old, but above 85 percent", () => {
  const retention = (given: Readonly<Record<string, string>>) =>
    storeOptions(readOptions({ brokerName: "broker-a", storePathRootDir: join("/", "x"), ...given })).retention;
  expect(retention({})).toEqual({ maxAgeMs: 72 * HOUR_MS, deleteHour: 4, diskRatio: 0.85 });
  expect(retention({ diskMaxUsedSpaceRatio: "10" })).toMatchObject({ diskRatio: 0.85 });
  expect(retention({ diskSpaceCleanForciblyRatio: "95" })).toMatchObject({ diskRatio: 0.95 });
  expect(retention({ cleanFileForciblyEnable: "false" })).toEqual({ maxAgeMs: 72 * HOUR_MS, deleteHour: 4 });
});

test("a disk that is rather full takes old files alone, so many at a time", async () => {
  const one = await rig();
  const { store, log } = one;
  one.usedPercent = 76;
  await one.look();
  expect(store.log.minOffset).toBe(0);
  expect(log.lines).toEqual([]);
  later(one, 73 * HOUR_MS);
  // Young again: what lies behind the old files stays.
  store.put({ topic: "orders", queueId: 0, body: BODY });
  one.usedPercent = 75;
  await one.look();
  expect(store.log.minOffset).toBe(0);
  one.usedPercent = 76;
  await one.look();
  expect(store.log.minOffset).toBe(10 * 1_048_576);
  for (let count = 0; count < 5; count++) await one.look();
  expect(store.offsets("orders", 0)).toMatchObject({ min: 60, max: 61 });
  expect(new Set(log.lines)).toEqual(new Set(["info: old files of the log were removed, as the disk is rather full"]));
});

test("a clock that leaps ahead makes no file old", async () => {
  const one = await rig();
  one.usedPercent = 80;
  one.now += 1000 * HOUR_MS;
  await one.look();
  expect(one.store.log.minOffset).toBe(0);
});

test("what the store removes whatever its age is a warning, what is old is none", async () => {
  const one = await rig();
  await one.store.expire({ maxBytes: 10_000_000 });
  await one.look();
  await one.look();
  const removed = "warn: files of the log were removed whatever their age: the disk is fuller than it may be";
  expect(one.log.lines).toEqual([removed]);

  const now = String(new Date().getHours());
  const inHour = await rig({ deleteWhen: now, diskMaxUsedSpaceRatio: "90" });
  await inHour.store.expire({ maxBytes: 10_000_000 });
  await inHour.look();
  expect(inHour.log.lines).toEqual(["info: old files of the log were removed"]);
  await inHour.store.expire({ maxBytes: 5_000_000 });
  inHour.usedPercent = 86;
  await inHour.look();
  expect(inHour.log.lines.at(-1)).toBe(removed);
});

test("what an administrator asks for is no warning, also to a look meanwhile, and all goes that is old", async () => {
  const one = await rig();
  const { store, expiry, log } = one;
  later(one, 73 * HOUR_MS);
  store.put({ topic: "orders", queueId: 0, body: BODY });
  const expire = store.expire.bind(store);
  let end = (): void => {};
  const ending = new Promise<void>((resolve) => {
    end = resolve;
  });
  store.expire = async (options) => {
    const expired = await expire(options);
    await ending;
    return expired;
  };
  const asked = expiry.removeOld();
  await vi.waitFor(() => expect(store.log.minOffset).toBeGreaterThan(0), { interval: 1, timeout: 10_000 });
  const looked = one.look();
  await turn();
  end();
  await Promise.all([asked, looked]);
  await one.look();
  // More than one call of the store takes.
  expect(store.offsets("orders", 0)).toMatchObject({ min: 60, max: 61 });
  expect(log.lines).toEqual(["info: expired files of the log were removed"]);
});

test("what the store has removed before an administrator asks is told", async () => {
  const { store, expiry, log } = await rig();
  await store.expire({ maxBytes: 10_000_000 });
  await expiry.removeOld();
  expect(log.lines).toEqual([
    "warn: files of the log were removed whatever their age: the disk is fuller than it may be",
    "info: expired files of the log were removed",
  ]);
});

test("where no file goes but for its age, none is said to", async () => {
  const one = await rig({ cleanFileForciblyEnable: "false" });
  one.usedPercent = 74;
  await one.store.expire({ maxBytes: 10_000_000 });
  await one.look();
  expect(one.log.lines).toEqual(["info: old files of the log were removed"]);
});
