/** Reads beside the event loop, over an addon that answers when the test says so. */
import { describe, expect, test } from "vitest";
import type { FetchedMessages } from "../../src/binding/contract.ts";
import { NativeFetches, nextNumber } from "../../src/binding/native-fetch.ts";
import type { ProcessHold } from "../../src/binding/process-hold.ts";
import { StoreError } from "../../src/errors.ts";

/** As the addon takes numbers: unsigned, of 32 bits. */
const MOST = 0xffff_ffff;

function fetches() {
  const seen = { held: 0, asked: [] as number[], forgotten: [] as number[], taken: [] as number[] };
  const hold = { take: () => seen.held++, release: () => seen.held-- } as unknown as ProcessHold;
  const take = (fetch: number): FetchedMessages => {
    seen.taken.push(fetch);
    return { columns: new Float64Array([fetch]), bytes: new Uint8Array(0) };
  };
  const native = new NativeFetches(take, (fetch) => seen.forgotten.push(fetch), hold);
  const start = () => native.start((fetch) => void seen.asked.push(fetch));
  return { native, seen, start };
}

describe("reads beside the event loop", () => {
  test("are told apart by their numbers, and hold the process while they go on", async () => {
    const { native, seen, start } = fetches();
    const [first, second] = [start(), start()];
    expect(seen).toMatchObject({ asked: [1, 2], held: 2 });
    native.arrived(2, undefined);
    native.arrived(1, new StoreError("STORE_IO", "broken"));
    expect((await second.done).columns[0]).toBe(2);
    await expect(first.done).rejects.toMatchObject({ code: "STORE_IO" });
    expect(seen).toMatchObject({ held: 0, taken: [2], forgotten: [] });
  });

  test("that were forgotten hold nothing, and what comes for them is taken and dropped", () => {
    const { native, seen, start } = fetches();
    const { forget } = start();
    forget();
    forget();
    expect(seen).toMatchObject({ held: 0, forgotten: [1] });
    native.arrived(1, undefined);
    expect(seen).toMatchObject({ held: 0, taken: [1] });
  });

  test("that could not be asked for hold nothing", () => {
    const { native, seen } = fetches();
    const refused = new StoreError("STORE_CLOSED", "closed");
    expect(() =>
      native.start(() => {
        throw refused;
      }),
    ).toThrow(refused);
    expect(seen.held).toBe(0);
  });
});

describe("numbers of what is asked for", () => {
  test("are those that the addon takes, and never one that somebody waits for", () => {
    const waiting = new Map([MOST, 0, 1].map((number) => [number, undefined]));
    expect(nextNumber(0, new Map())).toBe(1);
    expect(nextNumber(MOST, new Map())).toBe(0);
    expect(nextNumber(MOST - 1, waiting)).toBe(2);
    expect(nextNumber(MOST - 1, new Map())).toBe(MOST);
  });
});
