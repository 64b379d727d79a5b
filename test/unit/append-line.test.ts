/** Appends that find no room at first: their line, over a writer that says when there is some. */
import { describe, expect, test, vi } from "vitest";
import { AppendLine } from "../../src/append-line.ts";
import { PutResult } from "../../src/batch.ts";
import { StoreError } from "../../src/errors.ts";
import { FlushWaiters } from "../../src/flush-waiters.ts";
import type { Gathered } from "../../src/gathered.ts";
import type { Message } from "../../src/message.ts";
import type { EncodedMessage, GatheredResults, Writer } from "../../src/writer.ts";

const STORE_HOST = { bytes: new Uint8Array(4), port: 0 } as unknown as EncodedMessage["storeHost"];
const RECORD_BYTES = 100;

let lines = 0;

/** A line over a disk that has room for as many messages as `room` says. */
function line(mostBytes = 1_000_000, path = `/store-${++lines}`) {
  const disk = {
    room: 0,
    stored: [] as string[],
    calls: 0,
    onStored: () => {},
    /** What hears of messages once they are stored. */
    onTold: () => {},
    refuses: new Set<string>(),
  };
  const bodyOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const put = (bytes: Uint8Array): PutResult => {
    const body = bodyOf(bytes);
    if (disk.refuses.has(body)) throw new StoreError("STORE_FULL", `no room for ${body}`);
    if (disk.room === 0) throw new StoreError("STORE_BUSY", "no room for the next message");
    disk.room--;
    const place = disk.stored.push(body) - 1;
    disk.onStored();
    return new PutResult(place * RECORD_BYTES, place, RECORD_BYTES, 0, STORE_HOST);
  };
  const putAlone = (bytes: Uint8Array): PutResult => {
    disk.calls++;
    const result = put(bytes);
    disk.onTold();
    return result;
  };
  const putGathered = (gathered: Gathered): GatheredResults => {
    disk.calls++;
    const results: PutResult[] = [];
    const answer = new Float64Array();
    try {
      for (let n = 0; n < gathered.count; n++) results.push(put(gathered.message(n)));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return { results, error, answer };
    }
    return { results, error: undefined, answer };
  };
  const writer = {
    // Reading a message may call anything.
    put: (message: Message) => putAlone(message.body as Uint8Array),
    encode: ({ body }: Message) => ({ bytes: body, storeHost: STORE_HOST }),
    gather: ({ body }: Message, add: Gathered["add"]) =>
      add(body as Uint8Array, (body as Uint8Array).length, STORE_HOST),
    tellGathered: ({ results }: GatheredResults) => {
      if (results.length > 0) disk.onTold();
    },
    putEncoded: ({ bytes }: EncodedMessage) => putAlone(bytes),
    putGathered,
  } as unknown as Writer;
  const waiters = new FlushWaiters(() => {}, 0);
  const appends = new AppendLine(writer, waiters, path, mostBytes);
  const append = (body: string, durability: "disk" | "memory" = "memory") =>
    appends.append({ topic: "orders", queueId: 0, body: new TextEncoder().encode(body) }, durability);
  return { appends, append, disk, waiters };
}

async function withTimers(test: () => Promise<void>): Promise<void> {
  vi.useFakeTimers();
  try {
    await test();
  } finally {
    vi.useRealTimers();
  }
}

/** What became of appends: their places, or the codes. */
async function outcomes(appends: Promise<PutResult>[]): Promise<(number | string)[]> {
  const settled = await Promise.allSettled(appends);
  return settled.map((one) => (one.status === "fulfilled" ? one.value.queueOffset : one.reason.code));
}

describe("appends of one turn", () => {
  test("are put together, the first of them at once", async () => {
    const { append, disk } = line();
    disk.room = 10;
    const first = ["a", "b", "c"].map((body) => append(body));
    expect(disk.stored).toEqual(["a"]);
    expect(await outcomes(first)).toEqual([0, 1, 2]);
    expect([disk.stored, disk.calls]).toEqual([["a", "b", "c"], 2]);
    expect(await outcomes([append("d"), append("e")])).toEqual([3, 4]);
    expect(disk.calls).toBe(4);
  });

  test("are put before the turn ends where somebody asks for it", () => {
    const { append, appends, disk } = line();
    disk.room = 10;
    for (const body of ["a", "b", "c"]) void append(body);
    appends.putGathered();
    expect(disk.stored).toEqual(["a", "b", "c"]);
    void append("d");
    appends.putGathered();
    appends.putGathered();
    expect([disk.stored, disk.calls]).toEqual([["a", "b", "c", "d"], 3]);
  });

  test("are put before the turn ends where they are many, or large", () => {
    const { append, disk } = line(1 << 30);
    disk.room = 10_000;
    for (let n = 0; n < 3000; n++) void append(String(n));
    expect(disk.stored.length).toBeGreaterThan(2000);
    const large = "x".repeat(300_000);
    const before = disk.stored.length;
    for (let n = 0; n < 8; n++) void append(large);
    expect(disk.stored.length).toBeGreaterThanOrEqual(before + 4);
  });

  test("are told each its own error", async () => {
    const { append, disk } = line();
    disk.room = 10;
    disk.refuses.add("c").add("e");
    const told = await outcomes(["a", "b", "c", "d", "e", "f"].map((body) => append(body)));
    expect(told).toEqual([0, 1, "STORE_FULL", 2, "STORE_FULL", 3]);
    expect(disk.stored).toEqual(["a", "b", "d", "f"]);
  });

  test("go into line from the first on that finds no room", () =>
    withTimers(async () => {
      const { append, appends, disk } = line();
      disk.room = 2;
      const all = outcomes(["a", "b", "c", "d"].map((body) => append(body)));
      await vi.advanceTimersByTimeAsync(0);
      expect([disk.stored, appends.waiting]).toEqual([["a", "b"], 2]);
      disk.room = 10;
      await vi.advanceTimersByTimeAsync(100);
      expect(await all).toEqual([0, 1, 2, 3]);
      expect([disk.stored, appends.pressure]).toEqual([["a", "b", "c", "d"], 0]);
    }));

  test("go into line behind one of them that found no room alone", () =>
    withTimers(async () => {
      const { append, disk } = line();
      disk.room = 2;
      disk.refuses.add("b");
      const all = outcomes(["a", "b", "c", "d", "e"].map((body) => append(body)));
      await vi.advanceTimersByTimeAsync(0);
      expect(disk.stored).toEqual(["a", "c"]);
      disk.room = 10;
      await vi.advanceTimersByTimeAsync(100);
      expect(await all).toEqual([0, "STORE_FULL", 1, 2, 3]);
      expect(disk.stored).toEqual(["a", "c", "d", "e"]);
    }));

  test("are all told where the call fails", async () => {
    const { append, disk } = line();
    disk.room = 10;
    disk.onStored = () => {
      if (disk.stored.length === 2) throw Object.assign(new Error("a defect"), { code: "DEFECT" });
    };
    expect(await outcomes(["a", "b", "c"].map((body) => append(body)))).toEqual([0, "DEFECT", "DEFECT"]);
    expect(disk.stored).toEqual(["a", "b"]);
  });

  test.each([false, true])("keep their order where who hears of one appends; and has all put: %s", async (asks) => {
    const { append, appends, disk } = line();
    disk.room = 100;
    disk.refuses.add("c").add("e");
    void append("a");
    const later: Promise<PutResult>[] = [];
    disk.onTold = () => {
      if (later.length === 4) return;
      later.push(append(`later ${later.length}`));
      if (asks) appends.putGathered();
    };
    const told = outcomes(["b", "c", "d", "e", "f"].map((body) => append(body)));
    expect(await told).toEqual([1, "STORE_FULL", 2, "STORE_FULL", 3]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await outcomes(later)).toEqual([4, 5, 6, 7]);
    expect(disk.stored).toEqual(["a", "b", "d", "f", "later 0", "later 1", "later 2", "later 3"]);
    // The turn has ended: the next one is put at once.
    void append("g");
    expect(disk.stored.at(-1)).toBe("g");
  });

  test("go into line behind those that the reading of a message has led there", () =>
    withTimers(async () => {
      const { append, appends, disk } = line();
      disk.room = 1;
      const all = ["a", "b"].map((body) => append(body));
      const reading = {
        topic: "orders",
        queueId: 0,
        get body() {
          appends.putGathered();
          disk.room = 10;
          return new TextEncoder().encode("c");
        },
      };
      all.push(appends.append(reading, "memory"));
      expect([disk.stored, appends.waiting]).toEqual([["a"], 1]);
      await vi.advanceTimersByTimeAsync(0);
      expect(disk.stored).toEqual(["a"]);
      all.push(append("d"));
      await vi.advanceTimersByTimeAsync(100);
      expect([await outcomes(all), disk.stored]).toEqual([
        [0, 1, 2, 3],
        ["a", "b", "c", "d"],
      ]);
    }));

  test("by several lines of one store go into the log in the order of the calls", async () => {
    const [one, other] = [line(undefined, "/shared"), line(undefined, "/shared")];
    const elsewhere = line();
    other.disk.stored = one.disk.stored;
    for (const { disk } of [one, other, elsewhere]) disk.room = 100;
    const all = ["a", "b", "c", "d", "e", "f"].map((body, n) => (n % 3 === 2 ? other : one).append(body));
    void elsewhere.append("x");
    void elsewhere.append("y");
    one.appends.lines.putAll();
    expect([one.disk.stored, elsewhere.disk.stored]).toEqual([["a", "b", "c", "d", "e", "f"], ["x"]]);
    expect(await outcomes(all)).toEqual([0, 1, 2, 3, 4, 5]);
    const closed = new StoreError("STORE_CLOSED", "closed");
    other.appends.end(closed);
    void one.append("g");
    void one.append("h");
    expect(other.appends.lines).toBe(one.appends.lines);
    other.appends.lines.putAll();
    expect(one.disk.stored.slice(-2)).toEqual(["g", "h"]);
    one.appends.end(closed);
    expect(line(undefined, "/shared").appends.lines).not.toBe(one.appends.lines);
  });

  test("of a durable kind count for the bound once they are put, and none too many gets in", async () => {
    const { append, disk, waiters } = line(10 * RECORD_BYTES);
    disk.room = 100;
    const all = Array.from({ length: 30 }, (_, n) => {
      try {
        return append(String(n), "disk");
      } catch (error) {
        return Promise.reject(error);
      }
    });
    const told = outcomes(all);
    waiters.settle(10 * RECORD_BYTES);
    expect((await told).map((one) => (typeof one === "number" ? "ok" : one))).toEqual([
      ...Array(10).fill("ok"),
      ...Array(20).fill("STORE_BUSY"),
    ]);
  });
});

describe("a line of appends", () => {
  test("gets in as room comes, in the order in which it was joined", () =>
    withTimers(async () => {
      const { append, disk } = line();
      const places = ["a", "b", "c", "d"].map((body) =>
        append(body).then(({ queueOffset }) => `${body}${queueOffset}`),
      );
      disk.room = 2;
      await vi.advanceTimersByTimeAsync(100);
      expect(disk.stored).toEqual(["a", "b"]);
      // There is room now, but others were first.
      const late = append("e");
      disk.room = 10;
      await vi.advanceTimersByTimeAsync(100);
      expect(disk.stored).toEqual(["a", "b", "c", "d", "e"]);
      expect(await Promise.all(places)).toEqual(["a0", "b1", "c2", "d3"]);
      expect((await late).queueOffset).toBe(4);
      expect(vi.getTimerCount()).toBe(0);
    }));

  test("tells each its own error, and goes on", () =>
    withTimers(async () => {
      const { append, disk, appends } = line();
      const outcomes = Promise.allSettled(["a", "b", "c"].map((body) => append(body)));
      disk.refuses.add("b");
      disk.room = 10;
      await vi.advanceTimersByTimeAsync(100);
      expect((await outcomes).map((one) => (one.status === "fulfilled" ? "ok" : one.reason.code))).toEqual([
        "ok",
        "STORE_FULL",
        "ok",
      ]);
      expect(disk.stored).toEqual(["a", "c"]);
      expect(appends.pressure).toBe(0);
    }));

  test("settles a durable append with its sync, and not before", () =>
    withTimers(async () => {
      const { append, disk, waiters, appends } = line();
      let settled = false;
      const done = append("a", "disk").then(() => {
        settled = true;
      });
      disk.room = 1;
      await vi.advanceTimersByTimeAsync(100);
      expect([disk.stored, settled]).toEqual([["a"], false]);
      expect(appends.pressure).toBeGreaterThan(0);
      waiters.settle(RECORD_BYTES);
      await done;
      expect(appends.pressure).toBe(0);
    }));

  test("that was ended rejects those in it, and counts nothing of them any more", () =>
    withTimers(async () => {
      const { append, appends } = line(1000);
      const outcomes = Promise.allSettled(["aaa", "bbb"].map((body) => append(body)));
      expect(appends.pressure).toBeCloseTo(6 / 1000);
      appends.end(new StoreError("STORE_CLOSED", "closed"));
      expect((await outcomes).map((one) => one.status === "rejected" && one.reason.code)).toEqual([
        "STORE_CLOSED",
        "STORE_CLOSED",
      ]);
      expect(appends.pressure).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
    }));

  test("may be ended by who is told of a message in it: that one was stored, the others were not", () =>
    withTimers(async () => {
      const { append, disk, appends } = line(1000);
      const outcomes = Promise.allSettled(["aaa", "bbb", "ccc"].map((body) => append(body)));
      disk.onStored = () => appends.end(new StoreError("STORE_CLOSED", "closed"));
      disk.room = 1;
      await vi.advanceTimersByTimeAsync(100);
      expect((await outcomes).map((one) => (one.status === "fulfilled" ? "ok" : one.reason.code))).toEqual([
        "ok",
        "STORE_CLOSED",
        "STORE_CLOSED",
      ]);
      expect(appends.pressure).toBe(0);
    }));

  test("says whether anybody is in it", () =>
    withTimers(async () => {
      const { append, disk, appends } = line();
      expect(appends.waiting).toBe(0);
      const both = [append("a"), append("b")];
      expect(appends.waiting).toBe(2);
      disk.room = 2;
      await vi.advanceTimersByTimeAsync(100);
      await Promise.all(both);
      expect(appends.waiting).toBe(0);
    }));

  test("of very many lets them in at the same cost each, and leaves the loop its turns", async () => {
    const { append, disk } = line(1 << 30);
    const count = 200_000;
    const all = Array.from({ length: count }, (_, n) => append(String(n)));
    disk.room = count;
    let turns = 0;
    const turn = (): void => {
      turns++;
      if (disk.room > 0) setImmediate(turn);
    };
    setImmediate(turn);
    // Moving all the others up for each that leaves would take minutes.
    expect((await Promise.all(all)).at(-1)?.queueOffset).toBe(count - 1);
    expect(disk.stored[12_345]).toBe("12345");
    expect(turns).toBeGreaterThan(50);
  });
});
