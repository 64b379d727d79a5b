/**
 * What every member of a store answers in every state. A store that is opening is in nobody's hands, and so has no
 * column: `Store.open` resolves when it is open, and what is called back before does not get to see it.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { answer, CALLS } from "../faults/calls.mjs";
import { type PoisonedStore, poisonedStore } from "../faults/poisoned-store.ts";
import { ENGINE, supports } from "./engine.ts";
import { message, openStore, SMALL, temporaryDirectory } from "./temporary-store.ts";

const OK = "ok";
const CLOSED = "STORE_CLOSED";
const UNSUPPORTED = "STORE_UNSUPPORTED";
const POISONED = "STORE_POISONED";
const READ_ONLY = "STORE_READ_ONLY";

interface Answers {
  open: string;
  closing: string;
  closed: string;
  poisoned: string;
  readOnly: string;
}

const FACT: Answers = { open: OK, closing: OK, closed: OK, poisoned: OK, readOnly: OK };
const READS: Answers = { open: OK, closing: CLOSED, closed: CLOSED, poisoned: OK, readOnly: OK };
const WRITES: Answers = { open: OK, closing: CLOSED, closed: CLOSED, poisoned: POISONED, readOnly: READ_ONLY };

const TABLE: Record<string, Answers> = {
  path: FACT,
  engine: FACT,
  state: FACT,
  readOnly: FACT,
  put: WRITES,
  append: WRITES,
  putBatch: WRITES,
  putGroup: WRITES,
  putColumns: WRITES,
  flush: WRITES,
  get: READS,
  fetch: READS,
  fetchAt: READS,
  read: READS,
  at: READS,
  scan: READS,
  lookup: READS,
  lookupAll: READS,
  arrival: READS,
  onAppend: WRITES,
  offsets: READS,
  offsetByTime: READS,
  timeOf: READS,
  log: READS,
  topics: READS,
  queues: READS,
  entries: READS,
  table: READS,
  groups: READS,
  expire: WRITES,
  deleteTopic: WRITES,
  retain: WRITES,
  share: supports.threads ? READS : { ...READS, open: UNSUPPORTED, poisoned: UNSUPPORTED, readOnly: UNSUPPORTED },
  pressure: READS,
  stats: READS,
  health: READS,
  verify: READS,
  close: FACT,
};

/** The table's column for a state. */
function column(state: keyof Answers): Record<string, string> {
  return Object.fromEntries(Object.entries(TABLE).map(([name, answers]) => [name, answers[state]]));
}

/** What all members but `close` answer, and `close` at the end. */
async function answers(store: Store): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, call] of Object.entries(CALLS)) found[name] = await answer(() => call(store));
  return found;
}

describe("every member of a store", () => {
  test("stands in the table", () => {
    const members = Object.getOwnPropertyNames(Store.prototype).filter((name) => name !== "constructor");
    expect(Object.keys(TABLE).sort()).toEqual(members.sort());
    expect(Object.keys(CALLS).sort()).toEqual(members.sort());
  });

  test("of a store that is open", async () => {
    const store = await openStore();
    store.put(message());
    expect(store.state).toBe("open");
    expect(await answers(store)).toEqual(column("open"));
  });

  test("of a store that is closing", async () => {
    const store = await openStore();
    store.put(message());
    const closing = store.close();
    // All calls at once: while the first is awaited the store may be closed.
    const pending = Object.entries(CALLS).map(async ([name, call]) => {
      expect(store.state).toBe("closing");
      return [name, await answer(() => call(store))];
    });
    expect(Object.fromEntries(await Promise.all(pending))).toEqual(column("closing"));
    await closing;
  });

  test("of a store that is closed", async () => {
    const store = await openStore();
    store.put(message());
    await store.close();
    expect(store.state).toBe("closed");
    expect(await answers(store)).toEqual(column("closed"));
  });

  test("of a store that is read-only", async () => {
    const path = await temporaryDirectory();
    const writer = await openStore({}, path);
    writer.put(message());
    await writer.close();
    const store = await openStore({ readOnly: true }, path);
    expect(store.state).toBe("open");
    expect(await answers(store)).toEqual(column("readOnly"));
  });

  test("of a store that is opening is out of reach", async () => {
    const seen: unknown[] = [];
    const see = (...args: unknown[]): void => void seen.push(...args);
    const opening = Store.open(await temporaryDirectory(), { ...SMALL, onProgress: see });
    expect(opening).toBeInstanceOf(Promise);
    const store = await opening;
    expect(store.state).toBe("open");
    for (const each of seen) expect(each).not.toBeInstanceOf(Store);
    await store.close();
  });
});

describe.runIf(supports.faults)("every member of a store that is poisoned", () => {
  let poisoned: PoisonedStore;
  beforeAll(async () => {
    poisoned = await poisonedStore(ENGINE, "told");
  }, 60_000);

  test("after a sync has failed for real", () => {
    expect(poisoned.state).toBe("poisoned");
    expect(poisoned.answers).toEqual(column("poisoned"));
  });
});
