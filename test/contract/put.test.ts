import { describe, expect, test } from "vitest";
import type { Message } from "../../src/index.ts";
import { bytes, message, messages, openStore, text, thrown } from "./temporary-store.ts";

describe("put", () => {
  test("a message that was put can be read before anything is flushed", async () => {
    const store = await openStore();
    const result = store.put(message({ body: bytes("first") }));
    const found = store.get("orders", 0, 0);
    expect(found.status).toBe("FOUND");
    expect(found.messages.map(({ body }) => text(body))).toEqual(["first"]);
    expect(found.messages[0]?.physicalOffset).toBe(result.physicalOffset);
  });

  test("a result says where the record stands, and the next one stands behind it", async () => {
    const store = await openStore();
    const first = store.put(message());
    const second = store.put(message());
    expect(first).toMatchObject({ physicalOffset: 0, queueOffset: 0 });
    expect(first.endOffset).toBe(first.physicalOffset + first.size);
    expect(second).toMatchObject({ physicalOffset: first.endOffset, queueOffset: 1, size: first.size });
    expect(store.log.endOffset).toBe(second.endOffset);
  });

  test("queue offsets count from 0 for each topic and queue", async () => {
    const store = await openStore();
    const queueOffset = (topic: string, queueId: number) => store.put(message({ topic, queueId })).queueOffset;
    expect([queueOffset("a", 0), queueOffset("a", 1), queueOffset("b", 0), queueOffset("a", 0)]).toEqual([0, 0, 0, 1]);
  });

  test("the store timestamp is the clock's", async () => {
    let now = 1_700_000_000_000;
    const store = await openStore({ clock: () => now });
    expect(store.put(message()).storeTimestamp).toBe(now);
    now += 5;
    expect(store.put(message()).storeTimestamp).toBe(now);
    expect(store.get("orders", 0, 1).messages[0]?.storeTimestamp).toBe(now);
  });

  test("a clock that throws or tells no time stores nothing", async () => {
    let clock = (): number => 1;
    const store = await openStore({ clock: () => clock() });
    clock = () => {
      throw new Error("broken");
    };
    expect(thrown(() => store.put(message()))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "options.clock" },
      message: expect.stringContaining("clock threw"),
    });
    clock = () => Number.NaN;
    expect(thrown(() => store.put(message()))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument: "options.clock" },
      message: expect.stringContaining("returned NaN"),
    });
    clock = () => 2;
    expect(store.put(message()).physicalOffset).toBe(0);
  });

  test("offsetMsgId is RocketMQ's: store host and physical offset in hexadecimal digits", async () => {
    const store = await openStore();
    const storeHost = { address: "10.0.0.1", port: 10_911 };
    expect(store.put(message({ storeHost })).offsetMsgId).toBe("0A00000100002A9F0000000000000000");
    const v6 = store.put(message({ storeHost: { address: "2001:db8::1", port: 10_911 } }));
    expect(v6.offsetMsgId).toMatch(/^20010DB800000000000000000000000100002A9F[0-9A-F]{16}$/);
    expect(store.get("orders", 0, 0).messages.map(({ offsetMsgId }) => offsetMsgId)).toEqual([
      "0A00000100002A9F0000000000000000",
      v6.offsetMsgId,
    ]);
  });

  test("without a store host the id has 127.0.0.1 and RocketMQ's port", async () => {
    const store = await openStore();
    expect(store.put(message()).offsetMsgId).toBe("7F00000100002A9F0000000000000000");
  });

  test("a body that is changed after put returned does not matter", async () => {
    const store = await openStore();
    const body = bytes("before");
    store.put(message({ body }));
    body.fill(0);
    expect(text(store.get("orders", 0, 0).messages[0]?.body as Uint8Array)).toBe("before");
  });

  test("a body may be empty, a Buffer, a part of a larger array, shared or resizable", async () => {
    const store = await openStore();
    const shared = new Uint8Array(new SharedArrayBuffer(6));
    shared.set(bytes("shared"));
    const resizable = new Uint8Array(new (ArrayBuffer as ResizableArrayBufferConstructor)(6, { maxByteLength: 12 }));
    resizable.set(bytes("resize"));
    const bodies = [new Uint8Array(0), Buffer.from("buffer"), bytes("a part").subarray(2), shared, resizable];
    for (const body of bodies) store.put(message({ body }));
    const found = store.get("orders", 0, 0).messages.map(({ body }) => text(body));
    expect(found).toEqual(["", "buffer", "part", "shared", "resize"]);
  });

  test("a body as long as maxMessageBytes is taken, one byte more is not", async () => {
    const store = await openStore({ maxMessageBytes: 1000 });
    store.put(message({ body: new Uint8Array(1000) }));
    const error = thrown(() => store.put(message({ body: new Uint8Array(1001) })));
    expect(error).toMatchObject({ code: "STORE_MESSAGE_TOO_LARGE", details: { argument: "body" } });
    expect(error.message).toContain("1001 bytes");
    expect(error.message).toContain("1000");
  });

  test("a record that can fit no commit log file is refused", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    expect(thrown(() => store.put(message({ body: new Uint8Array(5000) }))).code).toBe("STORE_MESSAGE_TOO_LARGE");
    expect(store.put(message())).toMatchObject({ physicalOffset: 0, queueOffset: 0 });
  });

  test("a record that does not fit the rest of a file goes to the next one", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const results = messages(10, { body: new Uint8Array(900) }).map((m) => store.put(m));
    for (const { physicalOffset, endOffset } of results) {
      expect(Math.floor(physicalOffset / 4096)).toBe(Math.floor(endOffset / 4096));
    }
    expect(results.some(({ physicalOffset }) => physicalOffset === 4096)).toBe(true);
    expect(store.get("orders", 0, 0).messages).toHaveLength(10);
  });

  test("a message is read field by field, each once", async () => {
    const store = await openStore();
    const reads: string[] = [];
    const fields = { ...message({ tags: "t", keys: ["k"], properties: { p: "v" } }) } as Record<string, unknown>;
    const spied = new Proxy(fields, {
      get(target, name: string) {
        reads.push(name);
        return target[name];
      },
    });
    store.put(spied as unknown as Message);
    expect(reads).toEqual([...new Set(reads)]);
    expect(reads).toEqual(expect.arrayContaining(["topic", "queueId", "body", "tags", "keys", "properties"]));
  });

  test("a getter of a message may put another one first", async () => {
    const store = await openStore();
    store.put({
      ...message({ body: bytes("outer") }),
      get tags() {
        store.put(message({ tags: "inner-tag", body: bytes("inner") }));
        return "outer-tag";
      },
    });
    const found = store.get("orders", 0, 0).messages.map(({ body, tags }) => [text(body), tags]);
    expect(found).toEqual([
      ["inner", "inner-tag"],
      ["outer", "outer-tag"],
    ]);
  });

  test("a getter that throws stores nothing, and its error is the cause", async () => {
    const store = await openStore();
    const cause = new Error("mine");
    const broken = {
      ...message(),
      get body(): Uint8Array {
        throw cause;
      },
    };
    const error = thrown(() => store.put(broken));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "message" } });
    expect(error.cause).toBe(cause);
    expect(store.log.endOffset).toBe(0);
  });

  test("a getter that closes the store stores nothing", async () => {
    const store = await openStore();
    let closing: Promise<void> | undefined;
    const hostile = {
      ...message(),
      get tags(): string {
        closing = store.close();
        return "t";
      },
    };
    expect(thrown(() => store.put(hostile)).code).toBe("STORE_CLOSED");
    await closing;
  });

  test("transaction types: prepared and rollback stand in no queue", async () => {
    const store = await openStore();
    const [none, prepared, commit, rollback] = [0, 0x4, 0x8, 0xc].map((sysFlag) => store.put(message({ sysFlag })));
    expect([none, prepared, commit, rollback].map((result) => result?.queueOffset)).toEqual([0, 0, 1, 0]);
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 2, next: 2 });
    expect(store.at(prepared?.physicalOffset as number)?.sysFlag).toBe(0x4);
  });
});

interface ResizableArrayBufferConstructor {
  new (length: number, options: { maxByteLength: number }): ArrayBuffer;
}
