import { expect, test } from "vitest";
import { ResponseCode } from "../../../src/protocol/codes.ts";
import { CreationLimit } from "../../../src/tables/creation-limit.ts";
import { GroupTable } from "../../../src/tables/group-table.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { TopicTable } from "../../../src/tables/topic-table.ts";
import { configOf, newFolder, open } from "./rig.ts";

const config = configOf();
const made = (topics: TopicTable, name: string) => topics.createForSend(name, "TBW102", 4, 0);
const MODEL_AND_OWN = 13;

test("so many are made at once, and so many in a second", () => {
  let time = 0;
  const limit = new CreationLimit({ maximum: 100, burst: 3, perSecond: 2, now: () => time });
  const taken = () => [1, 2, 3, 4, 5].filter(() => limit.take(0)).length;
  expect([taken(), taken()]).toEqual([3, 0]);
  time += 1000;
  expect(taken()).toBe(2);
  time += 60_000;
  expect(taken()).toBe(3);
  expect(limit.take(100)).toBe(false);
});

test("topics are made for clients until there are enough; an administrator may make more", async () => {
  const creation = { burst: 3, perSecond: 0 };
  const topics = new TopicTable(await open(newFolder()), { config, creation });
  await topics.ready;
  // Those who make the same one count once.
  await Promise.all([made(topics, "a"), made(topics, "a"), made(topics, "a")]);
  await made(topics, "b");
  await topics.createForRetry("%RETRY%g", 1);
  const busy = { code: ResponseCode.SYSTEM_BUSY };
  await expect(made(topics, "c")).rejects.toMatchObject(busy);
  await expect(topics.createForRetry("%RETRY%h", 1)).rejects.toMatchObject(busy);
  expect((await made(topics, "a"))?.topicName).toBe("a");
  expect(await topics.put(topicConfig("c", 1))).toBe(true);
});

test("with very many there are none made for clients any more", async () => {
  const creation = { maximum: MODEL_AND_OWN + 1 };
  const topics = new TopicTable(await open(newFolder()), { config, creation });
  await topics.ready;
  const own = [...topics.all()].length;
  expect(own).toBeLessThanOrEqual(MODEL_AND_OWN + 1);
  for (let i = own; i < MODEL_AND_OWN + 1; i++) await made(topics, `t${i}`);
  await expect(made(topics, "more")).rejects.toMatchObject({ code: ResponseCode.SYSTEM_ERROR });
  expect(await topics.put(topicConfig("more", 1))).toBe(true);
});

test("groups are made by asking until there are enough", async () => {
  const groups = new GroupTable(await open(newFolder()), { config, creation: { burst: 2, perSecond: 0 } });
  await groups.ready;
  expect(["a", "b", "a", "c"].map((name) => groups.find(name)?.groupName)).toEqual(["a", "b", "a", undefined]);
});

test("a group whose topics would have too long a name is not made", async () => {
  const groups = new GroupTable(await open(newFolder()), { config });
  await groups.ready;
  expect(groups.find("x".repeat(248))).toBeDefined();
  expect(groups.find("x".repeat(249))).toBeUndefined();
});
