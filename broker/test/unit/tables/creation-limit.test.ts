import { expect, test } from "vitest";
import { ResponseCode } from "../../../src/protocol/codes.ts";
import { CreationLimit } from "../../../src/tables/creation-limit.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { GroupTable } from "../../../src/tables/group-table.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { TopicTable } from "../../../src/tables/topic-table.ts";
import { Logged } from "../services/rig.ts";
import { configOf, newFolder, open } from "./rig.ts";

const made = (topics: TopicTable, name: string) => topics.createForSend(name, "TBW102", 4, 0);
const MODEL_AND_OWN = 13;
const busy = { code: ResponseCode.SYSTEM_BUSY };

test("so many are made at once, and so many in a second", () => {
  let time = 0;
  const config = { maxAutoCreated: 100, autoCreateBurst: 3, autoCreatePerSecond: 2 };
  const limit = new CreationLimit({ config, kind: "topics", now: () => time });
  const taken = () => [1, 2, 3, 4, 5].filter(() => limit.take(0)).length;
  expect([taken(), taken()]).toEqual([3, 0]);
  time += 1000;
  expect(taken()).toBe(2);
  time += 60_000;
  expect(taken()).toBe(3);
  time += 60_000;
  expect(limit.take(100)).toBe(false);
  config.maxAutoCreated = 101;
  expect(limit.take(100)).toBe(true);
});

test("what is not made is told once a minute, with the option that says so", () => {
  let time = 0;
  const config = { maxAutoCreated: 100, autoCreateBurst: 1, autoCreatePerSecond: 0 };
  const log = new Logged();
  const limit = new CreationLimit({ config, kind: "groups", log, now: () => time });
  expect([limit.take(0), limit.take(1), limit.take(100)]).toEqual([true, false, false]);
  const [tooFast, tooMany] = ["too many at once (autoCreateBurst)", "there are 100 (maxAutoCreated)"].map(
    (why) => `warn: groups that clients ask for are not made: ${why}`,
  );
  expect(log.lines).toEqual([tooFast]);
  time += 60_000;
  for (let count = 0; count < 10; count++) limit.take(100);
  expect(log.lines).toEqual([tooFast, tooMany]);
});

test("topics are made for clients until there are enough; an administrator may make more", async () => {
  const config = configOf({ autoCreateBurst: "3", autoCreatePerSecond: "0" });
  const topics = new TopicTable(await open(newFolder()), { config });
  await topics.ready;
  // Those who make the same one count once.
  await Promise.all([made(topics, "a"), made(topics, "a"), made(topics, "a")]);
  await made(topics, "b");
  await topics.createForRetry("%RETRY%g", 1);
  await expect(made(topics, "c")).rejects.toMatchObject(busy);
  await expect(topics.createForRetry("%RETRY%h", 1)).rejects.toMatchObject(busy);
  expect((await made(topics, "a"))?.topicName).toBe("a");
  expect(await topics.put(topicConfig("c", 1))).toBe(true);
});

test("with very many there are none made for clients any more", async () => {
  const config = configOf({ maxAutoCreated: String(MODEL_AND_OWN + 1) });
  const topics = new TopicTable(await open(newFolder()), { config });
  await topics.ready;
  const own = [...topics.all()].length;
  expect(own).toBeLessThanOrEqual(MODEL_AND_OWN + 1);
  for (let i = own; i < MODEL_AND_OWN + 1; i++) await made(topics, `t${i}`);
  await expect(made(topics, "more")).rejects.toMatchObject({ code: ResponseCode.SYSTEM_ERROR });
  expect(await topics.put(topicConfig("more", 1))).toBe(true);
});

test("topics for retries and dead letters of groups that there are are made all the same, while the table takes them", async () => {
  const config = configOf({ maxAutoCreated: "0" });
  const store = await open(newFolder());
  const groups = new GroupTable(store, { config });
  const topics = new TopicTable(store, { config, groups, maximum: MODEL_AND_OWN + 5 });
  await Promise.all([groups.ready, topics.ready]);
  for (const name of ["g", "h"]) await groups.put(groupConfig(name));
  expect(await topics.createForRetry("%RETRY%g", 2)).toMatchObject({ readQueueNums: 2 });
  expect(await topics.createForRetry("%DLQ%g", 1)).toMatchObject({ topicName: "%DLQ%g" });
  // Java's client sends there itself where sending back fails.
  expect(await made(topics, "%RETRY%h")).toMatchObject({ topicName: "%RETRY%h" });
  for (const name of ["%RETRY%nobody", "%DLQ%nobody"]) {
    await expect(topics.createForRetry(name, 1)).rejects.toMatchObject({ code: ResponseCode.SYSTEM_ERROR });
  }
  await expect(made(topics, "g")).rejects.toMatchObject({ code: ResponseCode.SYSTEM_ERROR });
  for (let size = [...topics.all()].length; size < MODEL_AND_OWN + 5; size++)
    await topics.put(topicConfig(`t${size}`, 1));
  await expect(topics.createForRetry("%DLQ%h", 1)).rejects.toThrow("takes no more");
});

test("groups are made by asking until there are enough", async () => {
  const config = configOf({ autoCreateBurst: "2", autoCreatePerSecond: "0" });
  const log = new Logged();
  const groups = new GroupTable(await open(newFolder()), { config, log });
  await groups.ready;
  expect(["a", "b", "a", "c"].map((name) => groups.find(name)?.groupName)).toEqual(["a", "b", "a", undefined]);
  expect(log.lines).toHaveLength(1);
});

test("a group whose topics would have too long a name is not made", async () => {
  const groups = new GroupTable(await open(newFolder()), { config: configOf() });
  await groups.ready;
  expect(groups.find("x".repeat(248))).toBeDefined();
  expect(groups.find("x".repeat(249))).toBeUndefined();
});
