/** One bit of a record in the middle of the log: it costs that message, and no other. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { Dice } from "./dice.ts";
import type { Expected, MessageLine } from "./expected.ts";
import { damageOf, expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { killPlan, type Life } from "./kill-plans.ts";
import { live } from "./killed-stores.ts";
import { syncedOf } from "./power-cut.ts";

/** Flips a bit of the log, `at` bytes from its start. */
function flip(dir: string, at: number, bit: number): void {
  const folder = join(dir, "commitlog");
  const name = readdirSync(folder)
    .sort()
    .findLast((base) => Number(base) <= at);
  const path = join(folder, String(name));
  const bytes = readFileSync(path);
  bytes[at - Number(name)] = (bytes[at - Number(name)] as number) ^ (1 << bit);
  writeFileSync(path, bytes);
}

/** Where the messages of a log lie, and what is damaged. */
function logOf(store: Store): { messages: number[]; damaged: number[] } {
  const items = [...store.scan({})];
  const places = (kind: string): number[] =>
    items.filter((item) => item.kind === kind).map((item) => item.physicalOffset);
  return { messages: places("message"), damaged: places("damaged") };
}

function expectEntries(store: Store, { entries }: Pick<Expected, "entries">, bad: number): void {
  for (const { topic, queueId, index, baseOffset, offset } of entries) {
    if (offset === bad) continue;
    const [found] = store.get(topic, queueId, baseOffset ?? index, { max: 1 }).messages;
    expect(found?.physicalOffset, `${topic}/${queueId} at ${baseOffset ?? index}`).toBe(offset);
  }
}

/** The magic of RocketMQ's record stands behind its length; its body has a checksum. */
const PLACES = {
  length: (): number => 0,
  magic: (): number => 4,
  body: (dir: string, { offset, size, bodySize }: MessageLine): number => {
    const folder = join(dir, "commitlog");
    const name = readdirSync(folder)
      .sort()
      .findLast((base) => Number(base) <= offset);
    const record = readFileSync(join(folder, String(name)))
      .subarray(offset - Number(name))
      .subarray(0, size);
    // The length of the body, then the body, behind hosts of 4 or 16 bytes: the first place where both fit.
    const at = [84, 96, 108].find((place) => record.readInt32BE(place) === bodySize) as number;
    return at + 4 + Math.floor(bodySize / 2);
  },
};

const CLEAN = fixtureNames.filter((name) => damageOf(name).length === 0 && !expectedOf(name).open.abort);

describe.concurrent.each(CLEAN)("%s, which RocketMQ closed", (name) => {
  const expected = expectedOf(name);

  test.each(Object.entries(PLACES))("loses one message to a bit of its %s", async (place, at) => {
    const dice = new Dice(name.length * 100 + place.length);
    const last = expected.messages.length - 1;
    const middle = expected.messages.slice(Math.floor(last / 5), Math.floor((4 * last) / 5));
    const { offset, ...rest } = dice.one(middle.filter(({ bodySize }) => bodySize > 0));
    const dir = unpack(name);
    flip(dir, offset + at(dir, { offset, ...rest }), dice.from(0, 7));
    for (const gone of [[], ["consumequeue"], ["index", "checkpoint"]]) {
      const copy = join(temporaryFolder(), "store");
      cpSync(dir, copy, { recursive: true, preserveTimestamps: true });
      for (const file of gone) rmSync(join(copy, file), { recursive: true, force: true });
      for (const options of [{ readOnly: true }, { create: false }]) {
        const store = await Store.open(copy, options);
        const title = `without ${gone.join() || "nothing"}, ${JSON.stringify(options)}`;
        const others = expected.messages.map((one) => one.offset).filter((one) => one !== offset);
        expect(logOf(store), title).toEqual({ messages: others, damaged: [offset] });
        expectEntries(store, expected, offset);
        await store.close();
      }
    }
  });
});

describe.concurrent("a store of ours that was killed", () => {
  test.each([3, 5, 6])("loses one message below its watermark to a bit of its record: seed %i", async (seed) => {
    const dice = new Dice(seed);
    const dir = join(temporaryFolder(), "store");
    const [life] = killPlan(seed, "5").lives as [Life, ...Life[]];
    await live(dir, { ...life, end: "kill", messages: 600, paceMs: 4, afterMs: 1500 });
    // The power is cut, too: then only the watermark tells.
    rmSync(join(dir, "moraine/live"), { force: true });
    const whole = await Store.open(dir, { readOnly: true });
    const { messages } = logOf(whole);
    await whole.close();
    const { log: durable } = syncedOf(dir);
    const below = messages.filter((_, i) => (messages[i + 1] ?? durable) < durable);
    expect(below.length).toBeGreaterThan(20);
    const n = dice.from(Math.floor(below.length / 5), below.length - 1);
    const bad = below[n] as number;
    flip(dir, dice.from(bad, (messages[n + 1] as number) - 1), dice.from(0, 7));
    for (const options of [{ readOnly: true }, { create: false }]) {
      const store = await Store.open(dir, options);
      expect(logOf(store)).toEqual({ messages: messages.filter((one) => one !== bad), damaged: [bad] });
      await store.close();
    }
  });
});
