/** How stores come to an end, with work in flight, with their process or thread, again and again. Needs the package built. */
import { execFile } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";
import { coolDown } from "./cold.ts";
import { ENGINE, supports } from "./engine.ts";
import { answer, bytes, message, messages, openStore, temporaryDirectory, text } from "./temporary-store.ts";
import { attached, Thread } from "./worker.ts";

interface Ended {
  code: number | string | null;
  signal: string | null;
  stderr: string;
  seen: unknown;
}

/** Runs a scenario of lifecycle-child.mjs to its end. */
function child(scenario: string, directory: string, ...more: string[]): Promise<Ended> {
  const script = join(import.meta.dirname, "lifecycle-child.mjs");
  // A young generation that stays small: what grows then is no garbage that waits.
  const args = ["--expose-gc", "--max-semi-space-size=1", script, scenario, directory, ENGINE, ...more];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 55_000 }, (error, stdout, stderr) => {
      const { code = 0, signal = null } = error ?? {};
      resolve({ code, signal: signal as string | null, stderr, seen: stdout === "" ? undefined : JSON.parse(stdout) });
    });
  });
}

/** A directory with a store of 600 messages of a kilobyte, closed, of which nothing is in memory. */
async function coldDirectory(): Promise<string> {
  const directory = await temporaryDirectory();
  const store = await openStore({}, directory);
  store.putBatch(messages(600).map((one) => ({ ...one, body: bytes(text(one.body).padEnd(1000, ".")) })));
  await store.close();
  coolDown(directory);
  return directory;
}

/** The queue offsets of a queue that can be read. */
async function readable(store: Store, topic: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { queueOffset } of store.read(topic, 0)) found.push(queueOffset);
  return found;
}

describe("process.exit with everything in flight", () => {
  test.each(["at once", "next turn", "half way", "closing"])(
    "%s leaves a store that has what was acknowledged",
    async (when) => {
      const directory = await coldDirectory();
      for (let round = 1; round <= 2; round++) {
        const ended = await child("exit", directory, when);
        expect(ended).toEqual({ code: 7, signal: null, stderr: "", seen: { acknowledged: 20 } });
        const store = await openStore({}, directory);
        expect(store.health().findings.filter(({ kind }) => kind !== "unclean")).toEqual([]);
        expect(await readable(store, "kept")).toEqual([...Array(20 * round).keys()]);
        expect(await readable(store, "orders")).toEqual([...Array(600).keys()]);
        // Those that nobody was told of are there from the front, without a gap.
        const left = await readable(store, "left");
        expect(left).toEqual([...left.keys()]);
        expect(await store.verify({ deep: true })).toEqual([]);
        await store.close();
      }
    },
  );
});

describe.runIf(supports.threads)("a thread that is ended with everything in flight", () => {
  test("closes the store that it had opened", async () => {
    const directory = await coldDirectory();
    for (let round = 1; round <= 5; round++) {
      const thread = new Thread(undefined);
      await thread.call("open", directory, { engine: ENGINE, segmentBytes: 262_144 });
      await thread.call("put", 10, { topic: "kept" });
      await thread.begin("leaveInFlight");
      if (round % 2 === 0) await turn();
      await thread.terminate();
      const store = await openStore({}, directory);
      expect(store.health()).toMatchObject({ clean: true, findings: [] });
      expect(await readable(store, "kept")).toEqual([...Array(10 * round).keys()]);
      await store.close();
    }
  });

  test("holds its store no longer than it lives, which may be longer than it takes to end it", async () => {
    const directory = await coldDirectory();
    const thread = new Thread(undefined);
    await thread.call("open", directory, { engine: ENGINE, segmentBytes: 262_144 });
    await thread.call("put", 10, { topic: "kept" });
    await thread.begin("leaveInFlight");
    await thread.terminate();
    let store: Store | undefined;
    const opened = async () => {
      store = await openStore({}, directory);
      return store.health().clean;
    };
    await expect.poll(opened, { timeout: 30_000 }).toBe(true);
    expect(await readable(store as Store, "kept")).toEqual([...Array(10).keys()]);
  });

  test("leaves the store to the others, which go on", async () => {
    const directory = await coldDirectory();
    const store = await openStore({}, directory);
    const stays = await attached(store.share());
    for (let round = 1; round <= 5; round++) {
      const thread = await attached(store.share());
      await thread.begin("leaveInFlight");
      const fetched = store.fetch("orders", 0, round * 100, { max: 1 });
      const appended = store.append(message({ topic: "kept" }), { durability: "disk" });
      await thread.terminate();
      expect((await fetched).nextOffset).toBe(round * 100 + 1);
      expect((await appended).queueOffset).toBe(round - 1);
      expect(await stays.call("bodies", "kept", 0, 0)).toHaveLength(round);
    }
    await stays.call("close");
    await store.close();
    expect((await openStore({}, directory)).health()).toMatchObject({ clean: true, findings: [] });
  });
});

interface Look {
  rss: number;
  heapUsed: number;
  external: number;
  arrayBuffers: number;
  files: number;
  threads: number;
}

describe("stores by the thousand, one behind the other", () => {
  test("take no more memory, files and threads than a few", async () => {
    // In memory where there is such a place: a disk would only make them slow.
    const place = existsSync("/dev/shm") ? await mkdtemp("/dev/shm/moraine-") : await temporaryDirectory();
    onTestFinished(() => rm(place, { recursive: true, force: true }));
    // Each has its own instance of the module, which takes time to make.
    const stores = ENGINE === "wasm" ? 400 : 2000;
    const { seen, code, stderr } = await child("cycles", join(place, "store"), String(stores));
    expect([code, stderr]).toEqual([0, ""]);
    const [early, late] = (seen as { looks: Look[] }).looks as [Look, Look];
    // Half of the stores lie between the two: half a page of each would be more.
    expect(late.heapUsed - early.heapUsed).toBeLessThan(stores * 1000);
    expect(late.external - early.external).toBeLessThan(stores * 1000);
    expect(late.rss - early.rss).toBeLessThan(16_000_000);
    expect(late.files).toBeLessThanOrEqual(early.files);
    expect(late.threads).toBeLessThanOrEqual(early.threads);
  });
});

describe("garbage collection", () => {
  test("between all steps takes nothing that is in use", async () => {
    const directory = await temporaryDirectory();
    expect(await child("collected", directory)).toEqual({
      code: 0,
      signal: null,
      stderr: "",
      seen: {
        appended: 51,
        findings: 0,
        next: "last",
        arrival: true,
        heard: 1,
        again: "STORE_LOCKED",
        outlives: "other",
        same: true,
      },
    });
    const store = await openStore({}, directory);
    expect(store.health()).toMatchObject({ clean: true, findings: [] });
    expect(store.offsets("orders", 0).max).toBe(52);
  });
});

describe("stores of one process", () => {
  test("do not disturb each other", async () => {
    const stores = await Promise.all(
      Array.from({ length: 12 }, (_, n) => openStore({ flush: n % 2 === 0 ? "sync" : "async" })),
    );
    const heard = stores.map(() => 0);
    for (const [n, store] of stores.entries()) {
      store.onAppend(({ count }) => {
        heard[n] = (heard[n] as number) + count;
      });
    }
    for (let round = 0; round < 20; round++) {
      const all = stores.map((store, n) => store.append(message({ body: bytes(`${n}/${round}`) })));
      stores[round % 12]?.putBatch(messages(10, { topic: "more" }));
      for (const { queueOffset } of await Promise.all(all)) expect(queueOffset).toBe(round);
    }
    await Promise.all(stores.map((store) => store.flush()));
    // Half of them end while the others read.
    const fetches = stores.map((store) => store.fetch("orders", 0, 0, { max: 100 }));
    await Promise.all(stores.slice(0, 6).map((store) => store.close()));
    for (const [n, fetched] of (await Promise.all(fetches)).entries()) {
      expect(fetched.messages.map(({ body }) => text(body))).toEqual(
        Array.from({ length: 20 }, (_, round) => `${n}/${round}`),
      );
    }
    for (const [n, store] of stores.entries()) {
      expect(store.state).toBe(n < 6 ? "closed" : "open");
      expect(await answer(() => store.put(message()))).toBe(n < 6 ? "STORE_CLOSED" : "ok");
    }
    await Promise.all(stores.map((store) => store.close()));
    for (const [n, count] of heard.entries()) expect(count).toBe(20 + (n < 8 ? 20 : 10) + (n < 6 ? 0 : 1));
  });

  test("that fail to open leave the others alone", async () => {
    const store = await openStore();
    for (let n = 0; n < 20; n++) {
      expect(await answer(() => Store.open(store.path, { engine: ENGINE }))).toBe("STORE_LOCKED");
      expect(await answer(() => Store.open("/dev/null/no", { engine: ENGINE }))).toBe("STORE_IO");
      expect(store.put(message()).queueOffset).toBe(n);
    }
  });
});

describe("a callback that closes the store", () => {
  /** Runs `act` on a store with a message, and expects it to be closed when all is done. */
  async function closedBy(
    act: (store: Store, close: () => void) => unknown,
    options: StoreOptions = {},
  ): Promise<Store> {
    const store = await openStore(options);
    store.put(message({ body: bytes("first") }));
    await store.flush();
    let closing: Promise<void> | undefined;
    await act(store, () => {
      closing ??= store.close();
    });
    expect(closing).toBeDefined();
    await closing;
    expect(store.state).toBe("closed");
    return store;
  }

  /** What is published on a channel about the store is heard by `listener` while the test runs. */
  function hear(channel: string, store: Store, listener: () => void): void {
    const heard = (told: unknown): void => {
      if ((told as { path: string }).path === store.path) listener();
    };
    subscribe(channel, heard);
    onTestFinished(() => void unsubscribe(channel, heard));
  }

  test("an arrival, woken inside a put", async () => {
    const store = await closedBy(async (store, close) => {
      const others = [store.arrival("orders", 0, 5), store.arrival("orders", 1, 0)].map((each) => answer(() => each));
      const woken = store.arrival("orders", 0, 1).then(close);
      expect(store.put(message()).queueOffset).toBe(1);
      await woken;
      expect(await Promise.all(others)).toEqual(["STORE_CLOSED", "STORE_CLOSED"]);
      expect(await answer(() => store.put(message()))).toBe("STORE_CLOSED");
    });
    expect((await openStore({}, store.path)).offsets("orders", 0).max).toBe(2);
  });

  test("a fetch, of what is in memory and of what is not", async () => {
    await closedBy((store, close) => store.fetch("orders", 0, 0).then(close));
    const store = await openStore({}, await coldDirectory());
    const others = [200, 300, 400].map((offset) => answer(() => store.fetch("orders", 0, offset, { max: 1 })));
    const { messages: found } = await store.fetch("orders", 0, 100, { max: 1 }).finally(() => void store.close());
    expect(found[0]?.queueOffset).toBe(100);
    for (const code of await Promise.all(others)) expect(["ok", "STORE_CLOSED"]).toContain(code);
    await store.close();
  });

  test("a flush and an append, with others behind them", async () => {
    const store = await closedBy(
      async (store, close) => {
        const first = store.append(message());
        const more = messages(20).map((each) => answer(() => store.append(each)));
        await first.then(close);
        expect(new Set(await Promise.all(more))).toEqual(new Set(["ok"]));
      },
      { flush: "sync" },
    );
    expect((await openStore({}, store.path)).offsets("orders", 0).max).toBe(22);
    await closedBy(async (store, close) => {
      store.put(message());
      await store.flush().then(close);
    });
  });

  test("a listener of onAppend, and one of each channel", async () => {
    await closedBy(async (store, close) => {
      const heard = new Promise<void>((resolve) => {
        store.onAppend(() => {
          close();
          resolve();
        });
      });
      store.put(message());
      await heard;
    });
    await closedBy(async (store, close) => {
      hear("moraine:put", store, close);
      expect(store.put(message()).queueOffset).toBe(1);
    });
    await closedBy(async (store, close) => {
      hear("moraine:flush", store, close);
      store.put(message());
      expect(await answer(() => store.flush())).toBe("ok");
    });
  });

  test("in the middle of a batch of several calls: what was begun is stored whole", async () => {
    const store = await openStore({ segmentBytes: 64 << 20 });
    let calls = 0;
    hear("moraine:put", store, () => {
      calls++;
      void store.close();
    });
    expect(store.putBatch(messages(40, { body: new Uint8Array(1 << 20) })).count).toBe(40);
    expect(calls).toBeGreaterThan(1);
    expect(store.state).toBe("closing");
    await store.close();
    expect((await openStore({}, store.path)).offsets("orders", 0).max).toBe(40);
  });

  test("a loop over a cursor, and over the log", async () => {
    await closedBy(async (store, close) => {
      const codes = await answer(async () => {
        for await (const one of store.read("orders", 0, { follow: true })) {
          expect(text(one.body)).toBe("first");
          close();
        }
      });
      expect(codes).toBe("STORE_CLOSED");
    });
    await closedBy(async (store, close) => {
      const seen: string[] = [];
      const code = await answer(() => {
        for (const item of store.scan()) {
          seen.push(item.kind);
          close();
        }
      });
      // It had the log up to its end already.
      expect([code, seen]).toEqual(["ok", ["message"]]);
    });
  });

  test("the progress of a verify, and of another store that opens", async () => {
    await closedBy(async (store, close) => {
      expect(await answer(() => store.verify({ onProgress: close }))).toBe("STORE_CLOSED");
    });
    const directory = await coldDirectory();
    await rm(join(directory, "consumequeue"), { recursive: true });
    await closedBy(async (_store, close) => {
      const other = await openStore({ onProgress: close }, directory);
      expect(other.offsets("orders", 0).max).toBe(600);
      close();
    });
  });

  test("the clock, before a message has its time", async () => {
    let close = (): void => {};
    const store = await openStore({
      clock: () => {
        close();
        return 1_700_000_000_000;
      },
    });
    store.put(message());
    close = () => void store.close();
    // It was asked for before the store was closed, and closing waits for it.
    expect(store.put(message()).queueOffset).toBe(1);
    expect(store.state).toBe("closing");
    close = () => {};
    await store.close();
    expect((await openStore({}, store.path)).offsets("orders", 0).max).toBe(2);
  });
});
