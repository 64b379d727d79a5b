import { describe, expect, test, vi } from "vitest";
import type { ArrivalOptions, Store } from "../../src/index.ts";
import { supports } from "./engine.ts";
import { BATCH_QUEUES, innerBatch, writeTopics } from "./inner-batch.ts";
import { bytes, message, messages, openStore, rejected, temporaryDirectory } from "./temporary-store.ts";

/** What a wait has come to by now; one that goes on may be ended by the end of the test. */
async function now(promise: Promise<boolean>): Promise<boolean | "waits"> {
  promise.catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  return Promise.race([promise, Promise.resolve("waits" as const)]);
}

describe("arrival", () => {
  test("resolves at once where the queue has more", async () => {
    const store = await openStore();
    store.putBatch(messages(3));
    expect(await now(store.arrival("orders", 0, 2))).toBe(true);
    expect(await now(store.arrival("orders", 0, 0))).toBe(true);
    expect(await now(store.arrival("orders", 0, 3))).toBe("waits");
  });

  test("resolves with the put that brings the message, before anything else has its turn", async () => {
    const store = await openStore();
    const order: string[] = [];
    const waiting = store.arrival("orders", 0, 0).then(() => order.push("woken"));
    setImmediate(() => order.push("the next turn"));
    store.put(message());
    order.push("put");
    await waiting;
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(["put", "woken", "the next turn"]);
  });

  test("waits for the offset that was asked for", async () => {
    const store = await openStore();
    const waits = [0, 1, 2, 5, 1].map((offset) => store.arrival("orders", 0, offset));
    const seen = async () => Promise.all(waits.map(now));
    expect(await seen()).toEqual(["waits", "waits", "waits", "waits", "waits"]);
    store.put(message());
    expect(await seen()).toEqual([true, "waits", "waits", "waits", "waits"]);
    store.putBatch(messages(2));
    expect(await seen()).toEqual([true, true, true, "waits", true]);
    store.putBatch(messages(3));
    expect(await seen()).toEqual([true, true, true, true, true]);
  });

  test("tells queues and topics apart", async () => {
    const store = await openStore();
    const waits = [
      store.arrival("orders", 0, 0),
      store.arrival("orders", 1, 0),
      store.arrival("order", 0, 0),
      store.arrival("orders2", 0, 0),
    ];
    store.put(message({ queueId: 1 }));
    expect(await Promise.all(waits.map(now))).toEqual(["waits", true, "waits", "waits"]);
    store.putBatch([message({ topic: "order" }), message({ topic: "orders2", queueId: 3 })]);
    expect(await Promise.all(waits.map(now))).toEqual(["waits", true, true, "waits"]);
  });

  test("makes no queue", async () => {
    const store = await openStore();
    const waiting = store.arrival("nobody", 7, 0);
    expect([store.topics(), store.queues("nobody")]).toEqual([[], []]);
    store.put(message({ topic: "nobody", queueId: 7 }));
    expect(await waiting).toBe(true);
  });

  test("is not woken by a message that stands in no queue", async () => {
    const store = await openStore();
    const waiting = store.arrival("orders", 0, 0);
    store.put(message({ sysFlag: 0x4 }));
    expect(await now(waiting)).toBe("waits");
  });

  test("is woken again and again", async () => {
    const store = await openStore();
    for (let offset = 0; offset < 200; offset++) {
      const waiting = store.arrival("orders", 0, offset);
      store.put(message());
      expect(await waiting).toBe(true);
      // Every few rounds the queue is left alone for a turn.
      if (offset % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  });

  test("wakes a hundred queues of one batch", async () => {
    const store = await openStore();
    const waits = Array.from({ length: 100 }, (_, queueId) => store.arrival("orders", queueId, 0));
    store.putBatch(waits.map((_, queueId) => message({ queueId })));
    expect(new Set(await Promise.all(waits))).toEqual(new Set([true]));
  });

  test("may wait for what a waiter puts", async () => {
    const store = await openStore();
    const steps: number[] = [];
    const relay = async (queueId: number) => {
      await store.arrival("orders", queueId, 0);
      steps.push(queueId);
      store.put(message({ queueId: queueId + 1 }));
    };
    const all = [3, 1, 2, 0].map(relay);
    store.put(message());
    await Promise.all(all);
    expect(steps).toEqual([0, 1, 2, 3]);
  });
});

describe("arrival in queues of every kind", () => {
  test("a light queue", async () => {
    const store = await openStore();
    const waits = ["%LMQ%a", "%LMQ%b"].map((name) => store.arrival(name, 0, 0));
    store.put(message({ queueId: 3, multiDispatch: ["%LMQ%a"] }));
    expect(await Promise.all(waits.map(now))).toEqual([true, "waits"]);
    store.put(message({ multiDispatch: ["%LMQ%a", "%LMQ%b"] }));
    expect(await waits[1]).toBe(true);
  });

  test("a batch queue, which grows by what is in a batch", async () => {
    const path = await temporaryDirectory();
    writeTopics(path, { batches: BATCH_QUEUES });
    const store = await openStore({}, path);
    const waits = [0, 2, 3].map((offset) => store.arrival("batches", 0, offset));
    const reading = store.read("batches", 0, { follow: true });
    const first = reading.next();
    store.put(innerBatch("batches", 0, [bytes("a"), bytes("b"), bytes("c")]));
    expect(await Promise.all(waits.map(now))).toEqual([true, true, "waits"]);
    expect((await first).value).toMatchObject({ queueOffset: 0 });
    const second = reading.next();
    store.put(message({ topic: "batches" }));
    expect(await waits[2]).toBe(true);
    expect((await second).value).toMatchObject({ queueOffset: 3 });
    await reading.return();
  });

  test("a queue that gets a group", async () => {
    const store = await openStore();
    const waits = [1, 2].map((offset) => store.arrival("orders", 0, offset));
    store.putGroup("orders", 0, [{ body: bytes("a") }, { body: bytes("b") }]);
    expect(await Promise.all(waits.map(now))).toEqual([true, "waits"]);
  });
});

describe("arrival in a synchronous store", () => {
  test("is not woken before the message is durable", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    const waiting = store.arrival("orders", 0, 0);
    store.put(message());
    expect(await now(waiting)).toBe("waits");
    await store.flush();
    expect(await waiting).toBe(true);
    expect(store.offsets("orders", 0).max).toBe(1);
  });

  test("sees what had been put before it waited", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    store.put(message());
    const waiting = store.arrival("orders", 0, 0);
    expect(await now(waiting)).toBe("waits");
    await store.append(message());
    expect(await waiting).toBe(true);
    expect(await now(store.arrival("orders", 0, 1))).toBe(true);
  });

  test("is woken by every sync that brings something", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    for (let offset = 0; offset < 30; offset += 3) {
      const waits = [0, 1, 2].map((behind) => store.arrival("orders", 0, offset + behind));
      for (let i = 0; i < 3; i++) void store.append(message());
      expect(await Promise.all(waits)).toEqual([true, true, true]);
    }
  });
});

describe("the time limit of an arrival", () => {
  test("ends it with false", async () => {
    const store = await openStore();
    expect(await store.arrival("orders", 0, 0, { timeoutMs: 30 })).toBe(false);
  });

  test("of 0 asks without waiting", async () => {
    const store = await openStore();
    expect(await now(store.arrival("orders", 0, 0, { timeoutMs: 0 }))).toBe(false);
    store.put(message());
    expect(await now(store.arrival("orders", 0, 0, { timeoutMs: 0 }))).toBe(true);
  });

  test("is each one's own", async () => {
    const store = await openStore();
    // The first put makes the first file of the log, which takes a disk its time.
    store.put(message({ topic: "other" }));
    const order: string[] = [];
    const limited = (name: string, timeoutMs: number, offset = 0) =>
      store.arrival("orders", 0, offset, { timeoutMs }).then((arrived) => order.push(`${name} ${arrived}`));
    const all = [limited("d", 90), limited("a", 10), limited("c", 60), limited("b", 35), limited("e", 60_000, 1)];
    await Promise.all(all.slice(1, 3));
    store.put(message());
    await all[0];
    store.put(message());
    await Promise.all(all);
    expect(order).toEqual(["a false", "b false", "c false", "d true", "e true"]);
  });

  test("takes one timer for all, and none when it is over", async () => {
    const store = await openStore();
    const timers = vi.spyOn(globalThis, "setTimeout");
    const cleared = vi.spyOn(globalThis, "clearTimeout");
    try {
      const endless = store.arrival("orders", 0, 0);
      expect(timers).not.toHaveBeenCalled();
      const waits = Array.from({ length: 100 }, (_, i) => store.arrival("orders", i % 7, 0, { timeoutMs: 60_000 + i }));
      expect(timers).toHaveBeenCalledTimes(1);
      expect(timers.mock.results[0]?.value.hasRef()).toBe(false);
      store.putBatch(Array.from({ length: 7 }, (_, queueId) => message({ queueId })));
      await Promise.all([endless, ...waits]);
      expect(cleared).toHaveBeenCalledWith(timers.mock.results[0]?.value);
      // An engine without a thread has one for its interval.
      expect(timers).toHaveBeenCalledTimes(supports.threads ? 1 : 2);
    } finally {
      timers.mockRestore();
      cleared.mockRestore();
    }
  });

  test("may be longer than a timer can be", async () => {
    const store = await openStore();
    const waiting = store.arrival("orders", 0, 0, { timeoutMs: Number.MAX_SAFE_INTEGER });
    expect(await now(waiting)).toBe("waits");
    store.put(message());
    expect(await waiting).toBe(true);
  });
});

describe("the signal of an arrival", () => {
  test("ends it with STORE_ABORTED", async () => {
    const store = await openStore();
    const abort = new AbortController();
    const waits = [0, 1].map((queueId) => store.arrival("orders", queueId, 0, { signal: abort.signal }));
    const other = store.arrival("orders", 0, 0);
    abort.abort("enough");
    for (const waiting of waits) {
      expect(await rejected(waiting)).toMatchObject({ code: "STORE_ABORTED", cause: "enough" });
    }
    expect(await now(other)).toBe("waits");
    store.put(message());
    expect(await other).toBe(true);
  });

  test("that was aborted before ends it at once, whatever has arrived", async () => {
    const store = await openStore();
    store.put(message());
    const signal = AbortSignal.abort();
    expect((await rejected(store.arrival("orders", 0, 0, { signal }))).code).toBe("STORE_ABORTED");
    expect((await rejected(store.arrival("orders", 0, 1, { signal }))).code).toBe("STORE_ABORTED");
  });

  test("may be shared by a thousand, and is left alone afterwards", async () => {
    const store = await openStore();
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const abort = new AbortController();
    const added = vi.spyOn(abort.signal, "addEventListener");
    const removed = vi.spyOn(abort.signal, "removeEventListener");
    const waits = Array.from({ length: 1000 }, (_, i) =>
      store.arrival("orders", i % 10, 0, { signal: abort.signal, timeoutMs: 60_000 }),
    );
    store.putBatch(Array.from({ length: 10 }, (_, queueId) => message({ queueId })));
    await Promise.all(waits);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", note);
    expect(warnings).toEqual([]);
    expect(added).toHaveBeenCalledTimes(1);
    expect(removed).toHaveBeenCalledTimes(1);
  });

  test("may be used by a waiter that aborts others", async () => {
    const store = await openStore();
    const abort = new AbortController();
    const { signal } = abort;
    const first = store.arrival("orders", 0, 0, { signal }).then(() => abort.abort());
    const second = store.arrival("orders", 0, 1, { signal });
    store.put(message());
    await first;
    expect((await rejected(second)).code).toBe("STORE_ABORTED");
  });
});

describe("an arrival that cannot come", () => {
  test("ends when the store closes", async () => {
    const store = await openStore();
    const waits = [0, 1, 1].map((queueId) => store.arrival("orders", queueId, 5));
    const closing = store.close();
    for (const waiting of waits) expect((await rejected(waiting)).code).toBe("STORE_CLOSED");
    await closing;
    expect((await rejected(store.arrival("orders", 0, 0))).code).toBe("STORE_CLOSED");
  });

  test("is refused in a store opened with readOnly, which shows what was there then", async () => {
    const path = await temporaryDirectory();
    const writer = await openStore({}, path);
    writer.put(message());
    await writer.flush();
    const reader = await openStore({ readOnly: true }, path);
    expect(await reader.arrival("orders", 0, 0)).toBe(true);
    expect(await reader.arrival("orders", 0, 1, { timeoutMs: 0 })).toBe(false);
    expect((await rejected(reader.arrival("orders", 0, 1))).code).toBe("STORE_READ_ONLY");
    expect((await rejected(reader.arrival("orders", 0, 1, { timeoutMs: 10 }))).code).toBe("STORE_READ_ONLY");
  });
});

describe("wrong arguments of arrival", () => {
  const good = ["orders", 0, 0, {}] as const;
  test.each<[string, number, unknown, string]>([
    ["a topic of no characters", 0, "", "topic"],
    ["a topic that is none", 0, "a/b", "topic"],
    ["a queue id below 0", 1, -1, "queueId"],
    ["a queue offset that is no integer", 2, 0.5, "queueOffset"],
    ["a queue offset of text", 2, "0", "queueOffset"],
    ["a time limit below 0", 3, { timeoutMs: -1 }, "options.timeoutMs"],
    ["a time limit that is no number", 3, { timeoutMs: Number.NaN }, "options.timeoutMs"],
    ["an endless time limit", 3, { timeoutMs: Number.POSITIVE_INFINITY }, "options.timeoutMs"],
    ["a signal that is none", 3, { signal: new EventTarget() }, "options.signal"],
    ["an option that nobody knows", 3, { timeout: 5 }, "options.timeout"],
  ])("%s", async (_name, place, value, argument) => {
    const store = await openStore();
    const args = good.with(place, value as never) as [string, number, number, ArrivalOptions];
    expect(await rejected(store.arrival(...args))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument },
    });
  });

  test("a getter of an option that closes the store", async () => {
    const store: Store = await openStore();
    const options = {
      get timeoutMs(): number {
        void store.close();
        return 10;
      },
    };
    expect((await rejected(store.arrival("orders", 0, 0, options))).code).toBe("STORE_CLOSED");
  });
});
