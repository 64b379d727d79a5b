/** Who counts as told of a failed sync: closing need not reject then. */
import { describe, expect, test } from "vitest";
import { Ending, type Ends } from "../../src/ending.ts";
import { StoreError } from "../../src/errors.ts";
import { Lifecycle } from "../../src/lifecycle.ts";

/** A store whose sync fails while so many wait for a sync, and so many in line for room. */
function poisoned(flushing: number, inLine: number): { lifecycle: Lifecycle; ended: StoreError[] } {
  const lifecycle = new Lifecycle("/store", false);
  lifecycle.open();
  const ended: StoreError[] = [];
  const end = (error: StoreError): void => void ended.push(error);
  const parts = { waiters: { waiting: flushing, fail: end }, appends: { waiting: inLine, end }, waits: { end } };
  new Ending({ lifecycle, ...parts } as unknown as Ends).poison(new StoreError("STORE_IO", "the disk is gone"));
  return { lifecycle, ended };
}

describe("a failed sync", () => {
  test("ends everybody who waits with one error", () => {
    const { lifecycle, ended } = poisoned(1, 1);
    expect(ended.map(({ code }) => code)).toEqual(Array(3).fill("STORE_POISONED"));
    expect(lifecycle.state).toBe("poisoned");
  });

  test("is known to who waits for a sync, and to who waits in line", () => {
    expect(poisoned(1, 0).lifecycle.unreportedPoison).toBeUndefined();
    expect(poisoned(0, 1).lifecycle.unreportedPoison).toBeUndefined();
  });

  test("that nobody waited for is left to close", () => {
    expect(poisoned(0, 0).lifecycle.unreportedPoison?.code).toBe("STORE_POISONED");
  });
});
