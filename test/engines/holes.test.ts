/** A copy that has holes where the original has zeros, as `cp --sparse` and compressing file systems make them. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";
import { ENGINES, temporaryDirectory } from "./engines.ts";

const SIZES: StoreOptions = { segmentBytes: 4 * 1024 * 1024, queueFileEntries: 100, indexSlots: 16, indexEntries: 100 };
const FILE = `commitlog/${"0".repeat(20)}`;
const ZEROS = new Uint8Array(64 * 1024);

test.each(ENGINES)("what stands behind damage is gone from such a copy, also over %s", async (engine) => {
  const directory = temporaryDirectory();
  const path = join(directory, "store");
  const copy = join(directory, "copy");
  const first = await Store.open(path, { ...SIZES, engine });
  const offsets = Array.from(
    { length: 40 },
    () => first.put({ topic: "orders", queueId: 0, body: ZEROS }).physicalOffset,
  );
  await first.close();
  execFileSync("cp", ["-a", "--sparse=always", path, copy]);
  for (const name of ["moraine", "consumequeue", "checkpoint"]) rmSync(join(copy, name), { recursive: true });
  const file = openSync(join(copy, FILE), "r+");
  writeSync(file, ZEROS, 0, 200, offsets[20]);
  closeSync(file);
  expect(statSync(join(copy, FILE)).blocks * 512).toBeLessThan(offsets[20] as number);

  const store = await Store.open(copy, { ...SIZES, engine });
  const { endOffset } = store.log;
  expect(endOffset).toBe(offsets[20]);
  await store.close();
  const rest = readFileSync(join(copy, FILE)).subarray(endOffset);
  expect(rest.findIndex((byte) => byte !== 0)).toBe(-1);
});
