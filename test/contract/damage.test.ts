/** A rotten bit in the middle of the log: never other bytes, and the neighbours are served. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Store } from "../../src/index.ts";
import { bytes, message, openStore, rejected, temporaryDirectory, text, thrown } from "./temporary-store.ts";

/** Three messages, of which the second has one bit of its body flipped on disk. */
async function damagedStore(): Promise<{ store: Store; damagedAt: number; size: number }> {
  const path = await temporaryDirectory();
  const written = await openStore({}, path);
  const results = ["first", "second", "third"].map((body) => written.put(message({ body: bytes(body), keys: ["k"] })));
  const { physicalOffset, size } = results[1] as { physicalOffset: number; size: number };
  const raw = written.at(physicalOffset)?.raw as Uint8Array;
  await written.close();

  const at = physicalOffset + Buffer.from(raw).indexOf("second");
  const file = await open(join(path, "commitlog", "0".repeat(20)), "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 0x10;
  await file.write(byte, 0, 1, at);
  await file.close();
  return { store: await openStore({}, path), damagedAt: physicalOffset, size };
}

describe("a damaged record", () => {
  test("ends what get answers in front of it", async () => {
    const { store } = await damagedStore();
    const { status, messages, nextOffset } = store.get("orders", 0, 0);
    expect(status).toBe("FOUND");
    expect(messages.map(({ body }) => text(body))).toEqual(["first"]);
    expect(nextOffset).toBe(1);
  });

  test("is STORE_CORRUPT when get asks at it, with file, offset, reason and where to go on", async () => {
    const { store, damagedAt } = await damagedStore();
    const error = thrown(() => store.get("orders", 0, 1));
    expect(error).toMatchObject({
      code: "STORE_CORRUPT",
      retriable: false,
      details: { file: `commitlog/${"0".repeat(20)}`, offset: damagedAt, reason: expect.any(String), nextOffset: 2 },
    });
    expect(store.get("orders", 0, 2).messages.map(({ body }) => text(body))).toEqual(["third"]);
  });

  test("ends read with STORE_CORRUPT, which can go on behind it", async () => {
    const { store } = await damagedStore();
    const found: string[] = [];
    const reading = async (from: number) => {
      for await (const { body } of store.read("orders", 0, { from })) found.push(text(body));
    };
    const error = await rejected(reading(0));
    expect(error.code).toBe("STORE_CORRUPT");
    await reading(error.details.nextOffset as number);
    expect(found).toEqual(["first", "third"]);
  });

  test("is a finding of scan, not an error", async () => {
    const { store, damagedAt, size } = await damagedStore();
    const items = [...store.scan()];
    expect(items.map(({ kind }) => kind)).toEqual(["message", "damaged", "message"]);
    expect(items[1]).toMatchObject({ physicalOffset: damagedAt, size, reason: expect.stringMatching(/CRC/) });
  });

  test("is STORE_CORRUPT by its physical offset", async () => {
    const { store, damagedAt } = await damagedStore();
    expect(thrown(() => store.at(damagedAt)).code).toBe("STORE_CORRUPT");
  });

  test("is not among what lookup finds", async () => {
    const { store } = await damagedStore();
    expect(store.lookup("orders", "k").map(({ body }) => text(body))).toEqual(["third", "first"]);
  });

  test("takes no offset away: queues keep their length and go on", async () => {
    const { store } = await damagedStore();
    expect(store.offsets("orders", 0)).toEqual({ min: 0, max: 3, next: 3 });
    expect(store.put(message()).queueOffset).toBe(3);
  });
});
