/** Groups: what RocketMQ wrote as plain batches, put again, makes the same files. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeMessages, Store } from "../../src/index.ts";
import { unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { oracleTest, readWithOracle } from "./oracle.ts";

/** Messages of each call in test/fixtures/rmq4-batch/scenario.json. */
const CALLS = [...Array<number>(10).fill(10), 7, 7, 7, 7, 2, 1, 1, 1, 1, 1];

/** The files of a store's log and queues. */
function files(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const folder of ["commitlog", "consumequeue"]) {
    for (const name of readdirSync(join(dir, folder), { recursive: true, encoding: "utf8" }).sort()) {
      if (/\d{20}$/.test(name)) found[`${folder}/${name}`] = readFileSync(join(dir, folder, name)).toString("base64");
    }
  }
  return found;
}

/** A property string, taken apart where the properties of the whole batch begin. */
function split(properties: Uint8Array): { own: Uint8Array; shared: Uint8Array } {
  const bytes = Buffer.from(properties);
  const at = bytes.indexOf("\u0002CLUSTER");
  return at < 0
    ? { own: bytes, shared: Buffer.alloc(0) }
    : { own: bytes.subarray(0, at), shared: bytes.subarray(at + 1) };
}

/** The property string of a stored message, as it stands at the end of its record. */
function propertyBytes(raw: Uint8Array, text: string): Uint8Array {
  return raw.subarray(raw.length - Buffer.byteLength(text));
}

test("rmq4-batch, put again in the calls that made it", async () => {
  const dir = unpack("rmq4-batch");
  const source = await Store.open(dir, { readOnly: true });
  const messages = [...source.scan()].flatMap((item) => (item.kind === "message" ? [item.message] : []));
  expect(messages).toHaveLength(CALLS.reduce((sum, count) => sum + count, 0));
  const path = join(temporaryFolder(), "store");
  let now = 0;
  const store = await Store.open(path, {
    clock: () => now,
    recordCrc: false,
    segmentBytes: 16_384,
    queueFileEntries: 100,
    indexSlots: 64,
    indexEntries: 256,
  });
  let at = 0;
  for (const count of CALLS) {
    const some = messages.slice(at, at + count).map((message) => {
      const text = [...message.properties].map(([name, value]) => `${name}\u0001${value}`).join("\u0002");
      return { message, ...split(propertyBytes(message.raw, text)) };
    });
    const [{ message: first, shared }] = some as [(typeof some)[number]];
    now = first.storeTimestamp;
    const wire = encodeMessages(
      some.map(({ message, own }) => ({ body: message.body, flag: message.flag, properties: own })),
    );
    const { bornTimestamp, bornHost, storeHost } = first;
    const results = store.putGroup(first.topic, first.queueId, wire, {
      bornTimestamp,
      bornHost,
      storeHost,
      properties: shared,
    });
    expect([...results.physicalOffsets]).toEqual(some.map(({ message }) => message.physicalOffset));
    at += count;
  }
  await store.close();
  expect(files(path)).toEqual(files(dir));
  await source.close();
});

oracleTest("RocketMQ finds our groups, over the ends of files", async () => {
  const dir = join(temporaryFolder(), "store");
  const store = await Store.open(dir, {
    segmentBytes: 16_384,
    queueFileEntries: 100,
    indexSlots: 64,
    indexEntries: 256,
  });
  const starts: number[] = [];
  for (let call = 0; call < 40; call++) {
    const group = Array.from({ length: 1 + (call % 9) }, (_, i) => ({
      body: Buffer.alloc(50 * (call % 7)),
      tags: "TagA",
      keys: [`k-${call}-${i}`],
    }));
    starts.push(...store.putGroup("orders", call % 2, group).physicalOffsets);
  }
  await store.close();
  for (const line of ["4", "5"] as const) {
    const found = await readWithOracle(line, dir);
    expect(found.messages.map(({ offset }) => offset)).toEqual(starts);
    expect(found.messages.map(({ physicalOffset }) => physicalOffset)).toEqual(starts);
    expect(found.entries.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual(starts);
    expect(found.clean).toBe(true);
  }
});
