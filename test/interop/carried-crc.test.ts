/**
 * Messages that RocketMQ puts again with the `__CRC32#` of the record that they were read from, at every place that one can
 * have among their properties (docs/decisions/0007-whose-crc-it-is.md).
 */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect } from "vitest";
import { Store, verifyStore } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { type Expected, expectedFrom } from "./expected.ts";
import { temporaryFolder } from "./folders.ts";
import { messagesOf } from "./found-by-us.ts";
import { LINES, type Line, oracleTest } from "./oracle.ts";
import { ServedOracle } from "./served-oracle.ts";
import { comparable } from "./written.ts";

const oracle = new ServedOracle();
afterAll(() => oracle.end());

const CRC = "__CRC32#";
const OTHERS = ["A", "Z", "trace"];

/** All orders of some names. */
function orders(names: readonly string[]): string[][] {
  if (names.length < 2) return [[...names]];
  return names.flatMap((name) => orders(names.filter((one) => one !== name)).map((rest) => [name, ...rest]));
}

const given = (name: string): string => (name === CRC ? "4478379991" : `v${name}`);

/** Every set of the other names, with the old CRC at every place among them: what a client, or another store, hands over. */
const handedOver = Array.from({ length: 1 << OTHERS.length }, (_, set) => OTHERS.filter((_, i) => set & (1 << i)))
  .flatMap((names) => orders([CRC, ...names]))
  .map((names) => Object.fromEntries(names.map((name) => [name, given(name)])));

/** What a broker adds or keeps when it puts a message again by itself, in the order of a hash map. */
const named = ["TAGS", "KEYS", "UNIQ_KEY", "WAIT"];
const putAgain = Array.from({ length: 1 << named.length }, (_, set) => named.filter((_, i) => set & (1 << i)));

const base = { topic: "orders", queues: 2, count: 1, size: [20, 60], uniqKey: false };
const steps = [
  ...handedOver.map((properties) => ({ ...base, properties })),
  // Messages without one, as such a broker has them, too.
  { ...base, count: 20, keys: "k{n}" },
  ...handedOver.map((properties) => ({ ...base, properties })),
  ...putAgain.map((names) => ({
    ...base,
    topic: "later",
    delayLevel: 1,
    ...(names.includes("TAGS") && { tags: "paid" }),
    ...(names.includes("KEYS") && { keys: "k{n}" }),
    ...(names.includes("WAIT") && { wait: true }),
    uniqKey: names.includes("UNIQ_KEY"),
    properties: { [CRC]: given(CRC), ...(names.length % 2 > 0 && { Z: "z" }) },
  })),
  { do: "startDelivery" },
  { do: "sleep", ms: 4000 },
  // Beside a record of ours one would count as damaged.
  { ...base, count: 1, keys: "k{n}" },
  { do: "waitDispatch" },
];

/** A store that RocketMQ wrote and left, and what it finds in it. */
async function left(line: Line, dir: string, end: string): Promise<Expected> {
  const file = join(temporaryFolder(), "scenario.json");
  const store = { commitLogFileSize: 65_536, consumeQueueFileSize: 2000, indexSlots: 64, indexEntries: 256 };
  writeFileSync(file, JSON.stringify({ seed: 21, store, topics: [{ name: "orders", queues: 2 }], steps, end }));
  await oracle.ask(line, "write", dir, file);
  return expectedFrom(await oracle.ask(line, "read", dir, "--scenario", file, "--keys", "auto", "--times", "auto"));
}

describe.each(LINES)("records of RocketMQ %s with the CRC of another record", (line) => {
  oracleTest("are what they are, wherever it stands, also where recovery has nothing but them", async () => {
    const dir = join(temporaryFolder(), "store");
    const found = await left(line, dir, "clean");
    const carrying = found.messages.filter(({ properties }) => CRC in properties);
    // 4.9 writes the string without its last separator: what it ends with has not the form of ours.
    const end = `${CRC}\u0001${given(CRC)}${line === "4" ? "" : "\u0002"}`;
    const isLast = ({ propertiesString = "" }: { propertiesString?: string }): boolean =>
      propertiesString.endsWith(end);
    expect(carrying.filter(isLast).length, "records that end with it").toBeGreaterThan(20);
    expect(carrying.filter((message) => !isLast(message)).length, "records that have it elsewhere").toBeGreaterThan(20);
    expect(
      found.messages.some(({ topic }) => topic === "later"),
      "delivered",
    ).toBe(true);

    expect(await verifyStore(dir, { deep: true })).toEqual([]);
    for (const crashed of [false, true]) {
      const copy = join(temporaryFolder(), "store");
      cpSync(dir, copy, { recursive: true });
      if (crashed) {
        // As after a crash that left nothing but the log.
        writeFileSync(join(copy, "abort"), "");
        for (const name of ["checkpoint", "consumequeue", "index"]) rmSync(join(copy, name), { recursive: true });
      }
      const store = await Store.open(copy, { create: false });
      try {
        expect(
          store
            .health()
            .findings.map(({ kind }) => kind)
            .filter((kind) => kind === "damaged" || kind === "cut"),
        ).toEqual([]);
        expect(messagesOf(store)).toEqual(found.messages.map(comparable));
        if (!crashed) expectSameAnswers(store, found);
        store.put({ topic: "orders", queueId: 0, body: new Uint8Array(3) });
      } finally {
        await store.close();
      }
      const again = await Store.open(copy, { readOnly: true });
      expect(messagesOf(again).slice(0, found.messages.length)).toEqual(found.messages.map(comparable));
      await again.close();
    }
  });
});
