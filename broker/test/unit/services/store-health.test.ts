import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StoreError } from "moraine";
import { expect, test } from "vitest";
import { StoreHealth } from "../../../src/services/store-health.ts";
import { Logged, newFolder, open } from "./rig.ts";

test("a table that cannot be written is told once, and that it can be again", async () => {
  const folder = newFolder();
  const store = await open(folder);
  const log = new Logged();
  const health = new StoreHealth({ store, log });
  health.look();
  expect(log.lines).toEqual([]);
  const obstacle = join(folder, "config/consumerOffset.json.tmp");
  mkdirSync(join(obstacle, "x"), { recursive: true });
  store.groups.commit("g", "t", 0, 1);
  await expect(store.groups.flush()).rejects.toMatchObject({ code: "STORE_IO" });
  for (let count = 0; count < 3; count++) health.look();
  expect(log.lines).toEqual([
    expect.stringMatching(/^error: the store is not well: changes could not be written and are kept in memory/),
  ]);
  rmSync(obstacle, { recursive: true });
  await store.groups.flush();
  for (let count = 0; count < 3; count++) health.look();
  expect(log.lines.slice(1)).toEqual(["info: what was wrong with the store is right again"]);
});

test("what was wrong when the store was opened is told there, what is wrong with a table when that is loaded", async () => {
  const folder = newFolder();
  const first = await open(folder);
  for (const offset of [1, 2]) {
    first.groups.commit("g", "t", 0, offset);
    await first.groups.flush();
  }
  await first.close();
  truncateSync(join(folder, "config/consumerOffset.json"), 10);
  writeFileSync(join(folder, "abort"), "");
  const store = await open(folder);
  const log = new Logged();
  const health = new StoreHealth({ store, log });
  health.look();
  expect(log.lines).toEqual([]);
  expect(store.groups.offset("g", "t", 0)).toBe(1);
  health.look();
  expect(log.lines).toEqual([
    expect.stringMatching(/^error: the store is not well: .*consumerOffset.json.bak is used/),
  ]);
});

test("why messages are not taken is told once a minute for each reason, and what is wrong with a message never", async () => {
  let now = 0;
  const log = new Logged();
  const health = new StoreHealth({ store: await open(), log, now: () => now });
  const refuse = (...codes: ConstructorParameters<typeof StoreError>[0][]) => {
    for (const code of codes) health.refused(new StoreError(code, "for a test"));
  };
  refuse("STORE_BUSY", "STORE_INVALID_ARGUMENT", "STORE_MESSAGE_TOO_LARGE");
  health.refused(new Error("none of the store"));
  expect(log.lines).toEqual([]);
  for (let count = 0; count < 100; count++) refuse("STORE_FULL", "STORE_IO");
  expect(log.lines).toEqual(Array(2).fill("error: the store does not take messages"));
  now += 59_999;
  refuse("STORE_FULL");
  expect(log.lines).toHaveLength(2);
  now += 1;
  refuse("STORE_FULL");
  expect(log.lines).toHaveLength(3);
});
