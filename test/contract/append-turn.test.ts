/** Appends of one turn: what else is asked of the store in that turn finds them. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Message, type PutResult, Store } from "../../src/index.ts";
import { supports } from "./engine.ts";
import { bytes, message, openStore, text } from "./temporary-store.ts";

/** Appends so many in one turn, nobody of whom is waited for. */
function appended(store: Store, count: number): Promise<PutResult>[] {
  return Array.from({ length: count }, (_, n) =>
    store.append(message({ keys: [`k${n}`], tags: "paid", body: bytes(String(n)) })),
  );
}

function bodies(store: Store): string[] {
  return store.get("orders", 0, 0, { max: 10_000, maxBytes: 1 << 24 }).messages.map(({ body }) => text(body));
}

const digits = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

/** What finds ten messages in the store; each in a turn of its own. */
const askers: [string, (store: Store) => unknown, unknown][] = [
  ["get", bodies, digits(10)],
  ["at", (store) => text((store.at(0) as { body: Uint8Array }).body), "0"],
  ["lookup", (store) => store.lookup("orders", "k9").length, 1],
  ["lookupAll", (store) => store.lookupAll("orders", ["k1", "k9"]).map((found) => found.length), [1, 1]],
  ["offsets", (store) => store.offsets("orders", 0), { min: 0, max: 10, next: 10 }],
  ["log", (store) => store.log.endOffset > 0 && store.log.endOffset === store.log.visibleOffset, true],
  ["scan", (store) => [...store.scan()].length, 10],
  ["topics", (store) => store.topics(), ["orders"]],
  ["queues", (store) => store.queues("orders"), [0]],
  ["entries", (store) => store.entries("orders", 0).length, 10],
  ["offsetByTime", (store) => store.offsetByTime("orders", 0, Number.MAX_SAFE_INTEGER, "upper"), 9],
  ["timeOf", (store) => store.timeOf("orders", 0, 9) !== undefined, true],
  ["stats", (store) => store.stats().messagesPut, 10],
  ["put", (store) => store.put(message()).queueOffset, 10],
  ["putBatch", (store) => [...store.putBatch([message()]).queueOffsets], [10]],
  ["putGroup", (store) => [...store.putGroup("orders", 0, [{ body: bytes("") }]).queueOffsets], [10]],
  [
    "putColumns",
    (store) => {
      const columns = { topics: ["orders"], bytes: new Uint8Array(1), bodies: new Uint32Array([0, 1]) };
      return [...store.putColumns({ ...columns, queueIds: new Int32Array(1) }).queueOffsets];
    },
    [10],
  ],
  ["fetch", (store) => store.fetch("orders", 0, 9).then(({ messages }) => messages.length), 1],
  ["fetchAt", (store) => store.fetchAt(0).then((found) => found?.queueOffset), 0],
  ["arrival", (store) => store.arrival("orders", 0, 9), true],
  ["read", async (store) => (await store.read("orders", 0).next()).done, false],
  ["flush", (store) => store.flush().then((durable) => durable === store.log.endOffset && durable > 0), true],
  ["verify", (store) => store.verify({ deep: true }), []],
];

describe("appends of one turn", () => {
  test.each(askers)("are there for %s", async (_, ask, answer) => {
    const store = await openStore();
    const appends = appended(store, 10);
    expect(await ask(store)).toEqual(answer);
    expect((await Promise.all(appends)).map(({ queueOffset }) => queueOffset)).toEqual([...Array(10).keys()]);
  });

  test("are there after a close", async () => {
    const store = await openStore();
    const appends = appended(store, 10);
    await store.close();
    expect((await Promise.all(appends)).map(({ queueOffset }) => queueOffset)).toEqual([...Array(10).keys()]);
    expect(bodies(await openStore({}, store.path))).toEqual(digits(10));
  });

  test("and puts between them are stored in the order of the calls", async () => {
    const store = await openStore();
    const appends: Promise<PutResult>[] = [];
    for (let n = 0; n < 3000; n++) {
      if (n % 7 === 3) store.put(message({ body: bytes(String(n)) }));
      else appends.push(store.append(message({ body: bytes(String(n)) }), { durability: n % 5 ? "memory" : "disk" }));
    }
    await Promise.all(appends);
    expect(bodies(store)).toEqual(digits(3000));
  });

  test("are in the log with the end of the turn, though nobody asks", async () => {
    const store = await openStore();
    const appends = appended(store, 10);
    let settled = 0;
    for (const each of appends) each.then(() => settled++);
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(10);
  });

  test("that the engine refuses are told so, and the others are stored", async () => {
    const store = await openStore();
    const refused = message({ properties: { INNER_MULTI_DISPATCH: "%LMQ%a,other" } });
    const appends = digits(20).map((body, n) => store.append(n % 6 === 5 ? refused : message({ body: bytes(body) })));
    const settled = await Promise.allSettled(appends);
    const codes = settled.map((one) => (one.status === "fulfilled" ? "ok" : one.reason.code));
    expect(codes).toEqual(digits(20).map((_, n) => (n % 6 === 5 ? "STORE_INVALID_ARGUMENT" : "ok")));
    const told = settled[5] as PromiseRejectedResult;
    expect([told.reason.details.argument, told.reason.message]).toEqual([
      "properties",
      expect.stringMatching(/^INNER_MULTI_DISPATCH names/),
    ]);
    expect(bodies(store)).toEqual(digits(20).filter((_, n) => n % 6 !== 5));
  });

  test("hold what they were given, the time included", async () => {
    const store = await openStore();
    const body = bytes("before");
    const start = Date.now();
    const appends = [0, 1, 2].map(() => store.append(message({ body })));
    const called = Date.now();
    body.set(bytes("behind"));
    while (Date.now() < called + 20);
    await Promise.all(appends);
    const { messages } = store.get("orders", 0, 0, { max: 3 });
    for (const { body: found, bornTimestamp, storeTimestamp } of messages.slice(1)) {
      expect(text(found)).toBe("before");
      expect(bornTimestamp).toBeGreaterThanOrEqual(start);
      expect(bornTimestamp).toBeLessThanOrEqual(called);
      expect(storeTimestamp).toBeGreaterThanOrEqual(bornTimestamp);
    }
  });

  test("come behind those that a getter of theirs appends or puts", async () => {
    const store = await openStore();
    const within = (body: string, act: () => void): Message => ({
      ...message({ body: bytes(body) }),
      get keys() {
        act();
        return [body];
      },
    });
    const inner: Promise<PutResult>[] = [];
    const appends = [store.append(message({ body: bytes("0") })), store.append(message({ body: bytes("1") }))];
    appends.push(store.append(within("3", () => inner.push(store.append(message({ body: bytes("2") }))))));
    appends.push(store.append(within("5", () => store.put(message({ body: bytes("4") })))));
    store.put(within("7", () => inner.push(store.append(message({ body: bytes("6") })))));
    await Promise.all([...appends, ...inner]);
    expect(bodies(store)).toEqual(digits(8));
  });

  test.each([false, true])("come before those that who hears of them appends; and reads: %s", async (reads) => {
    const store = await openStore();
    const refused = message({ properties: { INNER_MULTI_DISPATCH: "%LMQ%a,other" } });
    const later: Promise<PutResult>[] = [];
    const read: string[][] = [];
    let heard = 0;
    const hear = (): void => {
      if (heard === 3) return;
      later.push(store.append(message({ body: bytes(`later ${heard++}`) })));
      if (reads) read.push(bodies(store).slice(0, 4));
    };
    const appends = [store.append(message({ body: bytes("0") }))];
    subscribe("moraine:put", hear);
    onTestFinished(() => void unsubscribe("moraine:put", hear));
    for (const one of [
      message({ body: bytes("1") }),
      refused,
      message({ body: bytes("2") }),
      message({ body: bytes("3") }),
    ]) {
      appends.push(store.append(one));
    }
    expect((await Promise.allSettled(appends)).map(({ status }) => status === "fulfilled")).toEqual([
      true,
      true,
      false,
      true,
      true,
    ]);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all(later);
    expect(bodies(store)).toEqual([...digits(4), "later 0", "later 1", "later 2"]);
    expect(read).toEqual(Array(reads ? 3 : 0).fill(digits(4)));
  });

  test("wake who waits for them", async () => {
    const store = await openStore();
    const heard: number[] = [];
    store.onAppend(({ count }) => heard.push(count));
    const arrivals = [0, 5, 9].map((offset) => store.arrival("orders", 0, offset));
    await Promise.all(appended(store, 10));
    expect(await Promise.all(arrivals)).toEqual([true, true, true]);
    await expect.poll(() => heard.reduce((sum, count) => sum + count, 0)).toBe(10);
  });

  test.runIf(supports.threads)("are there for other store objects of the thread that have attached to it", async () => {
    const store = await openStore();
    const other = await Store.attach(store.share());
    onTestFinished(() => other.close());
    const ours = appended(store, 3);
    expect(bodies(other)).toEqual(["0", "1", "2"]);
    const mixed = digits(12).map((body, n) => (n % 2 ? other : store).append(message({ body: bytes(body) })));
    other.put(message({ body: bytes("12") }));
    expect(bodies(store)).toEqual(["0", "1", "2", ...digits(13)]);
    await Promise.all([...ours, ...mixed]);
    await other.close();
    const last = appended(store, 2);
    await store.close();
    expect((await Promise.all(last)).map(({ queueOffset }) => queueOffset)).toEqual([16, 17]);
  });

  test("of a store that is closed before its turn ends are refused from there on", async () => {
    const store = await openStore({ flush: "sync" });
    const before = appended(store, 3);
    const closing = store.close();
    const behind = await Promise.allSettled(appended(store, 2));
    expect(behind.map((one) => one.status === "rejected" && one.reason.code)).toEqual(["STORE_CLOSED", "STORE_CLOSED"]);
    await closing;
    expect((await Promise.all(before)).map(({ queueOffset }) => queueOffset)).toEqual([0, 1, 2]);
  });
});
