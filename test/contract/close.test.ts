import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { message, messages, openStore, temporaryDirectory } from "./temporary-store.ts";

describe("close", () => {
  test("makes everything durable and leaves no sign of a crash", async () => {
    const path = await temporaryDirectory();
    const store = await openStore({}, path);
    store.putBatch(messages(100));
    expect(existsSync(join(path, "abort"))).toBe(true);
    await store.close();
    expect(existsSync(join(path, "abort"))).toBe(false);
    expect(store.state).toBe("closed");
    const again = await openStore({}, path);
    expect(again.health().clean).toBe(true);
    expect(again.offsets("orders", 0).max).toBe(100);
  });

  test("is the same promise however often it is called", async () => {
    const store = await openStore();
    const closing = store.close();
    expect(store.close()).toBe(closing);
    expect(store.state).toBe("closing");
    await closing;
    expect(store.close()).toBe(closing);
    await store.close();
  });

  test("waits for flushes and appends under way, and settles them", async () => {
    const store = await openStore({ flush: "sync" });
    const appends = messages(50).map((each) => store.append(each));
    const flushed = store.flush();
    await store.close();
    const results = await Promise.all(appends);
    expect(await flushed).toBeGreaterThanOrEqual(results.at(-1)?.endOffset as number);
  });

  test("right after a put keeps the message", async () => {
    const path = await temporaryDirectory();
    const store = await openStore({ flush: "sync" }, path);
    store.put(message());
    await store.close();
    expect((await openStore({}, path)).get("orders", 0, 0).messages).toHaveLength(1);
  });

  test("releases the directory, again and again", async () => {
    const path = await temporaryDirectory();
    for (let i = 0; i < 5; i++) {
      const store = await openStore({}, path);
      expect(store.put(message()).queueOffset).toBe(i);
      await store.close();
    }
  });

  test("is what Symbol.asyncDispose does", async () => {
    const store = await openStore();
    expect(typeof store[Symbol.asyncDispose]).toBe("function");
    await store[Symbol.asyncDispose]();
    expect(store.state).toBe("closed");
  });
});
