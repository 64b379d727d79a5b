import { execFile } from "node:child_process";
import { cp, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { coolDown } from "./cold.ts";
import { supports } from "./engine.ts";
import { bytes, message, messages, openStore, rejected, temporaryDirectory, text, thrown } from "./temporary-store.ts";
import { attached, refusal, Thread } from "./worker.ts";

describe.runIf(supports.threads)("a store in two threads", () => {
  test("is one store: what one puts the other reads", async () => {
    const store = await openStore();
    const thread = new Thread(store.share());
    expect(await thread.call("attach")).toEqual({ path: store.path, engine: "native", state: "open", readOnly: false });
    store.put(message({ body: bytes("from here") }));
    expect(await thread.call("put", 2)).toEqual([1, 2]);
    expect(store.get("orders", 0, 0).messages.map(({ body }) => text(body))).toEqual(["from here", "0", "1"]);
    expect(await thread.call("bodies", "orders", 0, 0)).toEqual(["from here", "0", "1"]);
    expect(await thread.call("log")).toEqual({ ...store.log });
  });

  test("gives each queue offset once, whoever puts", async () => {
    const store = await openStore();
    const threads = await Promise.all([attached(store.share()), attached(store.share())]);
    const theirs = threads.map((thread) => thread.call<number[]>("put", 3000));
    const own: number[] = [];
    for (let n = 0; n < 3000; n += 1) {
      own.push(store.put(message()).queueOffset);
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const all = [own, ...(await Promise.all(theirs))].flat().sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 9000 }, (_, n) => n));
    expect([...store.get("orders", 0, 0, { max: 9000, maxBytes: 1 << 24 }).messages]).toHaveLength(9000);
  });

  test("keeps what was put in any thread when it is opened again", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    const thread = await attached(store.share());
    await thread.call("putBatch", 500);
    store.putBatch(messages(500));
    await thread.call("close");
    await store.close();
    const again = await openStore({}, directory);
    expect(again.health()).toMatchObject({ clean: true, findings: [] });
    expect(again.offsets("orders", 0)).toEqual({ min: 0, max: 1000, next: 1000 });
  });

  test("reads what is on disk in each", async () => {
    const directory = await temporaryDirectory();
    const first = await openStore({}, directory);
    first.putBatch(messages(600).map((one) => ({ ...one, body: bytes(text(one.body).padEnd(1000, ".")) })));
    await first.close();
    let isCold = false;
    // Asking whether something is in memory may bring it there in time: then it is tried again.
    for (let attempt = 0; attempt < 10 && !isCold; attempt++) {
      coolDown(directory);
      const store = await openStore({}, directory);
      coolDown(directory);
      const thread = await attached(store.share());
      const found = await thread.call<{ cold: boolean }>("fetched", "orders", 0, 100, { max: 2 });
      expect(found).toEqual({ bodies: ["100", "101"], cold: expect.any(Boolean) });
      isCold = found.cold;
      const [one] = (await store.fetch("orders", 0, 300, { max: 1 })).messages;
      expect(one?.queueOffset).toBe(300);
      await thread.call("close");
      await store.close();
    }
    expect(isCold).toBe(true);
  });

  test("can be shared again by a thread that was attached, also when the first has left", async () => {
    const store = await openStore();
    const second = await attached(store.share());
    await store.close();
    const third = await attached(await second.call<string>("share"));
    await third.call("put", 3);
    expect(await second.call("bodies", "orders", 0, 0)).toEqual(["0", "1", "2"]);
  });

  test("opened with readOnly is shared as that", async () => {
    const writer = await openStore();
    writer.putBatch(messages(3));
    await writer.close();
    const store = await openStore({ readOnly: true }, writer.path);
    const thread = new Thread(store.share());
    expect(await thread.call("attach")).toMatchObject({ readOnly: true });
    expect(await thread.call("bodies", "orders", 0, 1)).toEqual(["1", "2"]);
    expect(await refusal(thread.call("put", 1))).toBe("STORE_READ_ONLY");
  });
});

describe.runIf(supports.threads)("waiting across threads", () => {
  test("ends with a put of another one, in both directions", async () => {
    const store = await openStore();
    const thread = await attached(store.share());
    const here = store.arrival("orders", 0, 0);
    const there = thread.call("arrival", "orders", 1, 0);
    await thread.call("put", 1);
    expect(await here).toBe(true);
    await sleep(20);
    store.put(message({ queueId: 1 }));
    expect(await there).toBe(true);
  });

  test("wakes nobody for another queue, and everybody who waits for the same one", async () => {
    const store = await openStore();
    const threads = await Promise.all([attached(store.share()), attached(store.share())]);
    const waits = threads.map((thread) => thread.call("arrival", "orders", 7, 0));
    const other = store.arrival("orders", 8, 0, { timeoutMs: 300 });
    const here = store.arrival("orders", 7, 0);
    await sleep(20);
    store.put(message({ queueId: 7 }));
    expect(await Promise.all([...waits, here])).toEqual([true, true, true]);
    expect(await other).toBe(false);
  });

  test("goes on and on: a thousand messages, one after the other, to and fro", async () => {
    const store = await openStore();
    const thread = await attached(store.share());
    for (let n = 0; n < 500; n++) {
      const answer = thread.call("arrival", "ping", 0, n).then(() => thread.call("put", 1, { topic: "pong" }));
      store.put(message({ topic: "ping" }));
      expect(await store.arrival("pong", 0, n)).toBe(true);
      await answer;
    }
  });

  test("in a synchronous store ends with the sync that somebody asked for", async () => {
    const store = await openStore({ flush: "sync" });
    const thread = await attached(store.share());
    const there = thread.call("arrival", "orders", 0, 0);
    const here = store.arrival("orders", 0, 0);
    await sleep(20);
    await thread.call("append");
    expect(await Promise.all([there, here])).toEqual([true, true]);
  });

  test("listeners hear everything, in the order of the log, whoever puts", async () => {
    const store = await openStore();
    const threads = await Promise.all([attached(store.share()), attached(store.share())]);
    const [putter, listener] = threads as [Thread, Thread];
    const here: number[] = [];
    store.onAppend(({ physicalOffsets }) => here.push(...physicalOffsets));
    const { done } = await listener.begin<number[]>("listen", 2000);
    const theirs = putter.call("put", 1000);
    for (let n = 0; n < 10; n++) {
      store.putBatch(messages(100));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await theirs;
    const there = await done;
    while (here.length < 2000) await sleep(5);
    expect(here).toEqual([...here].sort((a, b) => a - b));
    expect(new Set(here).size).toBe(2000);
    expect(there).toEqual(here);
  });

  test("a follower of the log sees what another thread puts", async () => {
    const store = await openStore();
    const thread = await attached(store.share());
    const seen: string[] = [];
    const reading = (async () => {
      for await (const item of store.scan({ follow: true })) {
        if (item.kind === "message") seen.push(text(item.message.body));
        if (seen.length === 10) return;
      }
    })();
    await sleep(20);
    await thread.call("put", 10);
    await reading;
    expect(seen).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  });

  test("flushes are shared: one sync tells all who wait for it", async () => {
    const store = await openStore();
    const thread = await attached(store.share());
    const { endOffset } = store.put(message());
    const [there, here] = await Promise.all([thread.call<number>("flush"), store.flush()]);
    expect(Math.min(there, here)).toBeGreaterThanOrEqual(endOffset);
  });
});

describe.runIf(supports.threads)("leaving", () => {
  test("the last one out closes, whoever it is", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    const thread = await attached(store.share());
    store.put(message());
    await store.close();
    expect(store.state).toBe("closed");
    expect((await rejected(Store.open(directory))).code).toBe("STORE_LOCKED");
    await thread.call("put", 1);
    await thread.call("close");
    const again = await openStore({}, directory);
    expect(again.health().clean).toBe(true);
    expect(again.offsets("orders", 0).max).toBe(2);
  });

  test("flushes what was put, also when others stay", async () => {
    const store = await openStore({ flushIntervalMs: 3_600_000 });
    const thread = await attached(store.share());
    await thread.call("put", 10);
    await thread.call("close");
    expect(store.log.durableOffset).toBe(store.log.endOffset);
    expect(await refusal(thread.call("put", 1))).toBe("STORE_CLOSED");
  });

  test("a thread that is ended in the middle of its puts leaves the store whole", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    for (let round = 0; round < 5; round++) {
      const thread = await attached(store.share());
      await thread.begin("putForever", { topic: `round-${round}` });
      await sleep(30);
      await thread.terminate();
      const { max } = store.offsets(`round-${round}`, 0);
      store.put(message({ topic: `round-${round}`, body: bytes("behind") }));
      expect(text(store.get(`round-${round}`, 0, max).messages[0]?.body ?? bytes("none"))).toBe("behind");
      expect(store.state).toBe("open");
    }
    await store.close();
    const again = await openStore({}, directory);
    expect(again.health()).toMatchObject({ clean: true, findings: [] });
  });

  test("a thread that is ended while it reads leaves nothing behind", async () => {
    const directory = await temporaryDirectory();
    const first = await openStore({}, directory);
    first.putBatch(messages(2000).map((one) => ({ ...one, body: bytes(text(one.body).padEnd(1000, ".")) })));
    await first.close();
    for (let round = 0; round < 5; round++) {
      coolDown(directory);
      const store = await openStore({}, directory);
      const thread = await attached(store.share());
      await thread.begin("fetchForever", "orders");
      await sleep(10);
      await thread.terminate();
      expect(store.get("orders", 0, 1999).messages).toHaveLength(1);
      await store.close();
    }
  });

  test("the last thread that exits closes what it has open", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore({}, directory);
    const thread = await attached(store.share());
    await store.close();
    await thread.call("put", 5);
    await refusal(Promise.race([thread.call("exit"), sleep(500)]));
    await thread.terminate();
    const again = await openStore({}, directory);
    expect(again.health().clean).toBe(true);
    expect(again.offsets("orders", 0).max).toBe(5);
  });

  test("gives up what the thread held of the log", async () => {
    const store = await openStore();
    for (let n = 0; n < 40; n++) store.put(message({ body: new Uint8Array(50_000) }));
    const thread = await attached(store.share());
    await thread.call("retain", 0);
    expect((await store.expire({ maxBytes: 300_000 })).files).toBe(0);
    await thread.terminate();
    expect((await store.expire({ maxBytes: 300_000 })).files).toBeGreaterThan(0);
  });
});

describe.runIf(supports.threads)("a token", () => {
  test("that is none is refused", async () => {
    for (const token of [undefined, 7, "", "moraine:", "moraine:1-2-3:x", {}]) {
      const error = await rejected(Store.attach(token as string));
      expect([error.code, error.details.argument]).toEqual(["STORE_INVALID_ARGUMENT", "token"]);
    }
  });

  test("of a store that is closed, or was never shared, is refused", async () => {
    const store = await openStore();
    const token = store.share();
    await store.close();
    expect((await rejected(Store.attach(token))).code).toBe("STORE_CLOSED");
    expect((await rejected(Store.attach(token.replace(/\d+$/, "4294967295")))).code).toBe("STORE_CLOSED");
    expect(thrown(() => store.share()).code).toBe("STORE_CLOSED");
  });

  test("of another process is refused, and both are named", async () => {
    const store = await openStore();
    const token = store.share();
    const script = join(import.meta.dirname, "attaching-child.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, [script, token]);
    expect(stdout).toContain("STORE_INVALID_ARGUMENT");
    expect(stdout).toContain(`process ${process.pid}`);
  });

  test("of another copy of the package is refused, and its store is locked", async () => {
    const copy = join(await temporaryDirectory(), "moraine");
    await mkdir(copy);
    const moraine = dirname(createRequire(import.meta.url).resolve("moraine/package.json"));
    for (const name of ["dist", "prebuilds", "package.json"])
      await cp(join(moraine, name), join(copy, name), { recursive: true });
    const other = (await import(join(copy, "dist", "index.js"))) as { Store: typeof Store };
    const store = await openStore();
    const refused = await other.Store.attach(store.share()).catch((error) => error);
    expect(refused.code).toBe("STORE_INVALID_ARGUMENT");
    expect(refused.message).toContain("another copy of moraine");
    const locked = await other.Store.open(store.path).catch((error) => error);
    expect(locked.code).toBe("STORE_LOCKED");
    expect(locked.message).toContain("held by this process, which has opened it already");
  });

  test("opens the store in the thread that made it, too", async () => {
    const store = await openStore();
    const twin = await Store.attach(store.share());
    twin.put(message());
    await twin.close();
    expect(store.offsets("orders", 0).max).toBe(1);
    expect(store.state).toBe("open");
  });
});

describe.runIf(supports.threads)("tables", () => {
  test("stay with the thread that opened the store", async () => {
    const store = await openStore();
    const thread = await attached(store.share());
    store.table("settings").set("key", 1);
    expect(await refusal(thread.call("table"))).toBe("STORE_UNSUPPORTED");
  });
});
