/** A sync that fails poisons the store: everybody who waits is told, nothing is retried, reopening recovers. */
import { beforeAll, describe, expect, test } from "vitest";
import { type PoisonedStore, poisonedStore } from "../faults/poisoned-store.ts";
import { ENGINE, supports } from "./engine.ts";

const EIO = 5;

describe.runIf(supports.faults)("a failed sync that somebody waits for", () => {
  let seen: PoisonedStore;
  beforeAll(async () => {
    seen = await poisonedStore(ENGINE, "told");
  }, 60_000);

  test("rejects the flush and the append that wait", () => {
    expect(seen.waiters).toHaveLength(2);
    for (const waiter of seen.waiters) {
      expect(waiter).toMatchObject({ code: "STORE_POISONED", retriable: false, details: { errno: EIO } });
    }
  });

  test("refuses what comes later, saying why and what to do", () => {
    expect(seen.refusal).toMatchObject({ code: "STORE_POISONED", details: { errno: EIO } });
    expect(seen.refusal?.message).toMatch(/open it again/);
  });

  test("ends every wait for messages, and those that come later", () => {
    expect(seen.waits.map(({ code }) => code)).toEqual(Array(4).fill("STORE_POISONED"));
    expect(seen.lateWaits.map(({ code }) => code)).toEqual(["STORE_POISONED", "STORE_POISONED"]);
  });

  test("shows tables, and takes no changes of them", () => {
    expect(seen.tables).toEqual({
      get: "ok",
      set: "STORE_POISONED",
      delete: "STORE_POISONED",
      flush: "STORE_POISONED",
      commit: "STORE_POISONED",
      offset: "ok",
    });
  });

  test("leaves readable what was durable", () => {
    expect(seen.bodies).toEqual(["durable"]);
  });

  test("has the offsets of what can be read", () => {
    const { max } = seen.offsets;
    expect(max).toBeGreaterThanOrEqual(1);
    expect(seen.offsets).toMatchObject({ min: 0, next: 3 });
    expect(seen.readable).toEqual({ nextOffset: max, messages: max, entries: max });
  });

  test("is published once", () => {
    expect(seen.published).toEqual([{ path: expect.any(String), code: "STORE_POISONED" }]);
  });

  test("lets the store be closed: it was told already", () => {
    expect(seen.answers.close).toBe("ok");
    expect(seen.stateAfterClose).toBe("closed");
  });

  test("is over once the store is opened again on a disk that works", () => {
    expect(seen.reopened).toEqual({ state: "open", bodies: ["durable"], put: "ok", flush: "ok" });
  });
});

describe.runIf(supports.faults)("a failed sync that nobody waits for", () => {
  let seen: PoisonedStore;
  beforeAll(async () => {
    seen = await poisonedStore(ENGINE, "untold");
  }, 60_000);

  test("poisons the store all the same", () => {
    expect(seen.state).toBe("poisoned");
  });

  test("has the offsets of what can be read", () => {
    const { max } = seen.offsets;
    expect(max).toBeGreaterThanOrEqual(1);
    expect(seen.offsets).toMatchObject({ min: 0, next: 2 });
    expect(seen.readable).toEqual({ nextOffset: max, messages: max, entries: max });
  });

  test("ends every wait for messages", () => {
    expect(seen.waits.map(({ code }) => code)).toEqual(Array(4).fill("STORE_POISONED"));
  });

  test("rejects close, so that somebody who stored is told, and the store is closed", () => {
    expect(seen.answers.close).toBe("STORE_POISONED");
    expect(seen.stateAfterClose).toBe("closed");
    expect(seen.reopened).toMatchObject({ state: "open", bodies: ["durable"], put: "ok" });
  });
});
