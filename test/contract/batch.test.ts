import { describe, expect, test } from "vitest";
import type { Message } from "../../src/index.ts";
import { bytes, message, messages, openStore, text, thrown } from "./temporary-store.ts";

describe("putBatch", () => {
  test("messages stand one behind the other in the order given, each as its own record", async () => {
    const store = await openStore();
    const results = store.putBatch(messages(5));
    expect(results.count).toBe(5);
    expect([...results.queueOffsets]).toEqual([0, 1, 2, 3, 4]);
    const ends = [...results].map(({ endOffset }) => endOffset);
    expect([...results.physicalOffsets]).toEqual([0, ...ends.slice(0, -1)]);
    expect(results.endOffset).toBe(ends.at(-1));
    expect(store.log.endOffset).toBe(results.endOffset);
    expect(store.get("orders", 0, 0).messages.map(({ body }) => text(body))).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("columns are arrays of doubles and agree with the results one by one", async () => {
    const store = await openStore();
    const results = store.putBatch(messages(3));
    for (const column of [results.physicalOffsets, results.queueOffsets, results.sizes]) {
      expect(column).toBeInstanceOf(Float64Array);
    }
    const single = [...results];
    expect(single.map(({ physicalOffset }) => physicalOffset)).toEqual([...results.physicalOffsets]);
    expect(single.map(({ size }) => size)).toEqual([...results.sizes]);
    for (const { storeTimestamp } of single) expect(storeTimestamp).toBe(results.storeTimestamp);
    const found = store.get("orders", 0, 0).messages.map(({ offsetMsgId }) => offsetMsgId);
    expect(single.map(({ offsetMsgId }) => offsetMsgId)).toEqual(found);
  });

  test("topics and queues may differ", async () => {
    const store = await openStore();
    const batch = [message({ topic: "a" }), message({ topic: "b", queueId: 3 }), message({ topic: "a" })];
    expect([...store.putBatch(batch).queueOffsets]).toEqual([0, 0, 1]);
    expect(store.queues("b")).toEqual([3]);
  });

  test("store hosts may differ", async () => {
    const store = await openStore();
    const storeHosts = ["10.0.0.1", "::2", "10.0.0.1", "127.0.0.1"].map((address) => ({ address, port: 1 }));
    const results = store.putBatch(storeHosts.map((storeHost) => message({ storeHost })));
    const ids = [...results].map(({ offsetMsgId }) => offsetMsgId);
    expect(ids).toEqual(store.get("orders", 0, 0).messages.map(({ offsetMsgId }) => offsetMsgId));
    expect(ids.map((id) => id.length)).toEqual([32, 56, 32, 32]);
  });

  test("an empty batch stores nothing", async () => {
    const store = await openStore();
    const results = store.putBatch([]);
    expect(results.count).toBe(0);
    expect([...results]).toEqual([]);
    expect(results.physicalOffsets).toHaveLength(0);
    expect(store.log.endOffset).toBe(0);
  });

  test("anything that can be iterated is a batch", async () => {
    const store = await openStore();
    function* generated(): Generator<Message> {
      yield* messages(2);
    }
    expect(store.putBatch(generated()).count).toBe(2);
    expect(store.putBatch(new Set(messages(3))).count).toBe(3);
  });

  test.each([undefined, null, 1, "messages", {}])("%j is no batch", async (wrong) => {
    const store = await openStore();
    expect(thrown(() => store.putBatch(wrong as unknown as Message[]))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "messages", stored: 0 },
    });
  });

  test("an iterator that throws stores nothing", async () => {
    const store = await openStore();
    const cause = new Error("mine");
    function* broken(): Generator<Message> {
      yield message();
      throw cause;
    }
    const error = thrown(() => store.putBatch(broken()));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "messages", stored: 0 } });
    expect(error.cause).toBe(cause);
    expect(store.log.endOffset).toBe(0);
  });

  test.each<[string, () => unknown]>([
    [
      "an array of throwing elements",
      () =>
        Object.defineProperty([], 0, {
          get: () => {
            throw new Error("mine");
          },
        }),
    ],
    [
      "a proxy that throws",
      () =>
        new Proxy([], {
          get: () => {
            throw new Error("mine");
          },
        }),
    ],
    [
      "a revoked proxy",
      () => {
        const { proxy, revoke } = Proxy.revocable([], {});
        revoke();
        return proxy;
      },
    ],
    ["an iterator that is no function", () => ({ [Symbol.iterator]: 5 })],
  ])("%s is answered as a wrong batch", async (_name, make) => {
    const store = await openStore();
    expect(thrown(() => store.putBatch(make() as Message[]))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "messages", stored: 0 },
      cause: expect.any(Error),
    });
    expect(store.log.endOffset).toBe(0);
  });

  test("one wrong message in the middle keeps all out", async () => {
    const store = await openStore();
    const batch = [...messages(3), message({ tags: "" }), ...messages(3)];
    expect(thrown(() => store.putBatch(batch)).details).toEqual({ argument: "messages[3].tags", stored: 0 });
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 0, next: 0 });
  });

  test("one wrong message behind many megabytes keeps all out", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    const batch = [...messages(11, { body: new Uint8Array(1024 * 1024) }), message({ queueId: -1 })];
    expect(thrown(() => store.putBatch(batch)).details).toEqual({ argument: "messages[11].queueId", stored: 0 });
    expect(store.log.endOffset).toBe(0);
  });

  test("a batch of many megabytes is stored whole and in order", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    const batch = Array.from({ length: 24 }, (_, i) =>
      message({ body: new Uint8Array(900_000).fill(i), storeHost: { address: `10.0.0.${i >> 4}`, port: 1 } }),
    );
    const results = store.putBatch(batch);
    expect(results.count).toBe(24);
    expect([...results.queueOffsets]).toEqual([...batch.keys()]);
    for (const [i, result] of [...results].entries()) {
      const stored = store.at(result.physicalOffset);
      expect(stored?.body[0]).toBe(i);
      expect(stored?.offsetMsgId).toBe(result.offsetMsgId);
      expect(stored?.storeTimestamp).toBe(result.storeTimestamp);
    }
    expect(store.put(message()).physicalOffset).toBeGreaterThanOrEqual(results.endOffset);
  });

  test("a message that fits no commit log file is refused, and the error says how many were stored", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const batch = [message(), message({ body: new Uint8Array(8000) }), message()];
    const error = thrown(() => store.putBatch(batch));
    expect(error.code).toBe("STORE_MESSAGE_TOO_LARGE");
    expect(error.details.argument).toBe("messages[1].body");
    expect(error.message).toMatch(/^messages\[1\]: /);
    expect(store.offsets("orders", 0).next).toBe(error.details.stored);
  });

  test("a message that only the engine refuses is named by its place in the batch, also behind many megabytes", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    const innerBatch = 0x80;
    const batch = [...messages(11, { body: new Uint8Array(1024 * 1024) }), message({ sysFlag: innerBatch })];
    const error = thrown(() => store.putBatch(batch));
    expect(error.details.argument).toBe("messages[11].topic");
    expect(store.offsets("orders", 0).next).toBe(error.details.stored);
  });

  test("a getter of a message may put another one first", async () => {
    const store = await openStore();
    const nested = {
      ...message({ body: bytes("outer") }),
      get flag(): number {
        store.put(message({ body: bytes("inner") }));
        return 0;
      },
    };
    store.putBatch([message({ body: bytes("first") }), nested]);
    const found = store.get("orders", 0, 0).messages.map(({ body }) => text(body));
    expect(found).toEqual(["inner", "first", "outer"]);
  });
});
