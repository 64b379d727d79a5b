/** The same calls with the same clock leave the same files, byte for byte, whichever engine was called. */
import { cpSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { type InnerBatchMessage, type Message, Store, type StoreOptions } from "../../src/index.ts";
import { columnsOf } from "../contract/columns.ts";
import { BATCH_QUEUES, writeTopics } from "../contract/inner-batch.ts";
import { ENGINES, type EngineName, temporaryDirectory } from "./engines.ts";

const SEEDS = [1, 2, 3, 4];
const LIVES = 3;
const CALLS = 80;
const BORN = 1_700_000_000_000;
const GROUP = [{ body: new Uint8Array(40), keys: ["g"] }, { body: new Uint8Array(9) }];
const SIZES: StoreOptions = { segmentBytes: 16_384, queueFileEntries: 20, indexSlots: 16, indexEntries: 50 };

/** What an engine keeps for itself: how far it had come, and who it was. And the table before the last, of which see OFFSETS. */
const OWN = /^(moraine\/|lock$|abort|config\/.*\.bak$)/;
/** A table that is written behind. */
const OFFSETS = "config/consumerOffset.json";

class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `high`. */
  roll(high: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * (high + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.roll(list.length - 1)] as T;
  }
}

/** A message, one in a while long, delayed, of a transaction or for light queues. */
function drawn(dice: Dice): Message {
  const topic = dice.pick(["orders", "orders", "payments", "gone", "SCHEDULE_TOPIC_XXXX", `%RETRY%${"g".repeat(130)}`]);
  const special = dice.roll(15);
  return {
    topic,
    queueId: dice.roll(2),
    body: new Uint8Array(special === 0 ? 6000 : dice.roll(300)).fill(dice.roll(255)),
    tags: dice.pick([undefined, "Aa", "BB", "created"]),
    keys: dice.pick([[], ["k"], ["Aa", "BB"], ["键"]]),
    bornTimestamp: BORN + dice.roll(1000),
    ...(special === 1 ? { sysFlag: dice.pick([4, 8, 12]) } : {}),
    ...(special === 2 ? { bornHost: { address: "2001:db8::1", port: 1 } } : {}),
    ...(special === 3 && topic === "orders" ? { multiDispatch: ["%LMQ%a", "%LMQ%b"] } : {}),
    ...(special === 4 ? { properties: { DELAY: "3", further: "value" } } : {}),
  };
}

function innerBatchOf(dice: Dice): InnerBatchMessage {
  const bodies = Array.from({ length: 1 + dice.roll(4) }, () => ({ body: new Uint8Array(dice.roll(80)) }));
  return { topic: "batches", queueId: 0, innerBatch: bodies, bornTimestamp: BORN };
}

/** Opens, calls and closes a store some times, as the dice have it. */
async function played(engine: EngineName, seed: number, path: string): Promise<void> {
  const dice = new Dice(seed);
  writeTopics(path, { batches: BATCH_QUEUES });
  let now = 1_750_000_000_000;
  for (let life = 0; life < LIVES; life++) {
    const options: StoreOptions = {
      ...SIZES,
      engine,
      flush: dice.pick(["async", "sync"] as const),
      flushIntervalMs: dice.pick([1, 500]),
      recordCrc: dice.roll(3) > 0,
      indexTags: dice.roll(1) > 0,
      clock: () => now,
    };
    const store = await Store.open(path, options);
    for (let call = 0; call < CALLS; call++) {
      await called(store, dice);
      now += dice.pick([0, 1, 3, 700, 3_600_000]);
    }
    if (life === 1) await store.expire({ maxBytes: 10 * 16_384 });
    await store.close();
  }
}

async function called(store: Store, dice: Dice): Promise<void> {
  const which = dice.roll(30);
  if (which < 14) store.put(drawn(dice));
  else if (which < 19) store.putBatch(Array.from({ length: 1 + dice.roll(20) }, () => drawn(dice)));
  else if (which < 22) store.putColumns(columnsOf(Array.from({ length: 1 + dice.roll(20) }, () => drawn(dice))));
  else if (which < 24) store.put(innerBatchOf(dice));
  else if (which < 26) store.putGroup("payments", 1, GROUP, { bornTimestamp: BORN });
  else if (which === 26) await store.append(drawn(dice), { durability: dice.pick(["memory", "disk"] as const) });
  else if (which === 27) await store.flush();
  else if (which === 28) await store.deleteTopic("gone");
  else if (which === 29) store.groups.commit("readers", "orders", dice.roll(2), dice.roll(100));
  else if (dice.roll(2) === 0) await store.expire({ maxBytes: 5 * 16_384 });
}

/** Contents of the files below a store, but for what an engine keeps for itself. */
function filesOf(path: string): Map<string, Buffer> {
  const all = readdirSync(path, { recursive: true, encoding: "utf8" }).map((name) => join(path, name));
  const files = all.filter((file) => statSync(file).isFile()).sort();
  const named = files.map((file) => [relative(path, file), file] as const).filter(([name]) => !OWN.test(name));
  return new Map(named.map(([name, file]) => [name, contentsOf(name, file)]));
}

/** How often a table was written follows from the time that passed, and so does the number that it counts. */
function contentsOf(name: string, file: string): Buffer {
  const bytes = readFileSync(file);
  if (name !== OFFSETS) return bytes;
  const table = bytes.toString();
  const counted = /"dataVersion":\{[^}]*\}/;
  expect(table).toMatch(counted);
  return Buffer.from(table.replace(counted, ""));
}

function expectSame(one: ReadonlyMap<string, Buffer>, other: ReadonlyMap<string, Buffer>): void {
  expect([...other.keys()]).toEqual([...one.keys()]);
  for (const [name, bytes] of one) {
    const theirs = other.get(name) as Buffer;
    expect(theirs.length, name).toBe(bytes.length);
    const at = bytes.findIndex((byte, i) => byte !== theirs[i]);
    expect(at, `first byte of ${name} that differs`).toBe(-1);
  }
}

describe("the same calls leave the same files", () => {
  test.each(SEEDS)("seed %i", async (seed) => {
    const paths = ENGINES.map(() => temporaryDirectory());
    for (const [i, engine] of ENGINES.entries()) await played(engine, seed, paths[i] as string);
    const [native, wasm] = paths.map(filesOf) as [Map<string, Buffer>, Map<string, Buffer>];
    const folders = new Set([...native.keys()].map((name) => name.split("/")[0]));
    const expected = ["batchconsumequeue", "checkpoint", "commitlog", "config", "consumequeue", "index"];
    expect([...folders]).toEqual(expected);
    expect(native.has(`commitlog/${"0".repeat(20)}`), "the first file of the log was removed").toBe(false);
    expectSame(native, wasm);
  });

  test("also when a store goes from one engine to the other", async () => {
    const [seed] = SEEDS as [number];
    const first = temporaryDirectory();
    await played("native", seed, first);
    const copies = ENGINES.map(() => temporaryDirectory());
    for (const [i, engine] of ENGINES.entries()) {
      const path = copies[i] as string;
      cpSync(first, path, { recursive: true, preserveTimestamps: true });
      await played(engine, seed + 1, path);
    }
    const [native, wasm] = copies.map(filesOf) as [Map<string, Buffer>, Map<string, Buffer>];
    expectSame(native, wasm);
  });
});
