import { describe, expect, test } from "vitest";
import type { ScanItem, ScanOptions } from "../../src/index.ts";
import { message, messages, openStore, text, thrown } from "./temporary-store.ts";

/** The items follow each other without a gap, from `from` to `to`. */
function expectUnbroken(items: ScanItem[], from: number, to: number): void {
  let position = from;
  for (const { physicalOffset, size } of items) {
    expect(physicalOffset).toBe(position);
    position += size;
  }
  expect(position).toBe(to);
}

describe("at", () => {
  test("gives the message whose record starts there", async () => {
    const store = await openStore();
    const [first, second] = [...store.putBatch(messages(2))];
    expect(text(store.at(first?.physicalOffset as number)?.body as Uint8Array)).toBe("0");
    expect(store.at(second?.physicalOffset as number)).toMatchObject({ queueOffset: 1, topic: "orders" });
  });

  test("gives nothing behind the end of the log, and for a blank", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    store.putBatch(messages(100));
    const { endOffset } = store.log;
    expect(store.at(endOffset)).toBeUndefined();
    expect(store.at(Number.MAX_SAFE_INTEGER)).toBeUndefined();
    const blank = [...store.scan()].find(({ kind }) => kind === "blank");
    expect(store.at(blank?.physicalOffset as number)).toBeUndefined();
  });

  test("gives no message in the middle of a record", async () => {
    const store = await openStore();
    const { size } = store.put(message());
    for (let offset = 1; offset < size; offset++) expect(store.at(offset)).toBeUndefined();
  });
});

describe("scan", () => {
  test("gives what stands in the log, in order and without a gap", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    store.putBatch(messages(200));
    const items = [...store.scan()];
    expectUnbroken(items, 0, store.log.endOffset);
    const bodies = items.flatMap((item) => (item.kind === "message" ? [text(item.message.body)] : []));
    expect(bodies).toEqual(messages(200).map(({ body }) => text(body)));
    const blanks = items.filter(({ kind }) => kind === "blank");
    expect(blanks.length).toBe(Math.floor(store.log.endOffset / 4096));
    for (const { physicalOffset, size } of blanks) expect((physicalOffset + size) % 4096).toBe(0);
  });

  test("has the messages that stand in no queue", async () => {
    const store = await openStore();
    store.put(message({ sysFlag: 0x4 }));
    expect([...store.scan()].map(({ kind }) => kind)).toEqual(["message"]);
  });

  test("goes from one position to another", async () => {
    const store = await openStore();
    const { physicalOffsets } = store.putBatch(messages(10));
    const [from, to] = [physicalOffsets[3] as number, physicalOffsets[7] as number];
    const items = [...store.scan({ from, to })];
    expect(items).toHaveLength(4);
    expectUnbroken(items, from, to);
  });

  test("ends where the log ended when it began", async () => {
    const store = await openStore();
    store.putBatch(messages(3));
    let count = 0;
    for (const _ of store.scan()) {
      store.put(message());
      count++;
    }
    expect(count).toBe(3);
  });

  test("of an empty store, and behind the end, gives nothing", async () => {
    const store = await openStore();
    expect([...store.scan()]).toEqual([]);
    const { endOffset } = store.put(message());
    expect([...store.scan({ from: endOffset })]).toEqual([]);
    expect([...store.scan({ from: endOffset + 1_000_000 })]).toEqual([]);
    expect([...store.scan({ from: 10, to: 5 })]).toEqual([]);
  });

  test("larger than one fetch is still whole", async () => {
    const store = await openStore({ segmentBytes: 16 * 1024 * 1024 });
    store.putBatch(messages(5000, { body: new Uint8Array(1000) }));
    const items = [...store.scan()];
    expect(items).toHaveLength(5000);
    expectUnbroken(items, 0, store.log.endOffset);
  });

  test("of a record larger than one fetch gives it whole", async () => {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    store.put(message({ body: new Uint8Array(3 * 1024 * 1024) }));
    store.put(message());
    expect([...store.scan()].map(({ kind }) => kind)).toEqual(["message", "message"]);
  });

  test("of a store that is closed meanwhile ends with STORE_CLOSED at the next fetch", async () => {
    const store = await openStore();
    store.putBatch(messages(3000));
    const items = store.scan();
    expect(items.next().done).toBe(false);
    await store.close();
    expect(thrown(() => [...items]).code).toBe("STORE_CLOSED");
  });

  test.each([
    ["from below 0", { from: -1 }, "options.from"],
    ["to of text", { to: "end" }, "options.to"],
    ["follow of a number", { follow: 1 }, "options.follow"],
    ["a signal that is none", { signal: {} }, "options.signal"],
  ])("refuses %s at the call", async (_name, options, argument) => {
    const store = await openStore();
    expect(thrown(() => store.scan(options as ScanOptions))).toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      details: { argument },
    });
  });
});
