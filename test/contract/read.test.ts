import { describe, expect, test } from "vitest";
import type { ReadOptions, StoredMessage } from "../../src/index.ts";
import { message, messages, openStore, rejected, text, thrown } from "./temporary-store.ts";

async function all(iterable: AsyncIterable<StoredMessage>): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  for await (const each of iterable) found.push(each);
  return found;
}

describe("read", () => {
  test("gives the whole queue, in order", async () => {
    const store = await openStore();
    store.putBatch(messages(200));
    store.putBatch(messages(10, { queueId: 1 }));
    const found = await all(store.read("orders", 0));
    expect(found.map(({ queueOffset }) => queueOffset)).toEqual([...Array(200).keys()]);
    expect(found.map(({ body }) => text(body))).toEqual(messages(200).map(({ body }) => text(body)));
  });

  test("begins at from", async () => {
    const store = await openStore();
    store.putBatch(messages(50));
    const found = await all(store.read("orders", 0, { from: 45 }));
    expect(found.map(({ queueOffset }) => queueOffset)).toEqual([45, 46, 47, 48, 49]);
    expect(await all(store.read("orders", 0, { from: 50 }))).toEqual([]);
    expect(await all(store.read("orders", 0, { from: 1000 }))).toEqual([]);
  });

  test("gives nothing of a queue that does not exist", async () => {
    const store = await openStore();
    expect(await all(store.read("nobody", 0))).toEqual([]);
  });

  test("ends where the queue ended at the first look, whatever is put meanwhile", async () => {
    const store = await openStore();
    store.putBatch(messages(100));
    let count = 0;
    for await (const _ of store.read("orders", 0)) {
      store.put(message());
      count++;
    }
    expect(count).toBe(100);
  });

  test("lets other work of the process have its turn", async () => {
    const store = await openStore();
    store.putBatch(messages(200));
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    let seen = 0;
    for await (const _ of store.read("orders", 0)) {
      if (++seen % 32 === 0) {
        const until = performance.now() + 2;
        while (performance.now() < until);
      }
    }
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
  });

  test("may be left early", async () => {
    const store = await openStore();
    store.putBatch(messages(100));
    for await (const { queueOffset } of store.read("orders", 0)) if (queueOffset === 3) break;
    expect(store.put(message()).queueOffset).toBe(100);
  });

  test("its signal ends it with STORE_ABORTED", async () => {
    const store = await openStore();
    store.putBatch(messages(100));
    const abort = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { queueOffset } of store.read("orders", 0, { signal: abort.signal })) {
        seen.push(queueOffset);
        if (queueOffset === 4) abort.abort("enough");
      }
    })();
    expect(await rejected(reading)).toMatchObject({ code: "STORE_ABORTED", cause: "enough" });
    expect(seen).toEqual([0, 1, 2, 3, 4]);
  });

  test("with a signal that was aborted before, gives nothing", async () => {
    const store = await openStore();
    store.put(message());
    const error = await rejected(all(store.read("orders", 0, { signal: AbortSignal.abort() })));
    expect(error.code).toBe("STORE_ABORTED");
  });

  test("of a store that is closed meanwhile ends with STORE_CLOSED", async () => {
    const store = await openStore();
    store.putBatch(messages(100));
    const reading = (async () => {
      for await (const { queueOffset } of store.read("orders", 0)) if (queueOffset === 4) await store.close();
    })();
    expect((await rejected(reading)).code).toBe("STORE_CLOSED");
  });

  test.each([
    ["from below 0", { from: -1 }, "options.from"],
    ["a signal that is none", { signal: "now" }, "options.signal"],
    ["follow of text", { follow: "yes" }, "options.follow"],
    ["follow of null", { follow: null }, "options.follow"],
  ])("refuses %s at the call", async (_name, options, argument) => {
    const store = await openStore();
    expect(thrown(() => store.read("orders", 0, options as ReadOptions))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument },
    });
  });
});
