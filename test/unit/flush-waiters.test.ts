import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { FlushWaiters } from "../../src/flush-waiters.ts";

/** Waiters, the requests that they have made, and the offsets in the order in which they were settled. */
function waiters() {
  const seen = { requests: 0, settled: [] as number[] };
  const line = new FlushWaiters(() => {
    seen.requests++;
  }, 0);
  const wait = (offset: number): void => {
    line.add(
      offset,
      () => seen.settled.push(offset),
      () => seen.settled.push(-offset),
    );
  };
  return { line, seen, wait };
}

const microtask = (): Promise<void> => Promise.resolve();

describe("those who wait for a flush", () => {
  test("share one request when they come together", async () => {
    const { line, seen, wait } = waiters();
    for (let offset = 1; offset <= 1000; offset++) wait(offset);
    expect(seen.requests).toBe(0);
    await microtask();
    expect(seen.requests).toBe(1);
    wait(1001);
    await microtask();
    expect(seen.requests).toBe(2);
    line.settle(1001);
    expect(seen.settled).toHaveLength(1001);
  });

  test("are settled as far as the durable position reaches", () => {
    const { line, seen, wait } = waiters();
    for (const offset of [10, 20, 30]) wait(offset);
    line.settle(20);
    expect(seen.settled).toEqual([10, 20]);
    expect(line).toMatchObject({ waiting: 1, durableOffset: 20 });
    line.settle(15);
    expect(line.durableOffset).toBe(20);
    line.settle(30);
    expect(seen.settled).toEqual([10, 20, 30]);
  });

  test("are settled in the order of their offsets, whatever order they came in", () => {
    const { line, seen, wait } = waiters();
    for (const offset of [50, 10, 40, 10, 30, 20]) wait(offset);
    line.settle(25);
    wait(26);
    line.settle(100);
    expect(seen.settled).toEqual([10, 10, 20, 26, 30, 40, 50]);
  });

  test("for what is durable already are settled at once, without a request", async () => {
    const { line, seen, wait } = waiters();
    line.settle(10);
    wait(10);
    expect(seen.settled).toEqual([10]);
    await microtask();
    expect(seen.requests).toBe(0);
  });

  test("are all rejected when a sync fails", async () => {
    const { line, seen, wait } = waiters();
    for (const offset of [1, 2, 3]) wait(offset);
    line.settle(1);
    line.fail(new StoreError("STORE_POISONED", "broken"));
    expect(seen.settled).toEqual([1, -2, -3]);
    expect(line.waiting).toBe(0);
    await microtask();
    expect(seen.requests).toBe(0);
  });

  test("are rejected when the request itself fails", async () => {
    const line = new FlushWaiters(() => {
      throw new StoreError("STORE_CLOSED", "closed");
    }, 0);
    await expect(line.wait(1)).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });

  test("come and go in great number without the line growing", () => {
    const { line, seen, wait } = waiters();
    wait(1_000_000);
    for (let offset = 1; offset <= 20_000; offset++) {
      wait(offset);
      line.settle(offset);
    }
    expect(seen.settled).toHaveLength(20_000);
    expect(line.waiting).toBe(1);
    line.settle(1_000_000);
  });
});
