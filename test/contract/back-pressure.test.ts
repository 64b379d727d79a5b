/** Those who append faster than the disk takes it: they wait, up to a bound, and are told before it and at it. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Message, PutResult, StoreOptions } from "../../src/index.ts";
import { Store } from "../../src/index.ts";
import { type Stalled, stalledDisk } from "../faults/stalled-disk.ts";
import { ENGINE, supports } from "./engine.ts";
import { bytes, message, messages, openStore, rejected, temporaryDirectory, text, thrown } from "./temporary-store.ts";

/** Nothing is synced but what is asked for. */
const BY_DEMAND: StoreOptions = { flushIntervalMs: 3_600_000 };

/** What became of appends: the result, or the code. */
async function outcomes(appends: Promise<PutResult>[]): Promise<(PutResult | string)[]> {
  const settled = await Promise.allSettled(appends);
  return settled.map((one) => (one.status === "fulfilled" ? one.value : one.reason.code));
}

function bodies(store: Store): string[] {
  return store.get("orders", 0, 0, { max: 10_000, maxBytes: 1 << 24 }).messages.map(({ body }) => text(body));
}

describe("appends of one turn", () => {
  test("share a sync, and are stored in their order", async () => {
    const store = await openStore({ flush: "sync", ...BY_DEMAND });
    const before = store.stats().flushes as number;
    const results = await Promise.all(messages(1000).map((each) => store.append(each)));
    // One that covers them all; another one where the first had begun when the last came.
    expect((store.stats().flushes as number) - before).toBeLessThanOrEqual(2);
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual([...Array(1000).keys()]);
    expect(bodies(store)).toEqual(Array.from({ length: 1000 }, (_, n) => String(n)));
  });

  test("have each the result of its own message", async () => {
    const store = await openStore({ flush: "sync" });
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        store.append(message({ queueId: n % 3, body: bytes("x".repeat(n)) }), {
          durability: n % 2 === 0 ? "disk" : "memory",
        }),
      ),
    );
    await store.flush();
    for (const [n, { physicalOffset, queueOffset, endOffset }] of results.entries()) {
      const found = store.at(physicalOffset);
      expect([found?.queueId, found?.queueOffset, found?.body.length]).toEqual([n % 3, queueOffset, n]);
      expect(physicalOffset + (found?.size as number)).toBe(endOffset);
    }
  });

  test("are told each of its own mistake: the others are stored", async () => {
    const store = await openStore({ flush: "sync" });
    const wrong: unknown[] = [
      undefined,
      {},
      message({ topic: "" }),
      message({ queueId: -1 }),
      message({ body: "no" as never }),
    ];
    const appends = Array.from({ length: 50 }, (_, n) =>
      store.append((n % 10 === 5 ? wrong[Math.floor(n / 10)] : message({ body: bytes(String(n)) })) as Message),
    );
    const found = await outcomes(appends);
    for (const [n, outcome] of found.entries()) {
      if (n % 10 === 5) expect(outcome).toBe("STORE_INVALID_ARGUMENT");
      else expect(outcome).toHaveProperty("queueOffset", n - Math.floor((n + 5) / 10));
    }
    expect(bodies(store)).toEqual(Array.from({ length: 50 }, (_, n) => String(n)).filter((_, n) => n % 10 !== 5));
  });

  test("hold what they were given when they were called", async () => {
    const store = await openStore({ flush: "sync" });
    const body = bytes("before");
    const appended = store.append(message({ body }));
    body.set(bytes("behind"));
    await appended;
    expect(bodies(store)).toEqual(["before"]);
  });
});

describe("maxPendingBytes", () => {
  const LIMIT = 10_000;

  test("bounds what waits for a sync: the next one is refused, and says what the bound is", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: LIMIT, ...BY_DEMAND });
    const appends = Array.from({ length: 100 }, (_, n) => store.append(message({ body: bytes(`${n}`.padEnd(1000)) })));
    const { endOffset } = store.log;
    const found = await outcomes(appends);
    const taken = found.filter((outcome) => typeof outcome !== "string");
    const [{ size } = { size: 0 }] = taken as PutResult[];
    expect(taken).toHaveLength(Math.ceil(LIMIT / size));
    expect(endOffset).toBe(taken.length * size);
    expect(found.slice(taken.length)).toEqual(Array(100 - taken.length).fill("STORE_BUSY"));
    expect(bodies(store).map(Number)).toEqual([...taken.keys()]);
  });

  test("is told by the error, with what waits", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: LIMIT });
    const taken: Promise<PutResult>[] = [];
    while (store.pressure < 1) taken.push(store.append(message({ body: new Uint8Array(1000) })));
    const pendingBytes = store.log.endOffset;
    const error = await rejected(store.append(message()));
    expect(error).toMatchObject({
      code: "STORE_BUSY",
      retriable: true,
      details: { pendingBytes, maxPendingBytes: LIMIT },
    });
    expect(error.message).toContain(`${pendingBytes} bytes`);
    expect(error.message).toContain(`maxPendingBytes is ${LIMIT}`);
    expect(error.message).toContain(store.path);
    await Promise.all(taken);
  });

  test("is free again with what has settled", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: LIMIT });
    const stored: number[] = [];
    for (let round = 0; round < 20; round++) {
      const found = await outcomes(
        Array.from({ length: 30 }, () => store.append(message({ body: new Uint8Array(1000) }))),
      );
      for (const outcome of found) if (typeof outcome !== "string") stored.push(outcome.queueOffset);
      expect(store.pressure).toBeLessThan(0.01);
    }
    expect(stored.length).toBeGreaterThan(100);
    expect(stored).toEqual([...stored.keys()]);
    expect(store.offsets("orders", 0).max).toBe(stored.length);
  });

  test("lets in a message that is larger than it, alone", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: 1 });
    const large = message({ body: new Uint8Array(100_000) });
    const found = await outcomes([store.append(large), store.append(message())]);
    expect(found).toEqual([expect.objectContaining({ queueOffset: 0 }), "STORE_BUSY"]);
    expect((await store.append(message())).queueOffset).toBe(1);
  });

  test("counts nobody who does not wait", async () => {
    const store = await openStore({ flush: "async", maxPendingBytes: 1 });
    const found = await outcomes(messages(500).map((each) => store.append(each)));
    expect(found.filter((outcome) => typeof outcome === "string")).toEqual([]);
    const wrong = await outcomes([store.append({} as Message), store.append(message(), { durability: "disk" })]);
    expect(wrong).toEqual(["STORE_INVALID_ARGUMENT", expect.objectContaining({ queueOffset: 500 })]);
  });

  test("bounds append alone: put and flush go on", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: 1, ...BY_DEMAND });
    const appended = store.append(message());
    expect(await outcomes([store.append(message())])).toEqual(["STORE_BUSY"]);
    const { endOffset } = store.put(message());
    expect(await store.flush()).toBeGreaterThanOrEqual(endOffset);
    expect((await appended).queueOffset).toBe(0);
  });

  test("is each store's own", async () => {
    const [full, other] = [
      await openStore({ flush: "sync", maxPendingBytes: 1 }),
      await openStore({ flush: "sync", maxPendingBytes: 1 }),
    ];
    const appends = [full.append(message()), other.append(message()), full.append(message())];
    expect((await outcomes(appends)).map((outcome) => typeof outcome === "string")).toEqual([false, false, true]);
  });

  test.runIf(supports.threads)("is handed on to those who attach, each with a line of its own", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: 1 });
    const twin = await Store.attach(store.share());
    const found = await outcomes([twin, twin, store, store].map((one) => one.append(message())));
    expect(found.map((outcome) => typeof outcome === "string")).toEqual([false, true, false, true]);
    await twin.close();
  });

  test("that is full says STORE_CLOSED once close was called", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: 1 });
    const appended = store.append(message());
    const closing = store.close();
    expect(await outcomes([store.append(message())])).toEqual(["STORE_CLOSED"]);
    await closing;
    expect((await appended).queueOffset).toBe(0);
    expect(await outcomes([store.append(message(), { durability: "cloud" as never })])).toEqual(["STORE_CLOSED"]);
  });

  test.each([0, -1, 1.5, Number.NaN, "64", null, 2 ** 41])("cannot be %s", async (maxPendingBytes) => {
    const path = await temporaryDirectory();
    const options = { maxPendingBytes } as StoreOptions;
    expect(await rejected(Store.open(path, { engine: ENGINE, ...options }))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "options.maxPendingBytes" },
    });
  });
});

describe("pressure", () => {
  test("is 0 where nothing waits", async () => {
    const store = await openStore({ flush: "sync" });
    expect(store.pressure).toBe(0);
  });

  test("grows with what waits for its sync, to 1, and falls with what has settled", async () => {
    const store = await openStore({ flush: "sync", maxPendingBytes: 50_000, ...BY_DEMAND });
    const seen = [store.pressure];
    const appends: Promise<PutResult>[] = [];
    while (store.pressure < 1) {
      appends.push(store.append(message({ body: new Uint8Array(5000) })));
      seen.push(store.pressure);
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(new Set(seen).size).toBe(appends.length + 1);
    expect(seen[1]).toBeCloseTo(store.log.endOffset / appends.length / 50_000);
    expect(seen.at(-1)).toBe(1);
    await Promise.all(appends);
    expect(store.pressure).toBeLessThan(0.01);
  });

  test("grows with entries that wait for their files, and falls when they are written", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({ segmentBytes: 8_388_608, ...BY_DEMAND }, directory);
    store.putBatch(messages(3000));
    expect(store.pressure).toBeGreaterThan(0);
    expect(store.pressure).toBeLessThan(0.1);
    expect(store.stats().waitingEntries).toBeGreaterThan(0);
    await store.close();
    expect((await openStore({}, directory)).pressure).toBe(0);
  });

  test("of a store opened with readOnly is 0; of a closed one it is not known", async () => {
    const writer = await openStore();
    writer.putBatch(messages(100));
    await writer.close();
    const store = await openStore({ readOnly: true }, writer.path);
    expect(store.pressure).toBe(0);
    const closing = store.close();
    expect(thrown(() => store.pressure).code).toBe("STORE_CLOSED");
    await closing;
    expect(thrown(() => store.pressure).code).toBe("STORE_CLOSED");
  });

  test("cannot be set", async () => {
    const store = await openStore();
    expect(() => {
      (store as { pressure: number }).pressure = 1;
    }).toThrow(TypeError);
  });
});

describe.runIf(supports.faults)("syncs that do not come back for a while", () => {
  let seen: Stalled;
  beforeAll(async () => {
    seen = await stalledDisk(ENGINE, "syncs");
  }, 60_000);

  test("let in as much as may wait, and refuse the rest, however long they take", () => {
    const { maxPendingBytes, recordBytes } = seen;
    expect(seen.undurableBytes).toBeGreaterThanOrEqual(maxPendingBytes);
    expect(seen.undurableBytes).toBeLessThan(maxPendingBytes + recordBytes);
    expect(seen.settledWhileStalled).toBe(1);
    expect(seen.refused).toBeGreaterThan(19_000);
    expect(seen.refusal).toMatchObject({ code: "STORE_BUSY", retriable: true, details: { maxPendingBytes } });
  });

  test("make no memory grow", () => {
    // 18,000 appends lie between the two looks: each of them would have kept 1,000 bytes and more.
    expect(seen.grownHeapBytes).toBeLessThan(4_000_000);
  });

  test("are seen coming", () => {
    const { idle, growing, stalled, after } = seen.pressure;
    expect([idle, ...growing, stalled]).toEqual([idle, ...growing, stalled].sort((a, b) => a - b));
    expect(idle).toBe(0);
    expect(growing.at(-1)).toBeGreaterThan(growing[0] as number);
    expect(stalled).toBe(1);
    expect(after).toBeLessThan(0.01);
  });

  test("lose nothing that was taken, and keep its order", () => {
    expect(seen.settled).toEqual([...seen.settled].sort((a, b) => a - b));
    expect(seen.found).toEqual(seen.settled);
    expect(seen.settled.length).toBeGreaterThan(90);
  });
});

describe.runIf(supports.faults && supports.threads)("a log that gets no more room for a while", () => {
  let seen: Stalled;
  beforeAll(async () => {
    seen = await stalledDisk(ENGINE, "prefill");
  }, 60_000);

  test("answers a put with STORE_BUSY, and says why", () => {
    expect(seen.putRefusal).toMatchObject({ code: "STORE_BUSY", retriable: true });
    expect(seen.putRefusal?.message).toMatch(/no room for the next message within 100 ms/);
    expect(seen.put.length).toBeGreaterThan(0);
  });

  test("lets appends wait in line, as many as may", () => {
    const { maxPendingBytes, pressure, refusal } = seen;
    expect(seen.settledWhileStalled).toBe(0);
    expect(pressure.growing[0]).toBeGreaterThan(0);
    expect(pressure.growing[1]).toBeGreaterThan(pressure.growing[0] as number);
    expect(pressure.stalled).toBe(1);
    expect(refusal).toMatchObject({ code: "STORE_BUSY", details: { maxPendingBytes } });
    expect(refusal.details.pendingBytes).toBeLessThan(maxPendingBytes + 2 * seen.recordBytes);
    expect(pressure.after).toBeLessThan(0.01);
  });

  test("tells a wrong message apart from those that wait", () => {
    expect(seen.wrong).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "queueId" } });
  });

  test("lets them in when it has room, in their order, and loses none", () => {
    expect(seen.settled).toEqual([...seen.settled].sort((a, b) => a - b));
    expect(seen.settled.length).toBeGreaterThan(80);
    expect(seen.found).toEqual([...seen.put, ...seen.settled]);
  });

  test("and is closed then: those in line are told, and were not stored", async () => {
    const closing = await stalledDisk(ENGINE, "closing");
    expect(closing.closed).toEqual(Array(40).fill("STORE_CLOSED"));
    expect(closing.settled).toEqual([]);
    expect(closing.found).toEqual(closing.put);
  });
});
