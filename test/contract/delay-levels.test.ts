/** Delivery times of messages in SCHEDULE_TOPIC_XXXX, and the option that says what delay levels mean. */
import { rm } from "node:fs/promises";
import { expect, test } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";
import { message, openStore, rejected, SMALL, temporaryDirectory } from "./temporary-store.ts";

const NOW = 1_700_000_000_123;
const SECOND = 1000;

/** Delivery times of one message of each level, after its store time. */
async function delaysOf(levels: string[], options: StoreOptions = {}): Promise<number[]> {
  const store = await openStore({ clock: () => NOW, ...options });
  store.putBatch(levels.map((level) => message({ topic: "SCHEDULE_TOPIC_XXXX", properties: { DELAY: level } })));
  return store.entries("SCHEDULE_TOPIC_XXXX", 0).map(({ tagsCode }) => tagsCode - NOW);
}

test("the levels are RocketMQ's by default, and a greater one is the last", async () => {
  expect(await delaysOf(["1", "2", "5", "18", "19", "1000"])).toEqual(
    [1, 5, 60, 7200, 7200, 7200].map((seconds) => seconds * SECOND),
  );
});

test("the option has levels in seconds, minutes, hours and days", async () => {
  const delayLevels = "3s  20m 2h 1d";
  expect(await delaysOf(["1", "2", "3", "4", "5"], { delayLevels })).toEqual(
    [3, 1200, 7200, 86_400, 86_400].map((seconds) => seconds * SECOND),
  );
});

test("messages of other topics keep their tags, whatever their DELAY", async () => {
  const store = await openStore();
  store.put(message({ tags: "TagA", properties: { DELAY: "3" } }));
  expect(store.entries("orders", 0)[0]?.tagsCode).toBe(2_598_919);
});

test("the delivery times of a store that lost its queues are built again from the levels at hand", async () => {
  const directory = await temporaryDirectory();
  const store = await openStore({ clock: () => NOW }, directory);
  store.put(message({ topic: "SCHEDULE_TOPIC_XXXX", properties: { DELAY: "2" } }));
  await store.close();
  await rm(`${directory}/consumequeue`, { recursive: true });
  const again = await openStore({ delayLevels: "1s 9s" }, directory);
  expect(again.entries("SCHEDULE_TOPIC_XXXX", 0)[0]?.tagsCode).toBe(NOW + 9 * SECOND);
});

test.each([
  [5, ["5", "string"]],
  ["", ['""', "0 levels"]],
  ["  ", ["0 levels"]],
  ["1s 5", ['"5"', "level 2", "s, m, h or d"]],
  ["1s 5S", ['"5S"']],
  ["0s", ['"0s"', "above 0"]],
  ["-1s", ['"-1s"']],
  ["1.5s", ['"1.5s"']],
  ["1s,5s", ['"1s,5s"']],
  ["99999999999999d", ['"99999999999999d"']],
  ["1s ".repeat(1001), ["1001 levels", "1 to 1000"]],
])("the option %j is refused", async (delayLevels, says) => {
  const opened = Store.open(await temporaryDirectory(), { ...SMALL, delayLevels } as StoreOptions);
  const error = await rejected(opened);
  expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "options.delayLevels" } });
  for (const part of says) expect(error.message).toContain(part);
});
