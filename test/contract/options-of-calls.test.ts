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
  ["lookupAll", "max", (store, options) => store.lookupAll("orders", ["k"], options)],
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
  expect(await answer(walked)).toBe("STORE_CLOSED");
  await store.close();
});

test.each(["filter", "into", "maxBytes"])("get: a getter that closes the store, of %s", async (option) => {
  const store = await openStore();
  store.put(message());
  let closed: Promise<void> | undefined;
  const value = { filter: { tags: "*" }, into: new Uint8Array(1000), maxBytes: 1000 }[option];
  const options = Object.defineProperty({}, option, {
    enumerable: true,
    get: () => {
      closed = store.close();
      return value;
    },
  });
  expect(thrown(() => store.get("orders", 0, 0, options)).code).toBe("STORE_CLOSED");
  await closed;
  expect(thrown(() => store.get("orders", 0, 0, options)).code).toBe("STORE_CLOSED");
});

test("get and read: a filter whose getter closes the store", async () => {
  for (const call of ["get", "read"] as const) {
    const store = await openStore();
    store.put(message());
    const filter = Object.defineProperty({}, "tags", { enumerable: true, get: () => void store.close() });
    const asked = () => (call === "get" ? store.get("orders", 0, 0, { filter }) : store.read("orders", 0, { filter }));
    expect(thrown(asked).code).toBe("STORE_CLOSED");
  }
});

test("put and putGroup: a getter of a message that closes the store", async () => {
  for (const call of ["put", "putBatch", "putGroup", "append"] as const) {
    const store = await openStore();
    let closed: Promise<void> | undefined;
    const closing = Object.defineProperty(call === "putGroup" ? {} : message(), "body", {
      enumerable: true,
      get: () => {
        closed = store.close();
        return new Uint8Array(1);
      },
    }) as ReturnType<typeof message>;
    const asked = () =>
      call === "putBatch"
        ? store.putBatch([closing])
        : call === "putGroup"
          ? store.putGroup("orders", 0, [closing])
          : store[call](closing);
    expect(await answer(asked)).toBe("STORE_CLOSED");
    await closed;
  }
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
