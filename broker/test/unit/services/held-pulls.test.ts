import { setImmediate as turn } from "node:timers/promises";
import type { Store } from "moraine";
import { describe, expect, test } from "vitest";
import { hashCode } from "../../../src/protocol/subscription.ts";
import { HeldPulls, type Pull } from "../../../src/services/held-pulls.ts";
import { open } from "./rig.ts";

const LONG_MS = 60_000;
const pull = (given: Partial<Pull> = {}): Pull => ({
  topic: "t",
  queueId: 0,
  queueOffset: 0,
  timeoutMs: LONG_MS,
  ...given,
});
const put = (store: Store, tags?: string, queueId = 0) =>
  store.put({ topic: "t", queueId, body: Buffer.from("x"), tags });
const codes = (...tags: string[]) => new Set(tags.map(hashCode));

/** A store that counts how often it is waited for. */
function counted(store: Store): { store: Store; waits: () => number } {
  let waits = 0;
  const proxy = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name === "arrival") waits++;
      return value.bind(target);
    },
  });
  return { store: proxy, waits: () => waits };
}

async function releaseOf(held: Promise<string>): Promise<string | undefined> {
  for (let i = 0; i < 5; i++) await turn();
  return await Promise.race([held, turn(undefined)]);
}

describe("a held pull", () => {
  test("is woken by the first message at its offset", async () => {
    const store = await open();
    const held = new HeldPulls(store, 10);
    put(store);
    const waiting = held.hold(pull({ queueOffset: 1 }));
    expect(await releaseOf(waiting)).toBeUndefined();
    expect([held.size, held.sizeOf("t", 0)]).toEqual([1, 1]);
    put(store, undefined, 1);
    expect(await releaseOf(waiting)).toBeUndefined();
    put(store);
    expect(await waiting).toBe("arrived");
    expect([held.size, held.sizeOf("t", 0)]).toEqual([0, 0]);
  });

  test("is woken by what came before it was held", async () => {
    const store = await open();
    put(store);
    expect(await new HeldPulls(store, 10).hold(pull())).toBe("arrived");
  });

  test("is released when its time is over", async () => {
    const held = new HeldPulls(await open(), 10);
    expect(await held.hold(pull({ timeoutMs: 20 }))).toBe("timeout");
    expect(held.size).toBe(0);
  });

  test("goes when nobody waits for the answer any more", async () => {
    const store = await open();
    const held = new HeldPulls(store, 10);
    const gone = new AbortController();
    const mine = [0, 1].map((queueId) => held.hold(pull({ queueId, signal: gone.signal })));
    const other = held.hold(pull({ signal: new AbortController().signal }));
    gone.abort();
    expect(await Promise.all(mine)).toEqual(["gone", "gone"]);
    expect(held.size).toBe(1);
    expect(await held.hold(pull({ signal: gone.signal }))).toBe("gone");
    put(store);
    expect(await other).toBe("arrived");
  });

  test("is not held where there are too many", async () => {
    const held = new HeldPulls(await open(), 2);
    const waiting = [held.hold(pull()), held.hold(pull({ timeoutMs: 20 }))];
    expect(await held.hold(pull())).toBe("full");
    expect(await waiting[1]).toBe("timeout");
    expect(await releaseOf(held.hold(pull()))).toBeUndefined();
    held.stop();
    expect(await waiting[0]).toBe("stopped");
  });

  test("is not held where its connection has too many, all in all or for its queue, or where they take too much", async () => {
    const limits = { bytes: 1000, perSignal: 3, bytesPerSignal: 500, perSignalAndQueue: 2 };
    const held = new HeldPulls(await open(), 100, limits);
    const signals = [0, 1, 2].map(() => new AbortController());
    const hold = async (of: number, queueId: number, bytes = 0) => {
      const { signal } = signals[of] as AbortController;
      return (await releaseOf(held.hold(pull({ queueId, bytes, signal })))) ?? "held";
    };
    expect(await Promise.all([hold(0, 0), hold(0, 0)])).toEqual(["held", "held"]);
    expect(await hold(0, 0)).toBe("full");
    expect(await hold(0, 1)).toBe("held");
    expect(await hold(0, 2)).toBe("full");
    expect(await hold(1, 0, 501)).toBe("full");
    expect([await hold(1, 0, 500), await hold(1, 0, 1), await hold(2, 0, 500), await hold(2, 1, 1)]).toEqual([
      "held",
      "full",
      "held",
      "full",
    ]);
    signals[0]?.abort();
    signals[1]?.abort();
    expect(held.size).toBe(1);
    expect(await hold(2, 1)).toBe("held");
    held.stop();
    expect(held.size).toBe(0);
  });

  test("with very many tags is woken by whatever comes", async () => {
    const store = await open();
    const waiting = new HeldPulls(store, 10).hold(
      pull({ tagsCodes: new Set(Array.from({ length: 1025 }, (_, i) => i)) }),
    );
    put(store, "C");
    expect(await waiting).toBe("arrived");
  });

  test("is released when the broker stops, and when the store is closed", async () => {
    const [store, other] = [await open(), await open()];
    const held = new HeldPulls(store, 10);
    const waiting = held.hold(pull());
    held.stop();
    expect(await waiting).toBe("stopped");
    expect(await held.hold(pull())).toBe("stopped");
    const left = new HeldPulls(other, 10);
    const late = left.hold(pull());
    await other.close();
    expect(await late).toBe("failed");
    expect(await left.hold(pull())).toBe("failed");
    expect(left.size).toBe(0);
  });
});

describe("a held pull that wants tags", () => {
  test("is woken by one of them, and by no other", async () => {
    const store = await open();
    const held = new HeldPulls(store, 10);
    const wanted = held.hold(pull({ tagsCodes: codes("A", "B") }));
    const any = held.hold(pull());
    put(store, "C");
    expect(await any).toBe("arrived");
    put(store);
    expect(await releaseOf(wanted)).toBeUndefined();
    put(store, "B");
    expect(await wanted).toBe("arrived");
  });

  test("of which the code is negative is woken by it", async () => {
    const store = await open();
    expect(hashCode("tag-with-a-long-name")).toBeLessThan(0);
    const waiting = new HeldPulls(store, 10).hold(pull({ tagsCodes: codes("tag-with-a-long-name") }));
    put(store, "C");
    expect(await releaseOf(waiting)).toBeUndefined();
    put(store, "tag-with-a-long-name");
    expect(await waiting).toBe("arrived");
  });

  test("is woken among many others that are not wanted", async () => {
    const store = await open();
    const held = new HeldPulls(store, 10);
    const waiting = held.hold(pull({ tagsCodes: codes("A") }));
    for (let i = 0; i < 100; i++) put(store, "C");
    expect(await releaseOf(waiting)).toBeUndefined();
    for (let i = 0; i < 100; i++) put(store, i === 50 ? "A" : "C");
    expect(await waiting).toBe("arrived");
  });

  test("looks for what has come among them, and not for each of them among what has come", async () => {
    class Counted extends Set<number> {
      looks = 0;
      override has(code: number): boolean {
        this.looks++;
        return super.has(code);
      }
      override [Symbol.iterator](): SetIterator<number> {
        this.looks += this.size;
        return super[Symbol.iterator]();
      }
    }
    const store = await open();
    const wanted = new Counted([...codes("A"), ...Array.from({ length: 1000 }, (_, i) => 1000 + i)]);
    const waiting = new HeldPulls(store, 10).hold(pull({ tagsCodes: wanted }));
    for (const tag of ["B", "C", "A"]) {
      put(store, tag);
      await releaseOf(waiting);
    }
    expect(await waiting).toBe("arrived");
    expect(wanted.looks).toBe(3);
  });

  test("goes through very many by itself", async () => {
    const store = await open();
    const held = new HeldPulls(store, 10);
    const waiting = held.hold(pull({ tagsCodes: codes("A") }));
    for (let i = 0; i < 2000; i++) put(store, "C");
    expect(await waiting).toBe("arrived");
  });
});

describe("thousands of held pulls", () => {
  test("are one wait for each queue, and none when all are gone", async () => {
    const { store, waits } = counted(await open());
    const held = new HeldPulls(store, 10_000, { perSignalAndQueue: 1000 });
    const { signal } = new AbortController();
    const waiting = Array.from({ length: 5000 }, (_, i) => held.hold(pull({ queueId: i % 5, signal })));
    await turn();
    expect(held.size).toBe(5000);
    expect(waits()).toBe(5);
    for (let queueId = 0; queueId < 5; queueId++) put(store, undefined, queueId);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["arrived"]));
    expect(waits()).toBe(5);
  });

  test("wait at the lowest of their offsets", async () => {
    const { store, waits } = counted(await open());
    for (let i = 0; i < 3; i++) put(store);
    const held = new HeldPulls(store, 10);
    const [high, low] = [held.hold(pull({ queueOffset: 10 })), held.hold(pull({ queueOffset: 3 }))];
    put(store);
    expect(await low).toBe("arrived");
    expect(await releaseOf(high)).toBeUndefined();
    for (let i = 0; i < 7; i++) put(store);
    expect(await high).toBe("arrived");
    expect(waits()).toBe(3);
  });
});
