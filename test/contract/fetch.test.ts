import { getEventListeners } from "node:events";
import { readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { GetResult, Store, StoredMessage } from "../../src/index.ts";
import { coolDown } from "./cold.ts";
import { supports } from "./engine.ts";
import {
  answer,
  bytes,
  message,
  messages,
  openStore,
  rejected,
  temporaryDirectory,
  text,
  thrown,
} from "./temporary-store.ts";

/** Everything that an answer says, apart from where it came from. */
function said(result: GetResult): unknown {
  const { status, nextOffset, minOffset, maxOffset, bytesBehind } = result;
  const found = result.messages.map(({ queueOffset, physicalOffset, body }) => [
    queueOffset,
    physicalOffset,
    text(body),
  ]);
  return {
    status,
    nextOffset,
    minOffset,
    maxOffset,
    bytesBehind,
    found,
    bytes: Buffer.from(result.bytes).toString("hex"),
  };
}

/** A store whose older files are not in memory: queue 0 has `count` messages of about a kilobyte. */
async function coldStore(count: number, options = {}): Promise<{ store: Store; directory: string }> {
  const directory = await temporaryDirectory();
  const first = await openStore(options, directory);
  for (let n = 0; n < count; n += 100) {
    const batch = messages(100, { tags: n % 200 === 0 ? "even" : "odd" }, n);
    first.putBatch(batch.map((one) => ({ ...one, body: bytes(text(one.body).padEnd(1000, ".")) })));
  }
  await first.close();
  return { store: await openCold(directory, options), directory };
}

/** Opens a closed store, and takes out of memory what opening has brought there: all but the beginning of each older file. */
async function openCold(directory: string, options = {}): Promise<Store> {
  coolDown(directory);
  const store = await openStore(options, directory);
  coolDown(directory);
  return store;
}

/**
 * Queue offsets in a cold store of 2,000 messages, each in a file of its own that is not in memory. Asking whether something
 * is there makes some systems begin to read it, and it may come before they answer: one such read alone may find it there.
 */
const COLD_PLACES = [100, 330, 560, 790, 1020, 1250, 1480];

function withSignal(): { controller: AbortController; signal: AbortSignal } {
  const controller = new AbortController();
  return { controller, signal: controller.signal };
}

/** Reads that were ended by `code`, or were done already: not all can have been. */
function expectEnded(codes: string[], code: string): void {
  expect(codes).toContain(code);
  for (const each of codes) expect([code, "ok"]).toContain(each);
}

describe("fetch", () => {
  test("answers as get does", async () => {
    const store = await openStore();
    store.putBatch(messages(50, { tags: "a" }));
    store.putBatch(messages(50, { tags: "b" }, 50));
    const asked: Parameters<Store["get"]>[] = [
      ["orders", 0, 0],
      ["orders", 0, 90],
      ["orders", 0, 100],
      ["orders", 0, 101],
      ["orders", 1, 0],
      ["nobody", 0, 0],
      ["orders", 0, 10, { max: 3 }],
      ["orders", 0, 10, { maxBytes: 1 }],
      ["orders", 0, 0, { filter: { tags: "b" }, max: 7 }],
      ["orders", 0, 0, { filter: { tags: "none" } }],
    ];
    for (const question of asked) {
      const fetched = await store.fetch(...question);
      expect(said(fetched)).toEqual(said(store.get(...question)));
      expect(fetched.cold).toBe(false);
    }
  });

  test("answers at once what is in memory: before anything else has its turn", async () => {
    const store = await openStore();
    store.putBatch(messages(3));
    const order: string[] = [];
    setImmediate(() => order.push("the next turn"));
    await store.fetch("orders", 0, 0).then(() => order.push("fetched"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(["fetched", "the next turn"]);
  });

  test("lets others have their turn where somebody reads on and on in memory", async () => {
    const store = await openStore();
    store.putBatch(messages(1000).map((one) => ({ ...one, body: new Uint8Array(4000) })));
    const read = async (next: (n: number) => Promise<unknown>): Promise<number> => {
      let [turns, ended] = [0, false];
      const count = (): void => {
        turns += 1;
        if (!ended) setImmediate(count);
      };
      setImmediate(count);
      for (let n = 0; n < 1000; n++) await next(n);
      ended = true;
      return turns;
    };
    const { physicalOffset } = store.get("orders", 0, 0).messages[0] as StoredMessage;
    // Four megabytes, a thousand times a message, a thousand times nothing.
    expect(await read((n) => store.fetch("orders", 0, n, { max: 1 }))).toBeGreaterThan(2);
    expect(await read(() => store.fetchAt(physicalOffset))).toBeGreaterThan(2);
    expect(await read(() => store.fetch("orders", 9, 0))).toBeGreaterThan(2);
  });

  test.runIf(supports.coldReads)("reads from the disk what is not in memory, and says so", async () => {
    const { store } = await coldStore(3000);
    const found: string[] = [];
    let cold = 0;
    for (let offset = 0; offset < 3000; ) {
      const result = await store.fetch("orders", 0, offset, { max: 100 });
      cold += result.cold ? 1 : 0;
      expect(result.nextOffset).toBeGreaterThan(offset);
      offset = result.nextOffset;
      for (const { body } of result.messages) found.push(text(body).replace(/\.+$/, ""));
    }
    expect(found).toEqual(Array.from({ length: 3000 }, (_, n) => String(n)));
    expect(cold).toBeGreaterThan(0);
  });

  test.runIf(supports.coldReads)("answers from the disk as get does", async () => {
    const asked = [
      { max: 5 },
      { maxBytes: 3000 },
      { maxBytes: 1 },
      { filter: { tags: "odd" }, max: 20 },
      { into: new Uint8Array(5000) },
    ];
    const cold: boolean[] = [];
    for (const options of asked) {
      const { store } = await coldStore(600);
      const fetched = await store.fetch("orders", 0, 180, options);
      const answer = said(fetched);
      cold.push(fetched.cold);
      if (options.into !== undefined) expect(fetched.bytes.buffer).toBe(options.into.buffer);
      expect(answer).toEqual(said(store.get("orders", 0, 180, options)));
    }
    expect(cold).toContain(true);
  });

  test("many at a time are all answered, each its own", async () => {
    const { store } = await coldStore(2000);
    const offsets = Array.from({ length: 200 }, (_, n) => (n * 7919) % 2000);
    const results = await Promise.all(offsets.map((offset) => store.fetch("orders", 0, offset, { max: 1 })));
    expect(results.map(({ messages: [one] }) => one?.queueOffset)).toEqual(offsets);
  });

  test("wants a buffer that has room", async () => {
    const { store } = await coldStore(600);
    const error = await rejected(store.fetch("orders", 0, 0, { into: new Uint8Array(10) }));
    expect(error.code).toBe("STORE_INVALID_ARGUMENT");
    expect(error.details).toMatchObject({
      argument: "options.into",
      needed: thrown(() => store.get("orders", 0, 0, { into: new Uint8Array(10) })).details.needed,
    });
  });

  test("refuses what get refuses, as a rejection", async () => {
    const store = await openStore();
    const wrong: [unknown, unknown, unknown, unknown?][] = [
      [1, 0, 0],
      ["orders", -1, 0],
      ["orders", 0, -1],
      ["orders", 0, 0, { max: 0 }],
      ["orders", 0, 0, { filter: 7 }],
      ["orders", 0, 0, { into: "text" }],
    ];
    for (const question of wrong) {
      const asked = question as unknown as Parameters<Store["get"]>;
      const error = await rejected(store.fetch(...asked));
      const expected = thrown(() => store.get(...asked));
      expect([error.code, error.message, error.details]).toEqual([expected.code, expected.message, expected.details]);
    }
    const signal = {} as AbortSignal;
    expect((await rejected(store.fetch("orders", 0, 0, { signal }))).details.argument).toBe("options.signal");
  });

  test("says what is damaged", async () => {
    const { store, directory } = await coldStore(600);
    const [first = ""] = (await readdir(join(directory, "commitlog"))).sort();
    await store.close();
    await truncate(join(directory, "commitlog", first), 100);
    await truncate(join(directory, "commitlog", first), 256 * 1024);
    const again = await openStore({}, directory);
    const error = await rejected(again.fetch("orders", 0, 0));
    expect(error.code).toBe("STORE_CORRUPT");
    expect(error.details).toEqual(thrown(() => again.get("orders", 0, 0)).details);
  });
});

describe("a signal", () => {
  test("that is aborted before ends the call", async () => {
    const store = await openStore();
    store.put(message());
    const error = await rejected(store.fetch("orders", 0, 0, { signal: AbortSignal.abort("why") }));
    expect([error.code, error.cause]).toEqual(["STORE_ABORTED", "why"]);
    expect((await rejected(store.fetchAt(0, { signal: AbortSignal.abort() }))).code).toBe("STORE_ABORTED");
  });

  test.runIf(supports.coldReads)("that is aborted while it reads ends the wait, and no other", async () => {
    const { store } = await coldStore(2000);
    const controller = new AbortController();
    const { signal } = controller;
    const ended = COLD_PLACES.map((offset) => answer(() => store.fetch("orders", 0, offset, { max: 1, signal })));
    const others = COLD_PLACES.map((offset) => store.fetch("orders", 0, offset + 1, { max: 1 }));
    controller.abort();
    expectEnded(await Promise.all(ended), "STORE_ABORTED");
    expect((await Promise.all(others)).map(({ nextOffset }) => nextOffset)).toEqual(COLD_PLACES.map((one) => one + 2));
  });

  test("that is aborted after the answer changes nothing", async () => {
    const { store } = await coldStore(600);
    const controller = new AbortController();
    const result = await store.fetch("orders", 0, 0, { signal: controller.signal, max: 1 });
    controller.abort();
    expect(result.messages).toHaveLength(1);
  });
});

describe.runIf(supports.coldReads)("a signal of reads from the disk", () => {
  test("ends fetchAt, too: while it reads and before, and not behind it", async () => {
    let { store } = await coldStore(2000);
    const found = await Promise.all(COLD_PLACES.map((offset) => store.fetch("orders", 0, offset, { max: 1 })));
    const places = found.map((one) => (one.messages[0] as StoredMessage).physicalOffset);
    let codes: string[] = [];
    // What a machine with much to do reads ahead may come between: then all of it is there, and it is tried again.
    for (let attempt = 0; attempt < 10 && !codes.includes("STORE_ABORTED"); attempt++) {
      await store.close();
      store = await openCold(store.path);
      const { signal, controller } = withSignal();
      const ended = places.map((place) => answer(() => store.fetchAt(place, { signal })));
      controller.abort("enough");
      codes = await Promise.all(ended);
      const before = await rejected(store.fetchAt(places[0] as number, { signal }));
      expect([before.code, before.cause]).toEqual(["STORE_ABORTED", "enough"]);
    }
    expectEnded(codes, "STORE_ABORTED");
    const { signal, controller } = withSignal();
    expect((await store.fetchAt(places[0] as number, { signal }))?.queueOffset).toBe(100);
    controller.abort();
  });

  test("is left alone by reads that are over, and tells a hundred at once without a warning", async () => {
    const { store } = await coldStore(2000);
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warn);
    onTestFinished(() => void process.off("warning", warn));
    const controller = new AbortController();
    const { signal } = controller;
    const reads = Array.from({ length: 100 }, (_, n) => store.fetch("orders", 0, n * 20, { max: 1, signal }));
    expect(getEventListeners(signal, "abort").length).toBeLessThanOrEqual(1);
    await Promise.all(reads);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await store.close();
    const cold = await openCold(store.path);
    const ended = Array.from({ length: 100 }, (_, n) =>
      answer(() => cold.fetch("orders", 0, n * 20, { max: 1, signal })),
    );
    controller.abort();
    expectEnded(await Promise.all(ended), "STORE_ABORTED");
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  test("gives the caller its buffer back: nothing is written into it any more", async () => {
    const { store } = await coldStore(2000);
    const controller = new AbortController();
    const { signal } = controller;
    const buffers = COLD_PLACES.map(() => new Uint8Array(20_000));
    const codes = COLD_PLACES.map((offset, n) =>
      answer(() => store.fetch("orders", 0, offset, { into: buffers[n], signal })),
    );
    controller.abort();
    const ended = await Promise.all(codes);
    expectEnded(ended, "STORE_ABORTED");
    for (const into of buffers) into.fill(7);
    // Others behind them, so that they would have been read meanwhile.
    await Promise.all(COLD_PLACES.map((offset) => store.fetch("orders", 0, offset + 100)));
    for (const into of buffers) expect(into.every((byte) => byte === 7)).toBe(true);
  });

  test("may close the store when it is aborted", async () => {
    const { store } = await coldStore(2000);
    const controller = new AbortController();
    const { signal } = controller;
    let closing: Promise<void> | undefined;
    signal.addEventListener("abort", () => {
      closing = store.close();
    });
    const codes = COLD_PLACES.map((offset) => answer(() => store.fetch("orders", 0, offset, { signal })));
    controller.abort();
    expectEnded(await Promise.all(codes), "STORE_CLOSED");
    await closing;
    expect(store.state).toBe("closed");
  });

  test("ends a cursor that reads from the disk", async () => {
    const { store } = await coldStore(2000);
    const controller = new AbortController();
    const { signal } = controller;
    const codes = COLD_PLACES.map((from) => answer(() => store.read("orders", 0, { from, signal }).next()));
    controller.abort();
    expectEnded(await Promise.all(codes), "STORE_ABORTED");
  });
});

describe("fetchAt", () => {
  test("finds what at finds, in memory and on disk", async () => {
    const { store } = await coldStore(600);
    const places = store.get("orders", 0, 0, { max: 600, maxBytes: 1 << 20 }).messages.map((one) => one.physicalOffset);
    await store.close();
    const cold = await openCold(store.path);
    const described = (found: StoredMessage | undefined) => found && [found.queueOffset, text(found.body)];
    for (const place of [...places.slice(0, 5), ...places.slice(300, 305), 1, 7, 1e9]) {
      const found = await cold.fetchAt(place);
      expect(described(found)).toEqual(described(cold.at(place)));
    }
  });

  test("refuses what is no offset", async () => {
    const store = await openStore();
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53, "0"]) {
      expect((await rejected(store.fetchAt(wrong as number))).details.argument).toBe("physicalOffset");
    }
  });
});

describe("closing", () => {
  test.runIf(supports.coldReads)("ends the waits of reads in flight, and waits for nobody's disk", async () => {
    const { store } = await coldStore(2000);
    const fetches = Array.from({ length: 50 }, (_, n) => store.fetch("orders", 0, n * 40, { max: 1 }));
    const settled = Promise.allSettled(fetches);
    await store.close();
    const outcomes = await settled;
    const codes = outcomes.map((one) => (one.status === "fulfilled" ? "ok" : one.reason.code));
    expect(new Set(codes)).toEqual(new Set(codes.filter((code) => code === "ok" || code === "STORE_CLOSED")));
    expect(codes).toContain("STORE_CLOSED");
    await openStore({}, store.path);
  });

  test("by a getter of the options is noticed", async () => {
    const { store } = await coldStore(600);
    const options = {
      get max() {
        void store.close();
        return 1;
      },
    };
    expect((await rejected(store.fetch("orders", 0, 0, options))).code).toBe("STORE_CLOSED");
  });
});

describe("a cursor", () => {
  test("is left while it reads: it does not wait for what comes then", async () => {
    const { store } = await coldStore(600);
    for (const from of [undefined, 599, 600]) {
      const cursor = store.read("orders", 0, { from, follow: true });
      const next = cursor.next();
      const left = cursor.return();
      expect((await left).done).toBe(true);
      expect((await next).done).toBe(from === 600);
      expect((await cursor.next()).done).toBe(true);
    }
    const empty = store.read("orders", 7, { follow: true }).batches();
    const next = empty.next();
    await empty.throw?.(new Error("mine")).catch(() => {});
    expect((await next).done).toBe(true);
  });

  test("reads on from the disk", async () => {
    const { store } = await coldStore(2000);
    let next = 0;
    for await (const one of store.read("orders", 0)) expect(one.queueOffset).toBe(next++);
    expect(next).toBe(2000);
    expect((await stat(join(store.path, "commitlog"))).isDirectory()).toBe(true);
  });
});
