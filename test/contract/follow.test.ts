/** Reading that waits at the end: `read` and `scan` with `follow`. */
import { describe, expect, test } from "vitest";
import type { ScanItem, Store, StoredMessage } from "../../src/index.ts";
import { message, messages, openStore, rejected, temporaryDirectory, text, thrown } from "./temporary-store.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The next value of an iteration; what it has come to by now. */
async function now<T>(next: Promise<IteratorResult<T, unknown>>): Promise<T | "waits" | "end"> {
  next.catch(() => {});
  for (let i = 0; i < 3; i++) await turn();
  const settled = await Promise.race([next, Promise.resolve("waits" as const)]);
  if (settled === "waits") return settled;
  return settled.done ? "end" : settled.value;
}

async function take<T>(iteration: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for (let i = 0; i < count; i++) taken.push((await iteration.next()).value);
  return taken;
}

const bodies = (found: StoredMessage[]): string[] => found.map(({ body }) => text(body));
const bodyOf = (item: ScanItem): string => (item.kind === "message" ? text(item.message.body) : item.kind);
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

describe("read with follow", () => {
  test("gives what is there, and then what comes", async () => {
    const store = await openStore();
    store.putBatch(messages(100));
    const reading = store.read("orders", 0, { follow: true });
    expect(bodies(await take(reading, 100))).toEqual(numbers(0, 100));
    const next = reading.next();
    expect(await now(next)).toBe("waits");
    store.putBatch(messages(50, {}, 100));
    const first = await next;
    expect(text((first.value as StoredMessage).body)).toBe("100");
    expect(bodies(await take(reading, 49))).toEqual(numbers(101, 150));
    await reading.return();
  });

  test("waits for a queue that does not exist, and for an offset that the queue has not reached", async () => {
    const store = await openStore();
    const reading = store.read("later", 3, { follow: true }).next();
    const ahead = store.read("later", 3, { follow: true, from: 2 }).next();
    expect(await now(reading)).toBe("waits");
    store.putBatch(messages(2, { topic: "later", queueId: 3 }));
    expect(await now(reading)).toMatchObject({ queueOffset: 0 });
    expect(await now(ahead)).toBe("waits");
    store.put(message({ topic: "later", queueId: 3 }));
    expect(await now(ahead)).toMatchObject({ queueOffset: 2 });
  });

  test("keeps up with one who puts all the time, and leaves the loop its turns", async () => {
    const store = await openStore();
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    let seen = 0;
    store.put(message());
    for await (const { queueOffset } of store.read("orders", 0, { follow: true })) {
      expect(queueOffset).toBe(seen);
      if (++seen === 2000) break;
      store.put(message());
    }
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  test("two that feed each other leave the loop its turns", async () => {
    const store = await openStore();
    let hops = 0;
    const relay = async (from: number, to: number): Promise<void> => {
      for await (const _ of store.read("orders", from, { follow: true })) {
        if (++hops >= 1000) await store.close();
        else store.put(message({ queueId: to }));
      }
    };
    const relays = [relay(0, 1), relay(1, 0)].map(rejected);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    store.put(message());
    for (const { code } of await Promise.all(relays)) expect(code).toBe("STORE_CLOSED");
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  test("with a filter passes by what is not wanted, also at the end", async () => {
    const store = await openStore();
    store.putBatch(messages(200, { tags: "a" }));
    store.put(message({ tags: "b", body: new TextEncoder().encode("first") }));
    const reading = store.read("orders", 0, { follow: true, filter: { tags: "b" } });
    expect(text((await reading.next()).value?.body as Uint8Array)).toBe("first");
    const next = reading.next();
    store.putBatch(messages(100, { tags: "a" }));
    expect(await now(next)).toBe("waits");
    store.put(message({ tags: "b" }));
    expect(await now(next)).toMatchObject({ queueOffset: 301 });
    await reading.return();
  });

  test("of a synchronous store gives nothing before it is durable", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    const reading = store.read("orders", 0, { follow: true });
    const next = reading.next();
    store.put(message());
    expect(await now(next)).toBe("waits");
    await store.flush();
    expect(await now(next)).toMatchObject({ queueOffset: 0 });
    await reading.return();
  });
});

describe("leaving a read that follows", () => {
  test("return ends a next that waits", async () => {
    const store = await openStore();
    const reading = store.read("orders", 0, { follow: true });
    const next = reading.next();
    await turn();
    expect(await reading.return()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await reading.next()).toEqual({ done: true, value: undefined });
    store.put(message());
  });

  test("throw ends a next that waits", async () => {
    const store = await openStore();
    const reading = store.read("orders", 0, { follow: true });
    const next = reading.next();
    await turn();
    await expect(reading.throw(new Error("mine"))).rejects.toThrow("mine");
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test("return before the first next", async () => {
    const store = await openStore();
    const reading = store.read("orders", 0, { follow: true });
    expect(await reading.return()).toEqual({ done: true, value: undefined });
    expect(await reading.next()).toEqual({ done: true, value: undefined });
  });

  test("its signal ends it while it waits, with STORE_ABORTED", async () => {
    const store = await openStore();
    const abort = new AbortController();
    const reading = store.read("orders", 0, { follow: true, signal: abort.signal });
    const next = reading.next();
    await turn();
    abort.abort("enough");
    expect(await rejected(next)).toMatchObject({ code: "STORE_ABORTED", cause: "enough" });
    expect(await reading.next()).toEqual({ done: true, value: undefined });
  });

  test("closing the store ends it with STORE_CLOSED", async () => {
    const store = await openStore();
    store.put(message());
    const reading = store.read("orders", 0, { follow: true });
    await reading.next();
    const next = reading.next();
    await turn();
    const closing = store.close();
    expect((await rejected(next)).code).toBe("STORE_CLOSED");
    await closing;
  });

  test("in a store opened with readOnly it ends behind what was there then", async () => {
    const path = await temporaryDirectory();
    const writer = await openStore({}, path);
    writer.putBatch(messages(2));
    await writer.flush();
    const reader = await openStore({ readOnly: true }, path);
    const reading = reader.read("orders", 0, { follow: true });
    expect(bodies(await take(reading, 2))).toEqual(["0", "1"]);
    expect((await rejected(reading.next())).code).toBe("STORE_READ_ONLY");
    const items = reader.scan({ follow: true });
    expect((await take(items, 2)).map(bodyOf)).toEqual(["0", "1"]);
    expect((await rejected(items.next())).code).toBe("STORE_READ_ONLY");
  });
});

describe("batches", () => {
  test("are the answers of get, to the end that the queue has at the first look", async () => {
    const store = await openStore();
    store.putBatch(messages(1000));
    const found: string[] = [];
    const offsets: number[] = [];
    for await (const result of store.read("orders", 0, { from: 10 }).batches()) {
      expect(result.status).toBe("FOUND");
      found.push(...bodies([...result.messages]));
      offsets.push(result.nextOffset);
      store.put(message());
    }
    expect(found).toEqual(numbers(10, 1000));
    // Twice as many each time while there are more, up to 256.
    expect(offsets).toEqual([42, 106, 234, 490, 746, 1000]);
  });

  test("with follow wait for more, and can be left", async () => {
    const store = await openStore();
    const batches = store.read("orders", 0, { follow: true }).batches();
    const next = batches.next();
    expect(await now(next)).toBe("waits");
    store.putBatch(messages(3));
    expect(await now(next)).toMatchObject({ nextOffset: 3 });
    const last = batches.next();
    await batches.return?.();
    expect(await last).toEqual({ done: true, value: undefined });
  });

  test("begin at the beginning, whatever was read of the cursor", async () => {
    const store = await openStore();
    store.putBatch(messages(5));
    const reading = store.read("orders", 0);
    await reading.next();
    expect((await reading.batches().next()).value.messages).toHaveLength(5);
    expect((await reading.next()).value?.queueOffset).toBe(1);
  });

  test("of an empty queue are none", async () => {
    const store = await openStore();
    expect(await store.read("nobody", 0).batches().next()).toEqual({ done: true, value: undefined });
  });
});

describe("scan with follow", () => {
  test("gives what is there, and then what comes, over the ends of files", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    store.putBatch(messages(20));
    const items = store.scan({ follow: true });
    let position = 0;
    const seen: string[] = [];
    const until = async (count: number): Promise<void> => {
      while (seen.length < count) {
        const { value: item } = (await items.next()) as { value: ScanItem };
        expect(item.physicalOffset).toBe(position);
        position += item.size;
        if (item.kind === "message") seen.push(text(item.message.body));
      }
    };
    await until(20);
    for (let i = 20; i < 100; i += 5) {
      const waiting = until(i + 5);
      await turn();
      store.putBatch(messages(5, {}, i));
      await waiting;
    }
    expect(seen).toEqual(numbers(0, 100));
    expect(position).toBe(store.log.endOffset);
    expect(position).toBeGreaterThan(2 * 4096);
    await items.return?.();
  });

  test("goes on from a position that another one came to", async () => {
    const store = await openStore();
    const { physicalOffsets } = store.putBatch(messages(10));
    const items = store.scan({ from: physicalOffsets[7] as number, follow: true });
    expect((await take(items, 3)).map(bodyOf)).toEqual(["7", "8", "9"]);
    const next = items.next();
    store.put(message({ sysFlag: 0x4 }));
    expect(await now(next)).toMatchObject({ kind: "message" });
    await items.return?.();
  });

  test("waits for a position that the log has not reached", async () => {
    const store = await openStore();
    const { size } = store.put(message());
    const items = store.scan({ from: 3 * size, follow: true });
    const next = items.next();
    store.putBatch([message(), message()]);
    expect(await now(next)).toBe("waits");
    store.put(message());
    expect(await now(next)).toMatchObject({ physicalOffset: 3 * size });
    await items.return?.();
  });

  test("ends before `to`, when the log has come so far", async () => {
    const store = await openStore();
    const { size } = store.put(message());
    const items = store.scan({ to: 3 * size, follow: true });
    await items.next();
    const next = items.next();
    expect(await now(next)).toBe("waits");
    store.putBatch([message(), message(), message()]);
    expect(await now(next)).toMatchObject({ physicalOffset: size });
    expect((await take(items, 1)).map(({ physicalOffset }) => physicalOffset)).toEqual([2 * size]);
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  test("of a synchronous store gives nothing before it is durable", async () => {
    const store = await openStore({ flush: "sync", flushIntervalMs: 60_000 });
    const items = store.scan({ follow: true });
    const next = items.next();
    store.put(message());
    expect(await now(next)).toBe("waits");
    await store.flush();
    expect(await now(next)).toMatchObject({ kind: "message" });
    await items.return?.();
  });

  test("keeps up with one who puts all the time", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    store.put(message());
    let seen = 0;
    for await (const { kind } of store.scan({ follow: true })) {
      if (kind !== "message") continue;
      if (++seen === 2000) break;
      store.put(message());
    }
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  test("ends by return, signal and close while it waits", async () => {
    const store: Store = await openStore();
    const abort = new AbortController();
    const [left, aborted, closed] = [{}, { signal: abort.signal }, {}].map((options) =>
      store.scan({ ...options, follow: true }),
    ) as [AsyncIterableIterator<ScanItem>, AsyncIterableIterator<ScanItem>, AsyncIterableIterator<ScanItem>];
    const waits = [left, aborted, closed].map((items) => items.next()) as [
      Promise<IteratorResult<ScanItem>>,
      Promise<IteratorResult<ScanItem>>,
      Promise<IteratorResult<ScanItem>>,
    ];
    await turn();
    await left.return?.();
    expect(await waits[0]).toEqual({ done: true, value: undefined });
    abort.abort();
    expect((await rejected(waits[1])).code).toBe("STORE_ABORTED");
    expect(await now(waits[2])).toBe("waits");
    const closing = store.close();
    expect((await rejected(waits[2])).code).toBe("STORE_CLOSED");
    await closing;
  });

  test("a scan without follow heeds its signal, too", async () => {
    const store = await openStore();
    store.putBatch(messages(10));
    const abort = new AbortController();
    const items = store.scan({ signal: abort.signal });
    items.next();
    abort.abort();
    expect(thrown(() => items.next()).code).toBe("STORE_ABORTED");
  });
});
