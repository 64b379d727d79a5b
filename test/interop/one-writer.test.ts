import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, vi } from "vitest";
import { acquireLock } from "../../src/binding/wasm-lock.ts";
import { Store, StoreError } from "../../src/index.ts";
import { hasNative } from "../unit/contender.ts";
import { moraine } from "./command-line.ts";
import { snapshot, temporaryFolder } from "./folders.ts";
import { holdWithOracle, LINES, oracleTest, runOracle } from "./oracle.ts";

/** The error that a call throws, or its promise rejects with. */
async function refusal(call: () => unknown): Promise<StoreError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error("the store was opened");
}

const put = { topic: "orders", queues: 1, count: 3, size: 20, keys: "k{n}" };

describe.concurrent.each(LINES)("a store that RocketMQ %s has open", (line) => {
  oracleTest("is locked for us, can be read, and is ours when RocketMQ has closed it", async () => {
    const dir = join(temporaryFolder(), "store");
    const held = await holdWithOracle(line, dir, { seed: 1, steps: [put, { do: "hold" }, put] });

    await expect(Store.open(dir)).rejects.toMatchObject({ code: "STORE_LOCKED" });
    const live = await Store.open(dir, { readOnly: true });
    expect(live.get("orders", 0, 0).messages.map((message) => message.keys)).toEqual([["k0"], ["k1"], ["k2"]]);
    await live.close();
    expect((await moraine("dump", dir, "--json")).out).toHaveLength(3);

    expect(await held.release()).toMatchObject({ code: 0 });
    const store = await Store.open(dir);
    expect(store.offsets("orders", 0)).toMatchObject({ min: 0, max: 6 });
    await store.close();
  });
});

describe.concurrent.each(LINES)("without system locks, a store that RocketMQ %s has open", (line) => {
  oracleTest(
    "is refused in the words of the native engine, and does not keep RocketMQ out when it is ours",
    async () => {
      const dir = realpathSync(temporaryFolder());
      const held = await holdWithOracle(line, dir, { seed: 1, steps: [put, { do: "hold" }] });
      // RocketMQ enters messages behind, and makes this file with the first of them.
      await vi.waitFor(() => expect(readdirSync(join(dir, "index"))).not.toEqual([]), 60_000);
      const before = Object.keys(snapshot(dir));
      const refused = await refusal(() => acquireLock(dir));
      const holder = refused.details.holder;
      expect(refused.message).toBe(
        `the store ${dir} is held by process ${holder}, probably RocketMQ; close it there, or open it with readOnly: true`,
      );
      expect(readFileSync(`/proc/${holder}/cmdline`, "utf8")).toContain("java");
      expect(Object.keys(snapshot(dir)), "who is refused has made nothing").toEqual(before);
      if (hasNative()) {
        const { code, message, details } = await refusal(() => Store.open(dir, { engine: "native" }));
        expect(refused).toMatchObject({ code, message, details });
      }
      expect(await held.release()).toMatchObject({ code: 0 });

      const lock = acquireLock(dir);
      expect(await runOracle(line, "read", dir, "--in-place"), "RocketMQ is not kept out").toMatchObject({ code: 0 });
      lock.release();
    },
  );
});

describe.concurrent.each(LINES)("a store that we have open", (line) => {
  oracleTest(`is refused by RocketMQ ${line}, and loses nothing`, async () => {
    const dir = join(temporaryFolder(), "store");
    const store = await Store.open(dir, {
      segmentBytes: 65_536,
      queueFileEntries: 100,
      indexSlots: 64,
      indexEntries: 256,
    });
    const body = new Uint8Array(100);
    for (let n = 0; n < 50; n++) store.put({ topic: "orders", queueId: 0, keys: [`k${n}`], body });
    await store.flush();

    const refused = await runOracle(line, "read", dir, "--in-place");
    expect(refused.code).not.toBe(0);
    expect(refused.err).toMatch(/lock failed/i);
    expect(existsSync(join(dir, "abort")), "our mark of an open store").toBe(true);

    await store.close();
    const again = await Store.open(dir, { readOnly: true });
    expect(again.get("orders", 0, 0, { max: 100, maxBytes: 1 << 20 }).messages).toHaveLength(50);
    expect([...again.lookup("orders", "k49")]).toHaveLength(1);
    await again.close();
  });
});
