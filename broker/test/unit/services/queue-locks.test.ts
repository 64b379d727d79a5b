import { expect, test } from "vitest";
import { QueueLocks } from "../../../src/services/queue-locks.ts";
import { ManualClock } from "./rig.ts";

const queue = (queueId: number, topic = "t", brokerName = "b") => ({ brokerName, topic, queueId });

function locks(maximum?: number) {
  const clock = new ManualClock();
  return { clock, locks: new QueueLocks({ now: () => clock.now(), maximum }) };
}

test("a queue is one client's until it gives it back", () => {
  const { locks: all } = locks();
  expect(all.lock("g", "a", [queue(0), queue(1)])).toEqual([queue(0), queue(1)]);
  expect(all.lock("g", "b", [queue(1), queue(2)])).toEqual([queue(2)]);
  expect(all.lock("h", "b", [queue(1)])).toEqual([queue(1)]);
  all.unlock("g", "b", [queue(1)]);
  expect(all.lock("g", "b", [queue(1)])).toEqual([]);
  all.unlock("g", "a", [queue(1)]);
  expect(all.lock("g", "b", [queue(1)])).toEqual([queue(1)]);
});

test("a lock lives a minute from its last renewal", () => {
  const { clock, locks: all } = locks();
  all.lock("g", "a", [queue(0)]);
  clock.advance(50_000);
  expect(all.lock("g", "a", [queue(0)])).toHaveLength(1);
  clock.advance(50_000);
  expect(all.lock("g", "b", [queue(0)])).toHaveLength(0);
  clock.advance(10_001);
  expect(all.lock("g", "b", [queue(0)])).toHaveLength(1);
  expect(all.lock("g", "a", [queue(0)])).toHaveLength(0);
});

test("a group consumes in order while any of its locks lives", () => {
  const { clock, locks: all } = locks();
  expect(all.isLockAllExpired("g")).toBe(true);
  all.lock("g", "a", [queue(0), queue(1)]);
  expect(all.isLockAllExpired("g")).toBe(false);
  expect(all.isLockAllExpired("h")).toBe(true);
  clock.advance(30_000);
  all.lock("g", "a", [queue(1)]);
  clock.advance(40_000);
  expect(all.isLockAllExpired("g")).toBe(false);
  clock.advance(60_000);
  expect(all.isLockAllExpired("g")).toBe(true);
});

test("a queue can be taken from whoever has it", () => {
  const { locks: all } = locks();
  all.lock("g", "a", [queue(0), queue(1)]);
  all.clear("g", "t", 0);
  expect(all.lock("g", "b", [queue(0), queue(1)])).toEqual([queue(0)]);
});

test("names that look alike are different queues", () => {
  const { locks: all } = locks();
  const alike = [queue(0, "t", "b"), queue(0, "t", "c"), queue(0, "u", "b"), queue(1, "t", "b")];
  expect(all.lock("g", "a", alike)).toHaveLength(4);
  expect(all.lock("g", "b", alike)).toHaveLength(0);
});

test("there are never more than so many, and room comes back when they expire", () => {
  const { clock, locks: all } = locks(2000);
  const many = Array.from({ length: 3000 }, (_, i) => queue(i));
  expect(all.lock("g", "a", many)).toHaveLength(2000);
  expect(all.lock("h", "b", [queue(0)])).toHaveLength(0);
  clock.advance(60_001);
  expect(all.lock("h", "b", [queue(0)])).toHaveLength(1);
  expect(all.isLockAllExpired("g")).toBe(true);
});

test("one connection leaves room for others, and gets it back with what it gives back", () => {
  const all = new QueueLocks({ perConnection: 2 });
  expect(all.lock("g", "a", [queue(0), queue(1), queue(2)], 7)).toEqual([queue(0), queue(1)]);
  expect(all.lock("g", "b", [queue(2)], 8)).toEqual([queue(2)]);
  all.unlock("g", "a", [queue(0)]);
  expect(all.lock("g", "a", [queue(0), queue(3)], 7)).toEqual([queue(0)]);
  // Renewed by another connection of the client, they are that one's.
  expect(all.lock("g", "a", [queue(0)], 9)).toEqual([queue(0)]);
  expect(all.lock("g", "a", [queue(4), queue(5)], 7)).toEqual([queue(4)]);
});
