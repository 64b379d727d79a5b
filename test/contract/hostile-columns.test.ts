/** Columns of which something is wrong, or that change while they are looked at: a typed error, and nothing stored. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import vm from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import type { MessageColumns, Store } from "../../src/index.ts";
import { plainColumns } from "./columns.ts";
import { answer, bytes, message, openStore, temporaryDirectory, text, thrown } from "./temporary-store.ts";

const bodies = (store: Store, topic = "orders") =>
  store.get(topic, 0, 0, { max: 1000 }).messages.map(({ body }) => text(body));

const detached = <T extends NodeJS.TypedArray>(array: T): T => {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};

type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (size: number): Resizable =>
  new (ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable)(size, { maxByteLength: 2 * size });

/** Expects that two messages with something wrong are refused, and that nothing of the store has changed. */
async function refused(fields: object, argument: string, ...says: string[]) {
  return refusedBy(await openStore(), fields, argument, ...says);
}

function refusedBy(store: Store, fields: object, argument: string, ...says: string[]) {
  const error = thrown(() => store.putColumns(plainColumns(2, fields)));
  expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument, stored: 0 } });
  for (const part of says) expect(error.message).toContain(part);
  expect(store.log.endOffset).toBe(0);
  expect(store.topics()).toEqual([]);
  return error;
}

describe("columns that are none", () => {
  test.each([
    ["undefined", undefined],
    ["null", null],
    ["5", 5],
    ['"columns"', "columns"],
    ["function", () => {}],
  ])("%s", async (shown, columns) => {
    const store = await openStore();
    const error = thrown(() => store.putColumns(columns as unknown as MessageColumns));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "columns", stored: 0 } });
    expect(error.message).toContain(`columns is ${shown === "function" ? "" : shown}`);
    expect(error.message).toContain("topics, queueIds, bytes and bodies");
  });

  test("a revoked proxy", async () => {
    const store = await openStore();
    const { proxy, revoke } = Proxy.revocable(plainColumns(1), {});
    revoke();
    const error = thrown(() => store.putColumns(proxy));
    expect(error).toMatchObject({ details: { argument: "columns" }, cause: expect.any(TypeError) });
  });
});

const KINDS = [
  ["queueIds", "an Int32Array"],
  ["bytes", "a Uint8Array"],
  ["bodies", "a Uint32Array"],
  ["properties", "a Uint32Array"],
  ["topicOf", "a Uint32Array"],
  ["bornHostOf", "a Uint32Array"],
  ["flags", "an Int32Array"],
  ["sysFlags", "an Int32Array"],
  ["reconsumeTimes", "an Int32Array"],
  ["preparedTransactionOffsets", "a Float64Array"],
  ["bornTimestamps", "a Float64Array"],
] as const;
const REQUIRED = ["queueIds", "bytes", "bodies"];
const MADE = {
  "an Int32Array": Int32Array,
  "a Uint8Array": Uint8Array,
  "a Uint32Array": Uint32Array,
  "a Float64Array": Float64Array,
};

describe.each(KINDS)("the column %s", (name, kind) => {
  const make = MADE[kind];
  const lengths = name === "bodies" || name === "properties" ? 4 : 2;
  const others = [
    Int8Array,
    Uint8Array,
    Int16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
  ];

  test("is nothing else", async () => {
    const store = await openStore();
    const values: unknown[] = [
      null,
      1,
      [0, 0],
      new ArrayBuffer(64),
      new DataView(new ArrayBuffer(64)),
      new Proxy(new make(lengths), {}),
      Object.create(new make(lengths)),
      ...others.filter((other) => other !== make).map((other) => new other(lengths)),
      ...(REQUIRED.includes(name) ? [undefined] : []),
    ];
    for (const value of values) refusedBy(store, { [name]: value }, name, `${name} is `, `it must be ${kind}`);
  });

  test("may not have lost its memory", async () => {
    await refused({ [name]: detached(new make(lengths)) }, name, `${name} has lost its memory`);
    const buffer = resizable(lengths * 8);
    const beyond = new make(buffer, 8, lengths - 1);
    buffer.resize(0);
    await refused({ [name]: beyond }, name, `${name} has lost its memory`);
  });

  test("may be of a subclass that lies, of another realm, on memory that is shared or can be resized", async () => {
    class Lying extends (make as typeof Uint8Array) {
      override get length(): number {
        return 1000;
      }
      override get buffer(): ArrayBuffer {
        throw new Error("mine");
      }
      override subarray(): never {
        throw new Error("mine");
      }
      override slice(): never {
        throw new Error("mine");
      }
    }
    const store = await openStore();
    const right = plainColumns(2, {
      properties: new Uint32Array(4),
      topicOf: new Uint32Array(2),
      bornHostOf: new Uint32Array(2),
      flags: new Int32Array(2),
      sysFlags: new Int32Array(2),
      reconsumeTimes: new Int32Array(2),
      preparedTransactionOffsets: new Float64Array(2),
      bornTimestamps: new Float64Array(2),
    });
    const given = right[name] as Uint8Array;
    const size = given.byteLength;
    const lying = Object.defineProperties(new make(given), {
      length: { value: 1000 },
      subarray: { value: null },
      constructor: { get: () => expect.unreachable("the constructor was asked for") },
    });
    const foreign = vm.runInNewContext(`new ${make.name}(${JSON.stringify([...given])})`);
    for (const view of [
      new Lying(given),
      lying,
      foreign,
      new make(new SharedArrayBuffer(size) as unknown as ArrayBuffer),
      new make(resizable(size)),
      Buffer.from(given),
    ]) {
      if (view instanceof Buffer && name !== "bytes") continue;
      Uint8Array.prototype.set.call(view, [...given]);
      expect(store.putColumns({ ...right, [name]: view }).count).toBe(2);
    }
    const found = bodies(store);
    expect(found).toEqual(Array.from({ length: found.length }, (_, i) => (i % 2 === 0 ? "m0000" : "m0001")));
  });
});

describe("numbers of columns", () => {
  test.each(KINDS.map(([name]) => name).filter((name) => name !== "bytes" && name !== "queueIds"))(
    "%s are as many as there are messages",
    async (name) => {
      const store = await openStore();
      const make = MADE[KINDS.find(([each]) => each === name)?.[1] ?? "a Uint8Array"];
      const wanted = name === "bodies" || name === "properties" ? 4 : 2;
      for (const length of [0, wanted - 1, wanted + 1]) {
        const says = `${name} has ${length} numbers; it must have ${wanted}, as queueIds says how many messages there are`;
        refusedBy(store, { [name]: new make(length) }, name, says);
      }
    },
  );

  const fields: [string, object, string, string][] = [
    [
      "a queue id",
      { queueIds: Int32Array.of(0, -1) },
      "queueIds[1]",
      "queueIds[1] is -1; it must be an integer from 0 to",
    ],
    [
      "a body that ends before it begins",
      { bodies: Uint32Array.of(0, 5, 5, 4) },
      "bodies[2]",
      "are 5 and 4; they must be",
    ],
    ["a body behind the end", { bodies: Uint32Array.of(0, 11, 0, 0) }, "bodies[0]", "are 0 and 11;"],
    ["… that is empty", { bodies: Uint32Array.of(0, 0, 11, 11) }, "bodies[2]", "a range of the 10 bytes"],
    ["… far behind", { bodies: Uint32Array.of(0, 2 ** 32 - 1, 0, 0) }, "bodies[0]", "are 0 and 4294967295;"],
    ["properties before", { properties: Uint32Array.of(0, 0, 3, 2) }, "properties[2]", "properties[2] and the number"],
    ["properties behind", { properties: Uint32Array.of(10, 11, 0, 0) }, "properties[0]", "are 10 and 11;"],
    [
      "a topic",
      { topicOf: Uint32Array.of(0, 1) },
      "topicOf[1]",
      "topicOf[1] is 1; topics has 1 entries, counted from 0",
    ],
    ["a host", { bornHostOf: Uint32Array.of(2 ** 32 - 1, 0) }, "bornHostOf[0]", "bornHosts has 1 entries"],
  ];
  test.each(fields)("%s", async (_, wrong, argument, says) => {
    await refused(wrong, argument, says);
  });

  test.each(["bornTimestamps", "preparedTransactionOffsets"])("%s are safe integers", async (name) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 0.5, 2 ** 53, -(2 ** 53)]) {
      const says = `${name}[1] is ${value}; it must be an integer from -(2^53 - 1) to 2^53 - 1`;
      await refused({ [name]: Float64Array.of(0, value) }, `${name}[1]`, says);
    }
  });
});

describe("tables of columns", () => {
  const lying = (length: unknown) =>
    new Proxy(["orders"], { get: (array, name) => (name === "length" ? length : Reflect.get(array, name)) });
  test.each<[string, unknown, string]>([
    ["no array", "orders", 'topics is "orders"; it must be an array of names of topics'],
    ["missing", undefined, "topics is undefined"],
    ["a set", new Set(["orders"]), "it must be an array"],
    ["empty", [], "topics has 0 entries; it must have from 1 to 65536"],
    ["too many", new Array(65_537).fill("orders"), "topics has 65537 entries"],
    ["of a length that is none", lying(-1), "topics has -1 entries"],
    ["of half a length", lying(1.5), "topics has 1.5 entries"],
    ["of a length that is a text", lying("0"), 'topics has "0" entries'],
    ["of a length that is no number", lying(Number.NaN), "topics has NaN entries"],
  ])("topics that are %s", async (_, topics, says) => {
    await refused({ topics }, "topics", says);
  });

  test.each<[string, unknown, string]>([
    ["", "", "topics[1]: topic is empty"],
    ["a path", "../x", 'topics[1]: topic "../x" has "."'],
    ["a number", 7, "topics[1]: topic is 7; it must be a string"],
    ["a hole", undefined, "topics[1]: topic is undefined"],
    ["too long", "a".repeat(128), "has 128 characters"],
    ["a light queue", "%LMQ%a", "names a light queue"],
  ])("a topic that is %s, though no message goes there", async (_, topic, says) => {
    await refused({ topics: ["orders", topic] }, "topics[1]", says);
  });

  test.each<[string, object, string, string]>([
    ["no array", { bornHosts: {} }, "bornHosts", "it must be an array of hosts"],
    ["null", { bornHosts: null }, "bornHosts", "bornHosts is null"],
    ["empty", { bornHosts: [] }, "bornHosts", "bornHosts has 0 entries"],
    ["a hole", { bornHosts: [undefined] }, "bornHosts[0]", "bornHosts[0] is missing"],
    ["a text", { bornHosts: ["10.0.0.1"] }, "bornHosts[0]", "it must be { address, port }"],
    ["no address", { bornHosts: [{ address: "x", port: 1 }] }, "bornHosts[0].address", '"x"'],
    ["no port", { bornHosts: [{ address: "::1", port: 65_536 }] }, "bornHosts[0].port", "65536"],
    ["a store host that is null", { storeHost: null }, "storeHost", "storeHost is null"],
    ["a store host without an address", { storeHost: { port: 1 } }, "storeHost.address", "undefined"],
    ["a store host with a wrong port", { storeHost: { address: "::1", port: -1 } }, "storeHost.port", "-1"],
  ])("hosts: %s", async (_, wrong, argument, says) => {
    await refused(wrong, argument, says);
  });
});

describe("code of the caller that runs while columns are read", () => {
  const names: (keyof MessageColumns)[] = [...KINDS.map(([name]) => name), "topics", "bornHosts", "storeHost"];

  test.each(names)("%s: a getter that throws is a wrong argument", async (name) => {
    const store = await openStore();
    const cause = new Error("mine");
    const columns = Object.defineProperty(plainColumns(1), name, {
      get: () => {
        throw cause;
      },
    });
    const error = thrown(() => store.putColumns(columns));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "columns", stored: 0 } });
    expect(error.cause).toBe(cause);
    expect(store.log.endOffset).toBe(0);
  });

  test.each(names)("%s: a getter is asked once", async (name) => {
    const store = await openStore();
    const columns = plainColumns(1);
    const value = columns[name];
    let asked = 0;
    store.putColumns(
      Object.defineProperty(columns, name, {
        get: () => {
          asked++;
          return asked === 1 ? value : null;
        },
      }),
    );
    expect(asked).toBe(1);
    expect(bodies(store)).toEqual(["m0000"]);
  });

  test("a getter that closes the store", async () => {
    const store = await openStore();
    let closed: Promise<void> | undefined;
    const topics = Object.defineProperty(["orders"], 0, {
      get: () => {
        closed = store.close();
        return "orders";
      },
    });
    const error = thrown(() => store.putColumns(plainColumns(1, { topics })));
    expect(error).toMatchObject({ code: "STORE_CLOSED", details: { stored: 0 } });
    await closed;
  });

  test("a getter that puts others, by columns, too", async () => {
    const store = await openStore();
    const bornHost = {
      port: 1,
      get address(): string {
        store.put(message({ body: bytes("single") }));
        const bornHosts = [{ address: "::2", port: 2 }];
        store.putColumns(plainColumns(1, { topics: ["payments"], bornHosts, bytes: bytes("inner") }));
        return "10.0.0.1";
      },
    };
    store.putColumns(plainColumns(2, { bornHosts: [bornHost] }));
    expect(bodies(store)).toEqual(["single", "m0000", "m0001"]);
    expect(bodies(store, "payments")).toEqual(["inner"]);
    expect(store.get("orders", 0, 1).messages[0]?.bornHost).toEqual({ address: "10.0.0.1", port: 1 });
    expect(store.get("payments", 0, 0).messages[0]?.bornHost).toEqual({ address: "::2", port: 2 });
  });

  test.each(["queueIds", "bodies", "bytes"] as const)("a getter that takes the memory of %s away", async (name) => {
    const columns = plainColumns(2);
    const own = { ...columns, bytes: new Uint8Array(columns.bytes) };
    const topics = Object.defineProperty(["orders"], 0, {
      get: () => {
        detached(own[name]);
        return "orders";
      },
    });
    await refused({ ...own, topics }, name, `${name} has lost its memory`);
  });

  test("a clock that puts others", async () => {
    let store: Store | undefined;
    let nested = 0;
    const clock = () => {
      if (store !== undefined && nested < 2) {
        nested++;
        store.putColumns(plainColumns(1, { topics: ["payments"], bytes: bytes("inner") }));
      }
      return 1_700_000_000_000;
    };
    const opened = await openStore({ clock });
    store = opened;
    opened.putColumns(plainColumns(2));
    expect(nested).toBe(2);
    expect(bodies(opened)).toEqual(["m0000", "m0001"]);
    expect(bodies(opened, "payments")).toEqual(["inner", "inner"]);
  });

  test.each(["queueIds", "flags", "bytes"] as const)("a clock that takes the memory of %s away", async (name) => {
    const columns = plainColumns(2, { flags: Int32Array.of(7, 7) });
    const own = { ...columns, bytes: new Uint8Array(columns.bytes) };
    let isTaking = false;
    const clock = () => {
      if (isTaking) detached(own[name] as Uint8Array);
      isTaking = false;
      return 1_700_000_000_000;
    };
    const store = await openStore({ clock });
    isTaking = true;
    // An engine that has copied them by then stores what was given.
    const outcome = await answer(() => store.putColumns(own));
    expect(["ok", "STORE_INVALID_ARGUMENT"]).toContain(outcome);
    const found = store.get("orders", 0, 0).messages.map(({ flag, body }) => `${text(body)} ${flag}`);
    expect(found).toEqual(outcome === "ok" ? ["m0000 7", "m0001 7"] : []);
  });

  test("a clock that throws", async () => {
    let isBroken = false;
    const clock = () => {
      if (isBroken) throw new Error("mine");
      return 1_700_000_000_000;
    };
    const store = await openStore({ clock });
    isBroken = true;
    const columns = thrown(() => store.putColumns(plainColumns(2)));
    const batch = thrown(() => store.putBatch([message()]));
    expect([columns.code, columns.message, columns.details]).toEqual([batch.code, batch.message, batch.details]);
    isBroken = false;
    expect(store.putColumns(plainColumns(2)).count).toBe(2);
  });

  /** Two messages that go to the engine in a call each, and what runs between them. */
  async function between(fields: Partial<MessageColumns>, run: (store: Store) => void) {
    const store = await openStore({ segmentBytes: 8 * 1024 * 1024 });
    let told = 0;
    const listener = (put: unknown) => {
      if ((put as { path: string }).path === store.path && ++told === 1) run(store);
    };
    subscribe("moraine:put", listener);
    onTestFinished(() => void unsubscribe("moraine:put", listener));
    const columns = plainColumns(2, {
      bytes: new Uint8Array(6e6),
      bodies: Uint32Array.of(0, 3e6, 3e6, 6e6),
      ...fields,
    });
    return { store, put: () => store.putColumns(columns) };
  }

  const changes: [string, Partial<MessageColumns>, (columns: Partial<MessageColumns>) => void][] = [
    ["detaches the bytes", { bytes: new Uint8Array(6e6) }, ({ bytes = new Uint8Array() }) => detached(bytes)],
    ["detaches queue ids", { queueIds: new Int32Array(2) }, ({ queueIds = new Int32Array() }) => detached(queueIds)],
    ["detaches flags", { flags: new Int32Array(2) }, ({ flags = new Int32Array() }) => detached(flags)],
    [
      "detaches times",
      { bornTimestamps: new Float64Array(2) },
      ({ bornTimestamps }) => detached(bornTimestamps as never),
    ],
    ["turns a body round", { bodies: Uint32Array.of(0, 3e6, 3e6, 6e6) }, ({ bodies }) => bodies?.set([6e6, 3e6], 2)],
    [
      "puts a body behind the end",
      { bodies: Uint32Array.of(0, 3e6, 3e6, 6e6) },
      ({ bodies }) => bodies?.fill(2 ** 32 - 1, 3),
    ],
    ["changes places of topics", { topicOf: new Uint32Array(2) }, ({ topicOf }) => topicOf?.fill(1)],
    ["changes places of hosts", { bornHostOf: new Uint32Array(2) }, ({ bornHostOf }) => bornHostOf?.fill(2 ** 32 - 1)],
    ["changes queue ids", { queueIds: new Int32Array(2) }, ({ queueIds }) => queueIds?.fill(-1)],
  ];
  test.each(changes)("who is told of the first call and %s", async (_, fields, change) => {
    const { store, put } = await between(fields, () => change(fields));
    const error = thrown(put);
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { stored: 1 } });
    expect(store.offsets("orders", 0).next).toBe(1);
    expect(store.putColumns(plainColumns(1)).count).toBe(1);
  });

  test("who is told of the first call and closes the store: the rest is stored before it is", async () => {
    let closed: Promise<void> | undefined;
    const { store, put } = await between({}, (store) => {
      closed = store.close();
    });
    expect(put().count).toBe(2);
    await closed;
    const reader = await openStore({ readOnly: true }, store.path);
    expect(reader.offsets("orders", 0)).toEqual({ min: 0, max: 2, next: 2 });
  });

  test("who is told of the first call and puts others", async () => {
    const { store, put } = await between({}, (store) => {
      store.putColumns(plainColumns(1, { topics: ["payments"] }));
    });
    expect([...put().queueOffsets]).toEqual([0, 1]);
    expect(bodies(store, "payments")).toEqual(["m0000"]);
  });
});

test("columns on shared memory are copied, and so are not seen to change", async () => {
  const shared = <T extends NodeJS.TypedArray>(array: T): T => {
    const copy = new (array.constructor as new (buffer: SharedArrayBuffer) => T)(
      new SharedArrayBuffer(array.byteLength),
    );
    copy.set(array as never);
    return copy;
  };
  const { queueIds, bodies: ranges, bytes: from } = plainColumns(2);
  const columns = { queueIds: shared(queueIds), bodies: shared(ranges), bytes: shared(new Uint8Array(from)) };
  // The clock is asked when everything was checked, as another thread might write then.
  let isChanging = false;
  const clock = () => {
    if (isChanging) for (const column of Object.values(columns)) column.fill(255);
    return 1_700_000_000_000;
  };
  const store = await openStore({ clock });
  isChanging = true;
  store.putColumns(plainColumns(2, columns));
  expect(bodies(store)).toEqual(["m0000", "m0001"]);
});

test("columns are refused in every state but open", async () => {
  const directory = await temporaryDirectory();
  const store = await openStore({}, directory);
  store.putColumns(plainColumns(1));
  await store.close();
  const closed = thrown(() => store.putColumns(plainColumns(1)));
  expect(closed).toMatchObject({ code: "STORE_CLOSED", details: { stored: 0 } });
  const reader = await openStore({ readOnly: true }, directory);
  const readOnly = thrown(() => reader.putColumns(plainColumns(0)));
  expect(readOnly).toMatchObject({ code: "STORE_READ_ONLY", details: { stored: 0 } });
});
