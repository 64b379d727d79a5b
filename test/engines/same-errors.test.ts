/** What one engine refuses the other refuses, in the same words: codes, messages and details are the same. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Store, StoreError, type StoreOptions, salvageStore, verifyStore } from "../../src/index.ts";
import { INSTEAD, PLACES, placeIn } from "../contract/hostile.ts";
import { writeTopics } from "../contract/inner-batch.ts";
import { CALLS } from "../faults/calls.mjs";
import { ENGINES, type EngineName, temporaryDirectory } from "./engines.ts";

const MESSAGES = 60;
const SIZES: StoreOptions = { segmentBytes: 4096, queueFileEntries: 20, indexSlots: 16, indexEntries: 64 };
const START = 1_700_000_000_000;

/** Members of a store whose answers an engine gives by design, with the reason. */
const BY_DESIGN: Readonly<Record<string, string>> = {
  engine: "its name",
  stats: "the WebAssembly engine counts its memory, the native one its threads",
  share: "the WebAssembly engine has no threads",
};

/** What was answered: values and errors alike as plain data, in which the store has no place of its own. */
type Answers = Record<string, unknown>;

/** What `moraine/owner` is called until it is whole: after the process. */
const OWNER = /moraine\/owner\.[\w-]+\.new/g;

function plain(value: unknown, directory: string): unknown {
  const text = JSON.stringify(value, (_, each) =>
    each instanceof StoreError
      ? { code: each.code, message: each.message, details: each.details, retriable: each.retriable }
      : each instanceof Error
        ? { name: each.name, message: each.message }
        : each,
  );
  return text === undefined
    ? undefined
    : JSON.parse(text.replaceAll(directory, "DIRECTORY").replace(OWNER, "moraine/owner.ITS.new"));
}

/** The outcome of each call; the error where there was one. */
async function asked(answers: Answers, directory: string, name: string, call: () => unknown): Promise<unknown> {
  let outcome: unknown;
  try {
    outcome = await call();
    answers[name] = outcome instanceof Store ? "opened" : plain(outcome, directory);
  } catch (error) {
    expect(error, `${name} throws`).toBeInstanceOf(StoreError);
    answers[name] = plain(error, directory);
  }
  return outcome;
}

/** Everything that can be asked of the store in a directory. */
async function everything(engine: EngineName, directory: string, path: string): Promise<Answers> {
  const answers: Answers = {};
  const ask = (name: string, call: () => unknown) => asked(answers, directory, name, call);
  await ask("verify", () => verifyStore(path, { engine, deep: true }));
  for (const options of [{ readOnly: true }, { create: false }]) {
    const title = JSON.stringify(options);
    const open = () => Store.open(path, { ...SIZES, ...options, engine, clock: () => START });
    const store = await ask(`open ${title}`, open);
    if (!(store instanceof Store)) continue;
    await ask(`${title} health`, () => {
      const { files, ...health } = store.health();
      return { ...health, files: files.filter(({ kind }) => kind !== "sidecar") };
    });
    await ask(`${title} log`, () => ({ ...store.log }));
    await ask(`${title} scan`, () => [...store.scan()].map((item) => ({ ...item, message: undefined })));
    for (const queueId of [0, 1, 2]) {
      await ask(`${title} offsets ${queueId}`, () => store.offsets("orders", queueId));
      for (const offset of [0, 17, 29]) {
        await ask(`${title} get ${queueId} ${offset}`, () => {
          const { status, nextOffset, messages } = store.get("orders", queueId, offset, { max: 3 });
          return { status, nextOffset, at: messages.map(({ physicalOffset }) => physicalOffset) };
        });
      }
    }
    for (const key of ["k0", "k17", "k59"]) {
      await ask(`${title} lookup ${key}`, () =>
        store.lookup("orders", key).map(({ physicalOffset }) => physicalOffset),
      );
    }
    await ask(`${title} lookupAll`, () =>
      store.lookupAll("orders", ["k59", "k1", "k0"]).map((found) => found.map(({ physicalOffset }) => physicalOffset)),
    );
    await ask(`${title} put`, () =>
      store.put({ topic: "orders", queueId: 0, body: new Uint8Array(10), bornTimestamp: START }),
    );
    await ask(`${title} flush`, () => store.flush());
    await ask(`${title} close`, () => store.close());
  }
  return answers;
}

let original = "";

beforeAll(async () => {
  original = mkdtempSync(join(tmpdir(), "moraine-engines-"));
  writeTopics(original, { orders: {} });
  for (let life = 0; life < 2; life++) {
    const store = await Store.open(original, { ...SIZES, engine: "native", clock: () => START + life });
    for (let n = (life * MESSAGES) / 2; n < ((life + 1) * MESSAGES) / 2; n++) {
      const body = Buffer.from(`body ${n} `.repeat(8));
      store.put({ topic: "orders", queueId: n % 2, keys: [`k${n}`], body, bornTimestamp: START });
    }
    await store.close();
  }
});

afterAll(() => rmSync(original, { recursive: true, force: true }));

/** Both engines answer the same to `ask` in copies of a store that `change` has changed. */
async function expectSame(
  what: string,
  change: (path: string) => void | Promise<void>,
  ask: (engine: EngineName, directory: string, path: string) => Promise<Answers>,
): Promise<Answers> {
  const all: Answers[] = [];
  for (const engine of ENGINES) {
    const directory = temporaryDirectory();
    const path = join(directory, "store");
    cpSync(original, path, { recursive: true, preserveTimestamps: true });
    await change(path);
    all.push(await ask(engine, directory, path));
  }
  const [native, wasm] = all as [Answers, Answers];
  expect(Object.keys(native).length, what).toBeGreaterThan(0);
  expect(wasm, what).toEqual(native);
  return native;
}

describe("of a store with something else in the place of", () => {
  // A part of them, one another in each place; MORAINE_ENGINES=all: each in each.
  const distance = process.env.MORAINE_ENGINES === "all" ? 1 : 4;

  test.each(PLACES)("%s", async (place) => {
    const some = Object.entries(INSTEAD).filter((_, i) => (i + PLACES.indexOf(place)) % distance === 0);
    for (const [what, put] of some) {
      const change = async (path: string) => {
        const target = placeIn(path, place);
        rmSync(target, { recursive: true, force: true });
        mkdirSync(dirname(target), { recursive: true });
        await put(target);
      };
      await expectSame(`${what} in place of ${place}`, change, everything);
    }
  });
});

/** First file of a folder of the store. */
const firstIn = (path: string, folder: string) =>
  join(path, folder, readdirSync(join(path, folder)).sort()[0] as string);

const DAMAGE: Record<string, (path: string) => void> = {
  "nothing at all": () => {},
  "a log without its first file": (path) => rmSync(firstIn(path, "commitlog")),
  "a first file of the log that is cut": (path) => truncateSync(firstIn(path, "commitlog"), 1000),
  "a second life that is not there": (path) => rmSync(join(path, "moraine"), { recursive: true }),
  "no queues": (path) => rmSync(join(path, "consumequeue"), { recursive: true }),
  "a queue of a strange name": (path) => mkdirSync(join(path, "consumequeue/orders/x")),
  "an index that is cut": (path) => truncateSync(firstIn(path, "index"), 100),
  "a compaction topic": (path) => writeTopics(path, { orders: { "cleanup.policy": "COMPACTION" } }),
  "queues in RocksDB": (path) => writeFileSync(join(path, "consumequeue/CURRENT"), "MANIFEST-000004\n"),
  "an abort file": (path) => writeFileSync(join(path, "abort"), ""),
  "a checkpoint of zeros": (path) => writeFileSync(join(path, "checkpoint"), new Uint8Array(4096)),
};

describe("of a damaged store", () => {
  test.each(Object.entries(DAMAGE))("%s", async (what, change) => {
    await expectSame(what, change, everything);
  });
});

describe("of a place that is none for a store", () => {
  const PLACES_FOR_STORES: Record<string, (directory: string) => string> = {
    "that is not there": (directory) => join(directory, "nothing"),
    "below one that is not there": (directory) => join(directory, "nothing/below"),
    "that is a file": (directory) => {
      writeFileSync(join(directory, "file"), "x");
      return join(directory, "file");
    },
    "below a file": (directory) => {
      writeFileSync(join(directory, "file"), "x");
      return join(directory, "file/below");
    },
    "of other things": (directory) => {
      writeFileSync(join(directory, "letter.txt"), "x");
      return directory;
    },
    "with a name that is too long": (directory) => join(directory, "n".repeat(300)),
    "of the system": () => "/proc/self/nothing",
    "with a NUL": (directory) => `${directory}\0`,
  };

  test.each(Object.entries(PLACES_FOR_STORES))("%s", async (_, place) => {
    await expectSame(
      "place",
      () => {},
      async (engine, directory) => {
        const answers: Answers = {};
        const path = place(temporaryDirectoryIn(directory));
        for (const options of [{ readOnly: true }, { create: false }, { create: true }]) {
          const open = async () => (await Store.open(path, { ...SIZES, ...options, engine })).close();
          await asked(answers, directory, JSON.stringify(options), open);
        }
        await asked(answers, directory, "verify", () => verifyStore(path, { engine }));
        await asked(answers, directory, "salvage", () => salvageStore(join(directory, "store"), path, { engine }));
        await asked(answers, directory, "salvage from", () => salvageStore(path, join(directory, "out"), { engine }));
        return answers;
      },
    );
  });
});

function temporaryDirectoryIn(directory: string): string {
  const inner = join(directory, "inner");
  mkdirSync(inner);
  return inner;
}

describe("of a store that is", () => {
  /** Each member of a store, once. */
  const calls = async (answers: Answers, directory: string, store: Store) => {
    for (const [name, call] of Object.entries(CALLS)) {
      if (name === "close" || Object.hasOwn(BY_DESIGN, name)) continue;
      await asked(answers, directory, name, () => call(store));
    }
  };

  test("closed", async () => {
    const answers = await expectSame(
      "closed",
      () => {},
      async (engine, directory, path) => {
        const found: Answers = {};
        const store = await Store.open(path, { ...SIZES, engine });
        await store.close();
        await calls(found, directory, store);
        return found;
      },
    );
    expect(answers.put).toMatchObject({ code: "STORE_CLOSED" });
  });

  test("open already", async () => {
    const answers = await expectSame(
      "locked",
      () => {},
      async (engine, directory, path) => {
        const found: Answers = {};
        const store = await Store.open(path, { ...SIZES, engine });
        await asked(found, directory, "again", () => Store.open(path, { ...SIZES, engine }));
        await store.close();
        return found;
      },
    );
    expect(answers.again).toMatchObject({ code: "STORE_LOCKED" });
  });

  test("asked for what is wrong", async () => {
    const message = { topic: "orders", queueId: 0, body: new Uint8Array(10), bornTimestamp: START };
    const columns = {
      topics: ["orders"],
      queueIds: new Int32Array(2),
      bytes: new Uint8Array(8),
      bodies: Uint32Array.of(0, 1, 1, 2),
    };
    const WRONG: Record<string, (store: Store) => unknown> = {
      "a body that fits no file": (store) => store.put({ ...message, body: new Uint8Array(5000) }),
      "… behind one that does": (store) => store.putBatch([message, { ...message, body: new Uint8Array(5000) }]),
      "properties too long": (store) => store.put({ ...message, properties: { p: "v".repeat(32_768) } }),
      "a group that fits no file": (store) =>
        store.putGroup(
          "orders",
          0,
          Array.from({ length: 50 }, () => ({ body: new Uint8Array(100) })),
        ),
      "columns behind the end": (store) => store.putColumns({ ...columns, bodies: Uint32Array.of(0, 1, 1, 9) }),
      "columns that fit no file": (store) =>
        store.putColumns({ ...columns, bytes: new Uint8Array(5000), bodies: Uint32Array.of(0, 1, 0, 5000) }),
      "columns of an inner batch in a plain topic": (store) =>
        store.putColumns({ ...columns, sysFlags: Int32Array.of(0, 0x80) }),
      "columns to a light queue that is none": (store) => {
        const bytes = Buffer.from("INNER_MULTI_DISPATCH\u0001%LMQ%a,orders\u0002");
        return store.putColumns({ ...columns, bytes, properties: Uint32Array.of(0, 0, 0, bytes.length) });
      },
      "a wire batch that is cut": (store) => store.putGroup("orders", 0, new Uint8Array(30).fill(1)),
      "light queues of a batch": (store) => store.put({ ...message, multiDispatch: ["%LMQ%a", "orders"] }),
      "an inner batch in a plain topic": (store) =>
        store.put({ topic: "orders", queueId: 0, innerBatch: [{ body: new Uint8Array(1) }] }),
      "a topic of a path": (store) => store.put({ ...message, topic: "../orders" }),
      "flush behind the end": (store) => store.flush(2 ** 40),
      "get of no room": (store) => store.get("orders", 0, 0, { into: new Uint8Array(10) }),
      "get behind the end": (store) => store.get("orders", 0, 2 ** 50).status,
      "get in a queue that is not there": (store) => store.get("nothing", 7, 3).status,
      "at within a record": (store) => store.at(7),
      "at behind the end": (store) => store.at(2 ** 50),
      "a scan from within a record": (store) => [...store.scan({ from: 7 })].map(({ kind }) => kind),
      "lookup of a topic that is none": (store) => store.lookup("a/b", "k"),
      "lookupAll of a key with a space": (store) => store.lookupAll("orders", ["k", "a b"]),
      "retain behind the end": (store) => store.retain(2 ** 50),
      "deleteTopic of nothing": (store) => store.deleteTopic("nothing"),
      "deleteTopic of a path": (store) => store.deleteTopic("../x"),
      "expire of nothing": (store) => store.expire({ maxBytes: 2 ** 50 }),
      "fetch of no room": (store) => store.fetch("orders", 0, 0, { max: 0 }),
      "fetchAt of a fraction": (store) => store.fetchAt(1.5),
    };
    const answers = await expectSame(
      "wrong",
      () => {},
      async (engine, directory, path) => {
        const found: Answers = {};
        const store = await Store.open(path, { ...SIZES, engine, clock: () => START });
        for (const [name, call] of Object.entries(WRONG)) await asked(found, directory, name, () => call(store));
        await store.close();
        return found;
      },
    );
    expect(answers["a body that fits no file"]).toMatchObject({ code: "STORE_MESSAGE_TOO_LARGE" });
  });
});
