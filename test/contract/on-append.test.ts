import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, onTestFinished, test } from "vitest";
import type { AppendBatch, AppendListener, ListenerDiagnostics, Store } from "../../src/index.ts";
import { message, messages, openStore, temporaryDirectory, thrown } from "./temporary-store.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets everything be delivered that is due. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

/** A listener that keeps what it gets. */
function collector(): { batches: AppendBatch[]; listener: AppendListener; offsets(): number[] } {
  const batches: AppendBatch[] = [];
  return {
    batches,
    listener: (batch) => void batches.push(batch),
    offsets: () => batches.flatMap(({ physicalOffsets }) => [...physicalOffsets]),
  };
}

/** What the log holds from a position on. */
function logged(store: Store, from = 0): number[] {
  return [...store.scan({ from })].flatMap(({ kind, physicalOffset }) => (kind === "message" ? [physicalOffset] : []));
}

/** An error of somebody else's making: whoever asks for its message gets another one. */
function hostile(): Error {
  const message = {
    get: () => {
      throw new Error("theirs");
    },
  };
  return Object.defineProperties(new Error(), { name: { value: "Hostile" }, message });
}

describe("onAppend", () => {
  test("is told of all messages in order, after put, in batches", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const seen = collector();
    store.onAppend(seen.listener);
    for (let i = 0; i < 100; i++) store.put(message());
    expect(seen.batches).toEqual([]);
    await settle();
    store.putBatch(messages(100));
    await settle();
    expect(seen.offsets()).toEqual(logged(store));
    expect(seen.batches.length).toBe(2);
    expect(seen.batches.at(-1)?.endOffset).toBe(store.log.endOffset);
  });

  test("gets the facts of each message as columns", async () => {
    const store = await openStore({ clock: () => 1_700_000_000_000 });
    const seen = collector();
    store.onAppend(seen.listener);
    const put = store.putBatch([
      message({ topic: "a", queueId: 2, tags: "paid" }),
      message({ topic: "b" }),
      message({ topic: "a", queueId: 2, body: new Uint8Array(100_000) }),
      message({ topic: "a", sysFlag: 0x4 }),
    ]);
    await settle();
    const [batch] = seen.batches as [AppendBatch];
    expect(batch).toMatchObject({
      count: 4,
      physicalOffsets: put.physicalOffsets,
      sizes: put.sizes,
      queueIds: new Int32Array([2, 0, 2, 0]),
      queueOffsets: new Float64Array([0, 0, 1, -1]),
      storeTimestamps: new Float64Array(4).fill(1_700_000_000_000),
      topics: ["a", "b"],
      topicIndexes: new Uint32Array([0, 1, 0, 0]),
      endOffset: put.endOffset,
    });
    expect(batch.tagsCodes[0]).toBe(store.entries("a", 2)[0]?.tagsCode);
    expect([0, 1, 2, 3, 4].map((row) => batch.topic(row))).toEqual(["a", "b", "a", "a", undefined]);
  });

  test("begins with the first message behind the call, and ends with the call that ends it", async () => {
    const store = await openStore();
    store.putBatch(messages(10));
    const seen = collector();
    const { physicalOffset } = (() => {
      const end = store.onAppend(seen.listener);
      const result = store.put(message());
      void settle().then(() => {
        end();
        end();
        store.put(message());
      });
      return result;
    })();
    await settle();
    await settle();
    expect(seen.offsets()).toEqual([physicalOffset]);
  });

  test("is told nothing of what was put when it was subscribed in the middle of a delivery", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    const early = collector();
    const late = collector();
    store.onAppend((batch) => {
      if (early.batches.length === 0) {
        store.put(message());
        store.onAppend(late.listener);
      }
      early.listener(batch);
    });
    store.putBatch(messages(10_000));
    await settle();
    const { endOffset } = store.log;
    store.putBatch(messages(10_000));
    while ((early.batches.at(-1)?.endOffset ?? 0) < store.log.endOffset) await turn();
    expect(early.offsets()).toEqual(logged(store));
    expect(late.offsets()).toEqual(logged(store, endOffset));
  });

  test("gives a burst in pieces, with turns between them", async () => {
    const store = await openStore({ segmentBytes: 64 * 1024 * 1024 });
    const batches: number[] = [];
    let turns = 0;
    const count = () => {
      turns++;
      if (batches.length < 10) setImmediate(count);
    };
    store.onAppend(({ count }) => void batches.push(count));
    for (let i = 0; i < 10; i++) store.putBatch(messages(10_000));
    setImmediate(count);
    const sum = () => batches.reduce((a, b) => a + b, 0);
    while (sum() < 100_000) await turn();
    expect(sum()).toBe(100_000);
    expect(Math.max(...batches)).toBeLessThanOrEqual(4096);
    expect(turns).toBeGreaterThan(5);
  });

  test("of a synchronous store is told when messages are durable", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    const seen = collector();
    store.onAppend(seen.listener);
    store.putBatch(messages(5));
    await settle();
    expect(seen.batches).toEqual([]);
    await store.flush();
    await settle();
    expect(seen.offsets()).toEqual(logged(store));
    expect(seen.offsets()).toHaveLength(5);
  });

  test("of a synchronous store is told of what closing made visible, before close resolves", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    const seen = collector();
    store.onAppend(seen.listener);
    store.putBatch(messages(3));
    await store.flush();
    const results = store.putBatch(messages(10_000));
    await store.close();
    expect(seen.offsets()).toHaveLength(10_003);
    expect(seen.batches.at(-1)?.endOffset).toBe([...results].at(-1)?.endOffset);
  });

  test("gives messages that were put in any way", async () => {
    const store = await openStore();
    const seen = collector();
    store.onAppend(seen.listener);
    store.put(message());
    await store.append(message());
    await store.append(message(), { durability: "disk" });
    store.putBatch(messages(3));
    await settle();
    expect(seen.offsets()).toEqual(logged(store));
    expect(seen.offsets()).toHaveLength(6);
  });
});

describe("a listener of onAppend", () => {
  test("may put: the next batch has it", async () => {
    const store = await openStore();
    const sizes: number[] = [];
    store.onAppend(({ count }) => {
      sizes.push(count);
      if (sizes.length < 5) store.putBatch(messages(sizes.length + 1));
    });
    store.put(message());
    for (let i = 0; i < 5; i++) await settle();
    expect(sizes).toEqual([1, 2, 3, 4, 5]);
  });

  test("may end its own subscription and those of others", async () => {
    const store = await openStore();
    const calls: string[] = [];
    const ends: (() => void)[] = [];
    for (const name of ["first", "second", "third"]) {
      ends.push(
        store.onAppend(() => {
          calls.push(name);
          ends[0]?.();
          ends[1]?.();
        }),
      );
    }
    store.put(message());
    await settle();
    store.put(message());
    await settle();
    expect(calls).toEqual(["first", "third", "third"]);
  });

  test("may be subscribed twice, and is called twice", async () => {
    const store = await openStore();
    const seen = collector();
    const end = store.onAppend(seen.listener);
    store.onAppend(seen.listener);
    store.put(message());
    await settle();
    expect(seen.batches).toHaveLength(2);
    end();
    store.put(message());
    await settle();
    expect(seen.batches).toHaveLength(3);
  });

  test("may close the store; those behind it still get the batch", async () => {
    const store = await openStore();
    const seen = collector();
    let closing: Promise<void> | undefined;
    store.onAppend(() => {
      closing = store.close();
    });
    store.onAppend(seen.listener);
    store.put(message());
    await settle();
    await closing;
    expect(store.state).toBe("closed");
    expect(seen.offsets()).toEqual([0]);
  });

  test("gets what was visible when the store was closed, and then nothing", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    const seen = collector();
    store.onAppend(seen.listener);
    const { endOffset } = store.putBatch(messages(10_000));
    await store.close();
    expect(seen.offsets()).toHaveLength(10_000);
    expect(seen.batches.at(-1)?.endOffset).toBe(endOffset);
  });

  test.each<[string, AppendListener]>([
    [
      "throws",
      () => {
        throw new Error("mine");
      },
    ],
    ["returns a promise that rejects", () => Promise.reject(new Error("mine"))],
    [
      "returns something whose then throws",
      () =>
        // biome-ignore lint/suspicious/noThenProperty: a listener may return anything
        Object.defineProperty({}, "then", {
          get: () => {
            throw new Error("mine");
          },
        }),
    ],
    [
      "throws no error",
      () => {
        throw "mine";
      },
    ],
    [
      "throws an error that throws when asked for its message",
      () => {
        throw hostile();
      },
    ],
    ["returns a promise that rejects with such an error", () => Promise.reject(hostile())],
  ])("that %s is reported, and goes on", async (_name, failing) => {
    const store = await openStore();
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    const published: ListenerDiagnostics[] = [];
    const note = (told: unknown): void => void published.push(told as ListenerDiagnostics);
    process.on("warning", warn);
    subscribe("moraine:listener", note);
    onTestFinished(() => {
      process.off("warning", warn);
      unsubscribe("moraine:listener", note);
    });
    const seen = collector();
    store.onAppend(failing);
    store.onAppend(seen.listener);
    for (let i = 0; i < 3; i++) {
      store.put(message());
      await settle();
    }
    expect(seen.batches).toHaveLength(3);
    expect(published.map(({ path }) => path)).toEqual([store.path, store.path, store.path]);
    const { error } = published[0] as ListenerDiagnostics;
    expect(String((error as Error)?.name === "Hostile" ? "mine" : error)).toContain("mine");
    expect(warnings).toHaveLength(1);
    const reason = (error as Error)?.name === "Hostile" ? "an object" : "mine";
    expect(warnings[0]).toMatchObject({ name: "StoreListenerWarning", message: expect.stringContaining(reason) });
  });

  test.each([[undefined], [null], [{}], ["print"]])("cannot be %s", async (listener) => {
    const store = await openStore();
    expect(thrown(() => store.onAppend(listener as unknown as AppendListener))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "listener" },
    });
  });

  test("is refused in a store opened with readOnly, where nothing is appended", async () => {
    const path = await temporaryDirectory();
    await (await openStore({}, path)).close();
    const store = await openStore({ readOnly: true }, path);
    expect(thrown(() => store.onAppend(() => {})).code).toBe("STORE_READ_ONLY");
  });
});
