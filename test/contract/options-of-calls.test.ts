/** Options of calls are read once, and what is wrong about them is answered with a StoreError, whatever they are. */
import { expect, test } from "vitest";
import type { Store } from "../../src/index.ts";
import { answer, message, openStore, thrown } from "./temporary-store.ts";

type Call = (store: Store, options: never) => unknown;

const CALLS: [string, string, Call][] = [
  ["append", "durability", (store, options) => store.append(message(), options)],
  ["get", "max", (store, options) => store.get("orders", 0, 0, options)],
  ["read", "from", (store, options) => store.read("orders", 0, options)],
  ["scan", "to", (store, options) => store.scan(options)],
  ["scan", "follow", (store, options) => store.scan(options)],
  ["arrival", "timeoutMs", (store, options) => store.arrival("orders", 0, 0, options)],
  ["lookup", "end", (store, options) => store.lookup("orders", "k", options)],
  ["entries", "max", (store, options) => store.entries("orders", 0, options)],
];

test.each(CALLS)("%s: a getter that throws is a wrong argument", async (_name, option, call) => {
  const store = await openStore();
  const options = Object.defineProperty({}, option, {
    enumerable: true,
    get: () => {
      throw new Error("mine");
    },
  });
  expect(await answer(() => call(store, options as never))).toBe("STORE_INVALID_ARGUMENT");
  expect(store.log.endOffset).toBe(0);
});

test.each(CALLS)("%s: options that would be overlooked are refused", async (_name, option, call) => {
  const store = await openStore();
  for (const options of [new Map([[option, 1]]), Object.create({ [option]: 1 }), [], null, 5, new Proxy({}, {})]) {
    expect(await answer(() => call(store, options as never))).toBe("STORE_INVALID_ARGUMENT");
  }
});

test.each(CALLS)("%s: a getter that closes the store", async (_name, option, call) => {
  const store = await openStore();
  const options = Object.defineProperty({}, option, { enumerable: true, get: () => void store.close() });
  const walked = async (): Promise<void> => {
    const result = call(store, options as never);
    if (result instanceof Object && "next" in result) await (result as AsyncGenerator).next();
    else await result;
  };
  expect(await answer(walked)).toMatch(/^(STORE_CLOSED|ok)$/);
  await store.close();
});

test("a getter of an option is read once", async () => {
  const store = await openStore();
  let reads = 0;
  const options = {
    get max(): number {
      return ++reads;
    },
  };
  store.get("orders", 0, 0, options);
  expect(reads).toBe(1);
});

test.each([
  ["an object", {}],
  ["an object with the prototype of a signal", Object.create(AbortSignal.prototype)],
  ["a controller", new AbortController()],
])("%s is no signal", async (_name, signal) => {
  const store = await openStore();
  expect(thrown(() => store.read("orders", 0, { signal })).details.argument).toBe("options.signal");
});
