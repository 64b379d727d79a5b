import { describe, expect, test } from "vitest";
import type { GetOptions, MessageFilter, Store } from "../../src/index.ts";
import { message, openStore, text, thrown } from "./temporary-store.ts";

/** One message for each tag, in order, with its number as its body; undefined: without tags. */
async function storeOf(tags: readonly (string | undefined)[], topic = "orders"): Promise<Store> {
  const store = await openStore();
  store.putBatch(tags.map((tag, n) => message({ topic, tags: tag, body: new TextEncoder().encode(String(n)) })));
  return store;
}

/** Numbers of the messages that pass. */
function found(store: Store, filter: unknown, options: GetOptions = {}, topic = "orders"): number[] {
  const { messages } = store.get(topic, 0, 0, { max: 1000, ...options, filter: filter as MessageFilter });
  return messages.map(({ body }) => Number(text(body)));
}

describe("a tag filter", () => {
  test("lets pass what RocketMQ's expression names", async () => {
    const store = await storeOf(["a", "b", undefined, "c", "a", "a || b", "*", "\u3000a"]);
    const asked = (tags: string) => found(store, { tags });
    expect(asked("a")).toEqual([0, 4]);
    expect(asked("a || b")).toEqual([0, 1, 4]);
    expect(asked("a||c")).toEqual([0, 3, 4]);
    expect(asked("||a|| ||c||")).toEqual([0, 3, 4]);
    expect(asked(" \t\n a \0 ")).toEqual([0, 4]);
    expect(asked("a||a||a")).toEqual([0, 4]);
    expect(asked("b || *")).toEqual([1, 6]);
    expect(asked(" * ")).toEqual([6]);
    expect(asked("a|b")).toEqual([]);
    expect(asked("\u3000a")).toEqual([7]);
    expect(asked("nothing has this")).toEqual([]);
  });

  test("is no filter where it is empty, null or *", async () => {
    const store = await storeOf(["a", undefined, "b"]);
    for (const filter of [undefined, {}, { tags: undefined }, { tags: null }, { tags: "" }, { tags: "*" }]) {
      expect(found(store, filter)).toEqual([0, 1, 2]);
    }
  });

  test("compares the tags themselves where hashes are the same", async () => {
    // In Java "Aa" and "BB" have one hash, and so have what they make up.
    const store = await storeOf(["Aa", "BB", "AaAa", "AaBB", "BBAa", "BBBB"]);
    expect(found(store, { tags: "Aa" })).toEqual([0]);
    expect(found(store, { tags: "BB" })).toEqual([1]);
    expect(found(store, { tags: "AaBB||BBBB" })).toEqual([3, 5]);
    const none = store.get("orders", 0, 2, { filter: { tags: "BBBBAa||AaAaBB" } });
    expect([none.status, none.nextOffset, none.messages]).toEqual(["NO_MATCHED_MESSAGE", 6, []]);
    const hits = store.get("orders", 0, 1, { max: 1, filter: { tags: "Aa" } });
    expect([hits.status, hits.messages, hits.bytes.length]).toEqual(["NO_MATCHED_MESSAGE", [], 0]);
    expect(hits.nextOffset).toBe(2);
  });

  test("knows every character and long tags", async () => {
    const long = "long".repeat(1000);
    const store = await storeOf(["中文", "😀", "ﬀ", long, `${long}er`, "\ud800"]);
    expect(found(store, { tags: "😀 || 中文" })).toEqual([0, 1]);
    expect(found(store, { tags: long })).toEqual([3]);
    expect(found(store, { tags: "ﬀ||�" })).toEqual([2, 5]);
  });

  test("takes a thousand tags", async () => {
    const names = Array.from({ length: 1000 }, (_, n) => `tag-${n}`);
    const store = await storeOf(names);
    expect(found(store, { tags: names.filter((_, n) => n % 2 === 0).join("||") })).toEqual(
      Array.from({ length: 500 }, (_, n) => 2 * n),
    );
  });

  test("asks the record where the entry holds a delivery time", async () => {
    const topic = "SCHEDULE_TOPIC_XXXX";
    const store = await openStore();
    const delayed = (tags: string, n: number) =>
      message({ topic, tags, body: new TextEncoder().encode(String(n)), properties: { DELAY: "3" } });
    store.putBatch(Array.from({ length: 100 }, (_, n) => delayed(n % 10 === 7 ? "rare" : "often", n)));
    const [entry] = store.entries(topic, 0);
    expect(entry?.tagsCode).toBeGreaterThan(1_000_000_000_000);
    expect(found(store, { tags: "rare" }, {}, topic)).toEqual([7, 17, 27, 37, 47, 57, 67, 77, 87, 97]);
    const first = store.get(topic, 0, 0, { max: 2, filter: { tags: "rare" } });
    expect(first.messages.map(({ queueOffset }) => queueOffset)).toEqual([7, 17]);
    const next = store.get(topic, 0, first.nextOffset, { max: 2, filter: { tags: "rare" } });
    expect(next.messages.map(({ queueOffset }) => queueOffset)).toEqual([27, 37]);
    const none = store.get(topic, 0, 0, { filter: { tags: "never" } });
    expect([none.status, none.nextOffset]).toEqual(["NO_MATCHED_MESSAGE", 100]);
  });
});

describe("an answer with a filter", () => {
  test("has RocketMQ's statuses, and goes on behind what it passed by", async () => {
    const store = await storeOf(["a", "b", "b", "a", "b", "b"]);
    const asked = (queueOffset: number, tags: string, max = 32) => {
      const { status, nextOffset, minOffset, maxOffset, messages } = store.get("orders", 0, queueOffset, {
        max,
        filter: { tags },
      });
      return [status, nextOffset, minOffset, maxOffset, messages.map((each) => each.queueOffset)];
    };
    expect(asked(0, "a")).toEqual(["FOUND", 6, 0, 6, [0, 3]]);
    expect(asked(0, "a", 1)).toEqual(["FOUND", 1, 0, 6, [0]]);
    expect(asked(1, "a", 1)).toEqual(["FOUND", 4, 0, 6, [3]]);
    expect(asked(4, "a")).toEqual(["NO_MATCHED_MESSAGE", 6, 0, 6, []]);
    expect(asked(6, "a")).toEqual(["OFFSET_OVERFLOW_ONE", 6, 0, 6, []]);
    expect(asked(9, "a")).toEqual(["OFFSET_OVERFLOW_BADLY", 6, 0, 6, []]);
    expect(store.get("nobody", 0, 0, { filter: { tags: "a" } }).status).toBe("NO_MATCHED_LOGIC_QUEUE");
  });

  test("ends after 16,384 entries that do not pass", async () => {
    const store = await openStore({ segmentBytes: 4 * 1024 * 1024, queueFileEntries: 1000 });
    for (let n = 0; n < 20; n++) store.putBatch(Array(1000).fill(message({ tags: "often" })));
    store.put(message({ tags: "rare" }));
    const first = store.get("orders", 0, 0, { filter: { tags: "rare" } });
    expect([first.status, first.nextOffset, first.messages]).toEqual(["NO_MATCHED_MESSAGE", 16_384, []]);
    const second = store.get("orders", 0, first.nextOffset, { filter: { tags: "rare" } });
    expect([second.status, second.nextOffset]).toEqual(["FOUND", 20_001]);
    expect(second.messages[0]?.queueOffset).toBe(20_000);
    expect(store.get("orders", 0, 0, { max: 20_001, filter: { tags: "rare" } }).status).toBe("FOUND");
  });

  test("counts bytesBehind from the last message looked at", async () => {
    const store = await storeOf(["a", "b", "a", "b"]);
    const [first, ...others] = store.get("orders", 0, 0).messages.map(({ size }) => size);
    const behind = (options: GetOptions) => store.get("orders", 0, 0, options).bytesBehind;
    const sum = others.reduce((total, size) => total + size, 0);
    expect(behind({ max: 1, filter: { tags: "a" } })).toBe(sum);
    expect(behind({ filter: { tags: "a" } })).toBe(0);
    expect(behind({ filter: { tags: "none" } })).toBe(0);
    expect(behind({ into: new Uint8Array(first as number), maxBytes: 100_000 })).toBe(sum);
  });

  test("obeys maxBytes, and the first message always comes whole", async () => {
    const store = await storeOf(["b", "a", "b", "a", "a"]);
    const size = store.get("orders", 0, 0).messages[0]?.size as number;
    const counts = [1, size, size * 2, size * 3].map((maxBytes) => found(store, { tags: "a" }, { maxBytes }));
    expect(counts).toEqual([[1], [1], [1, 3], [1, 3, 4]]);
  });

  test("goes into a buffer of the caller, for which what is passed by need not fit", async () => {
    const store = await openStore();
    store.put(message({ tags: "BB", body: new Uint8Array(2000) }));
    store.put(message({ tags: "Aa", body: new TextEncoder().encode("wanted") }));
    store.put(message({ tags: "Aa", body: new Uint8Array(2000) }));
    const into = new Uint8Array(500);
    const passed = store.get("orders", 0, 0, { into, filter: { tags: "Aa" } });
    expect([passed.status, passed.nextOffset]).toEqual(["NO_MATCHED_MESSAGE", 1]);
    const answer = store.get("orders", 0, 1, { into, filter: { tags: "Aa" } });
    expect(answer.messages.map(({ body }) => text(body))).toEqual(["wanted"]);
    expect(answer.bytes.buffer).toBe(into.buffer);
    const error = thrown(() => store.get("orders", 0, 2, { into, filter: { tags: "Aa" } }));
    expect(error.code).toBe("STORE_INVALID_ARGUMENT");
    expect(error.details.needed).toBeGreaterThan(2000);
  });

  test("is the same from memory, from files and after opening again", async () => {
    const tags = Array.from({ length: 700 }, (_, n) => (n % 97 === 0 ? "rare" : `often-${n % 3}`));
    const store = await storeOf(tags);
    const rare = [0, 97, 194, 291, 388, 485, 582, 679];
    expect(found(store, { tags: "rare" })).toEqual(rare);
    const { path } = store;
    await store.close();
    const again = await openStore({}, path);
    expect(found(again, { tags: "rare" })).toEqual(rare);
    again.put(message({ tags: "rare", body: new TextEncoder().encode("700") }));
    expect(found(again, { tags: "rare" })).toEqual([...rare, 700]);
  });
});

describe("read with a filter", () => {
  test("gives what passes, to the end that the queue had", async () => {
    const tags = Array.from({ length: 500 }, (_, n) => (n % 50 === 0 ? "a" : "b"));
    const store = await storeOf(tags);
    const seen: number[] = [];
    const filter = { tags: "a" };
    for await (const { queueOffset } of store.read("orders", 0, { from: 1, filter })) {
      filter.tags = "b"; // what its owner does to it changes nothing
      store.put(message({ tags: "a" }));
      seen.push(queueOffset);
    }
    expect(seen).toEqual([50, 100, 150, 200, 250, 300, 350, 400, 450]);
  });

  test("goes on over stretches in which nothing passes", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    for (let n = 0; n < 40; n++) store.putBatch(Array(1000).fill(message({ tags: "often" })));
    store.put(message({ tags: "rare" }));
    const seen: number[] = [];
    for await (const { queueOffset } of store.read("orders", 0, { filter: { tags: "rare" } })) seen.push(queueOffset);
    expect(seen).toEqual([40_000]);
  });
});

describe("what is no filter is refused", () => {
  const throwing = {
    get tags(): string {
      throw new Error("no");
    },
  };
  test.each([
    [null, "options.filter", "filter is null"],
    ["a", "options.filter", 'filter is "a"'],
    [["a"], "options.filter", "an array"],
    [new Proxy({}, {}), "options.filter", "filter is an object"],
    [{ tags: 7 }, "options.filter.tags", "tags is 7"],
    [{ tags: ["a"] }, "options.filter.tags", "an array"],
    [throwing, "options.filter.tags", "a getter threw"],
    [{ tags: "||" }, "options.filter.tags", "names no tag"],
    [{ tags: "  " }, "options.filter.tags", "names no tag"],
    [{ tags: " || " }, "options.filter.tags", "names no tag"],
    [{ tags: "x".repeat(65_535) }, "options.filter.tags", "65537 bytes"],
    [{ tags: "x||".repeat(30_000) }, "options.filter.tags", "90000 bytes"],
    [{ sql: "a > 5" }, "options.filter.sql", "SQL92 expressions are a matter of the broker"],
    [{ tags: "a", sql: "a > 5" }, "options.filter.sql", "does not evaluate them"],
    [{ tag: "a" }, "options.filter.tag", "filter has the member `tag`"],
  ])("%#", async (filter, argument, words) => {
    const store = await storeOf(["a"]);
    for (const call of [
      () => store.get("orders", 0, 0, { filter: filter as MessageFilter }),
      () => store.read("orders", 0, { filter: filter as MessageFilter }),
    ]) {
      const error = thrown(call);
      expect(error.code).toBe("STORE_INVALID_ARGUMENT");
      expect(error.details.argument).toBe(argument);
      expect(error.message).toContain(words);
    }
  });
});
