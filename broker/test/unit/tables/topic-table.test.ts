import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TableError } from "../../../src/tables/table-value.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { TopicTable } from "../../../src/tables/topic-table.ts";
import { close, configOf, fileOf, fixture, newFolder, open, textOf } from "./rig.ts";

const config = configOf();
const SYSTEM = [
  "BenchmarkTest",
  "DefaultCluster",
  "DefaultCluster_REPLY_TOPIC",
  "OFFSET_MOVED_EVENT",
  "RMQ_SYS_TRANS_HALF_TOPIC",
  "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  "SCHEDULE_TOPIC_XXXX",
  "SELF_TEST_TOPIC",
  "TBW102",
  "broker-a",
  "rmq_sys_REVIVE_LOG_DefaultCluster",
  "rmq_sys_SYNC_BROKER_MEMBER_broker-a",
];

const names = (topics: TopicTable) => [...topics.all()].map(({ topicName }) => topicName).sort();

test("a fresh broker has RocketMQ's own topics, as RocketMQ writes them", async () => {
  const [folder, written] = [newFolder(), fixture("rmq5-broker")];
  const topics = new TopicTable(await open(folder), { config });
  await topics.ready;
  expect(names(topics)).toEqual(SYSTEM);
  expect([...topics.system].sort()).toEqual(SYSTEM);
  const [ours, theirs] = [fileOf(folder, "topics"), fileOf(written, "topics")];
  for (const name of SYSTEM) expect(ours.topicConfigTable?.[name]).toEqual(theirs.topicConfigTable?.[name]);
  expect(Object.keys(ours)).toEqual(["dataVersion", "topicConfigTable"]);
});

test("what a switch is off for is not made", async () => {
  const given = { autoCreateTopicEnable: "false", clusterTopicEnable: "false", brokerTopicEnable: "false" };
  const topics = new TopicTable(await open(newFolder()), { config: configOf({ ...given, traceTopicEnable: "true" }) });
  await topics.ready;
  expect(topics.get("TBW102")).toBeUndefined();
  expect(topics.get("DefaultCluster")?.perm).toBe(1);
  expect(topics.get("broker-a")?.perm).toBe(1);
  expect(topics.get("RMQ_SYS_TRACE_TOPIC")?.readQueueNums).toBe(1);
});

test("RocketMQ's topics are read, and its file stays the same but for what is changed", async () => {
  const folder = fixture("rmq5-broker");
  const before = fileOf(folder, "topics");
  const store = await open(folder);
  const topics = new TopicTable(store, { config, now: () => 5 });
  await topics.ready;
  expect(topics.get("ProbeTopic")).toEqual(topicConfig("ProbeTopic", 4));
  expect(topics.version).toEqual(before.dataVersion);
  expect(await topics.put(topicConfig("Another", 3, { order: true, attributes: { "message.type": "FIFO" } }))).toBe(
    true,
  );
  const after = fileOf(folder, "topics");
  expect(after.dataVersion).toEqual({ counter: 3, stateVersion: 0, timestamp: 5 });
  const { Another, ...others } = after.topicConfigTable ?? {};
  expect(others).toEqual(before.topicConfigTable);
  expect(Object.keys(Another as object)).toEqual(Object.keys(before.topicConfigTable?.ProbeTopic as object));
  await close(store);
  const again = new TopicTable(await open(folder), { config });
  expect(again.get("Another")).toEqual(
    topicConfig("Another", 3, { order: true, attributes: { "message.type": "FIFO" } }),
  );
  expect(again.version.counter).toBe(3);
});

test("fields of a newer RocketMQ stay, in changed entries and in others", async () => {
  const folder = newFolder();
  mkdirSync(join(folder, "config"), { recursive: true });
  const entry = (topicName: string) => ({ ...topicConfig(topicName, 2), newField: { a: [1, 2] } });
  const table = { newPart: { x: 1 }, topicConfigTable: { a: entry("a"), b: entry("b") } };
  writeFileSync(join(folder, "config/topics.json"), JSON.stringify(table));
  const topics = new TopicTable(await open(folder), { config });
  await topics.ready;
  await topics.put(topicConfig("a", 7));
  const written = fileOf(folder, "topics");
  expect(written.topicConfigTable?.a).toEqual({ ...entry("a"), readQueueNums: 7, writeQueueNums: 7 });
  expect(written.topicConfigTable?.b).toEqual(entry("b"));
  expect(written.newPart).toBeDefined();
});

test("a change that changes nothing is none", async () => {
  const topics = new TopicTable(await open(newFolder()), { config });
  await topics.put(topicConfig("a", 2, { attributes: { k: "v" } }));
  const { counter } = topics.version;
  expect(await topics.put(topicConfig("a", 2, { attributes: { k: "v" } }))).toBe(false);
  expect(topics.version.counter).toBe(counter);
  expect(await topics.put(topicConfig("a", 2, { attributes: {} }))).toBe(true);
  expect(await topics.delete("nobody")).toBe(false);
});

test("a topic is there once it is on the disk, and not before", async () => {
  const folder = newFolder();
  const topics = new TopicTable(await open(folder), { config });
  await topics.ready;
  const creating = topics.create(topicConfig("orders", 2));
  expect(topics.get("orders")).toBeUndefined();
  expect(names(topics)).not.toContain("orders");
  await creating;
  expect(topics.get("orders")).toEqual(topicConfig("orders", 2));
  expect(textOf(folder, "topics")).toContain('"orders"');
});

test("of many who make a topic at once, all get the same, and listeners are told once", async () => {
  const topics = new TopicTable(await open(newFolder()), { config });
  await topics.ready;
  const told: string[] = [];
  topics.onChange((changed) => void told.push(...changed));
  const made = await Promise.all([3, 4, 5].map((queues) => topics.create(topicConfig("t", queues))));
  expect(made.map(({ readQueueNums }) => readQueueNums)).toEqual([3, 3, 3]);
  expect(told).toEqual(["t"]);
});

test("who changes a topic waits for those who listen", async () => {
  const topics = new TopicTable(await open(newFolder()), { config });
  const steps: string[] = [];
  const unlisten = topics.onChange(async (changed) => {
    await new Promise((resolve) => setImmediate(resolve));
    steps.push(`told of ${changed}`);
  });
  await topics.putAll([topicConfig("a", 1), topicConfig("b", 1)]);
  steps.push("made");
  await topics.delete("a");
  steps.push("deleted");
  unlisten();
  await topics.delete("b");
  expect(steps).toEqual(["told of a,b", "made", "told of a", "deleted"]);
});

test("sending makes a topic as the default topic is, with no more queues than were asked for", async () => {
  const topics = new TopicTable(await open(newFolder()), { config });
  await topics.ready;
  expect(await topics.createForSend("a", "TBW102", 4, 1)).toEqual(topicConfig("a", 4, { topicSysFlag: 1 }));
  expect(await topics.createForSend("b", "TBW102", 100, 0)).toEqual(topicConfig("b", 8));
  expect(await topics.createForSend("c", "a", 4, 0)).toBeUndefined();
  expect(await topics.createForSend("c", "nobody", 4, 0)).toBeUndefined();
});

test("with automatic topics off the default topic is as any other, also where an earlier start has made it", async () => {
  const folder = newFolder();
  const store = await open(folder);
  await new TopicTable(store, { config }).ready;
  await close(store);
  const topics = new TopicTable(await open(folder), { config: configOf({ autoCreateTopicEnable: "false" }) });
  await topics.ready;
  expect(topics.get("TBW102")?.perm).toBe(6);
  expect(await topics.createForSend("a", "TBW102", 4, 0)).toBeUndefined();
});

test("a retry topic that is there keeps its queues, and takes the order for good", async () => {
  const topics = new TopicTable(await open(newFolder()), { config });
  expect(await topics.createForRetry("%RETRY%g", 1)).toEqual(topicConfig("%RETRY%g", 1));
  expect(await topics.createForRetry("%RETRY%g", 5, true)).toEqual(topicConfig("%RETRY%g", 1, { order: true }));
  expect(topics.get("%RETRY%g")?.order).toBe(true);
  const { counter } = topics.version;
  // Members that do not agree would have it written, and told to name servers, with each heartbeat.
  for (const order of [false, true, false])
    expect((await topics.createForRetry("%RETRY%g", 1, order)).order).toBe(true);
  expect(topics.version.counter).toBe(counter);
});

test("a topic that cannot be written is not there, and can be made once there is room", async () => {
  const folder = newFolder();
  const topics = new TopicTable(await open(folder), { config });
  await topics.ready;
  // What stands in the place of the new version keeps it from being written, whoever runs the test.
  const obstacle = join(folder, "config/topics.json.tmp");
  mkdirSync(join(obstacle, "x"), { recursive: true });
  await expect(topics.create(topicConfig("a", 1))).rejects.toMatchObject({ code: "STORE_IO" });
  expect(topics.get("a")).toBeUndefined();
  rmdirSync(join(obstacle, "x"));
  rmdirSync(obstacle);
  await topics.create(topicConfig("a", 2));
  expect(topics.get("a")?.readQueueNums).toBe(2);
});

test("there are never more than so many topics", async () => {
  const topics = new TopicTable(await open(newFolder()), { config, maximum: SYSTEM.length + 1 });
  await topics.ready;
  await topics.create(topicConfig("a", 1));
  await expect(topics.create(topicConfig("b", 1))).rejects.toThrow("topics.json has 13 entries, and takes no more");
  expect(await topics.put(topicConfig("a", 2))).toBe(true);
  await topics.delete("a");
  await topics.create(topicConfig("b", 1));
});

test("a table with something else in it is refused, with the place", async () => {
  const folder = newFolder();
  mkdirSync(join(folder, "config"), { recursive: true });
  writeFileSync(join(folder, "config/topics.json"), '{"topicConfigTable":{"a":{"perm":"six"}}}');
  const store = await open(folder);
  expect(() => new TopicTable(store, { config })).toThrow(TableError);
  expect(() => new TopicTable(store, { config })).toThrow("config/topics.json → topicConfigTable → a: ");
  expect(existsSync(join(folder, "config/topics.json.bak"))).toBe(false);
});

test("names are no members of objects", async () => {
  const folder = newFolder();
  const store = await open(folder);
  const topics = new TopicTable(store, { config });
  await topics.put(topicConfig("__proto__", 3));
  await topics.put(topicConfig("constructor", 4));
  expect(topics.get("toString")).toBeUndefined();
  await close(store);
  const again = new TopicTable(await open(folder), { config });
  expect(again.get("__proto__")?.readQueueNums).toBe(3);
  expect(again.get("constructor")?.readQueueNums).toBe(4);
});

test("ten thousand topics made at once are a few writes", async () => {
  const folder = newFolder();
  const store = await open(folder);
  const topics = new TopicTable(store, { config });
  await topics.ready;
  const many = Array.from({ length: 10_000 }, (_, i) => topicConfig(`topic-${i}`, 1));
  await Promise.all(many.map((topic) => topics.create(topic)));
  expect(Object.keys(fileOf(folder, "topics").topicConfigTable ?? {})).toHaveLength(10_000 + SYSTEM.length);
  await topics.put(topicConfig("topic-1", 2));
  await close(store);
  const again = new TopicTable(await open(folder), { config });
  expect(names(again)).toHaveLength(10_000 + SYSTEM.length);
});

test("a topic that is deleted before all have been told that it was made is made again for whoever sends to it", async () => {
  const topics = new TopicTable(await open(newFolder()), { config });
  await topics.ready;
  let told = (): void => {};
  const telling = new Promise<void>((resolve) => {
    told = resolve;
  });
  const unlisten = topics.onChange(() => telling);
  const sending = topics.createForSend("a", "TBW102", 4, 0);
  while (topics.get("a") === undefined) await new Promise((resolve) => setImmediate(resolve));
  const deleting = topics.delete("a");
  while (topics.get("a") !== undefined) await new Promise((resolve) => setImmediate(resolve));
  unlisten();
  told();
  expect(await deleting).toBe(true);
  expect(await sending).toEqual(topics.get("a"));
  expect(topics.get("a")).toBeDefined();
});

test("of many who delete a topic one does at a time, nobody makes it before the last has, and then one does", async () => {
  // One topic may be made for clients, and no other one after it.
  const limited = configOf({ autoCreateBurst: "1", autoCreatePerSecond: "1" });
  const topics = new TopicTable(await open(newFolder()), { config: limited, now: () => 5 });
  await topics.ready;
  await topics.create(topicConfig("a", 1));
  const steps: string[] = [];
  const goOn: (() => void)[] = [];
  const deleting = [0, 1, 2, 3].map((n) =>
    topics.delete("a", () => {
      steps.push(`${n} begins`);
      return new Promise<void>((resolve) => {
        goOn.push(() => {
          steps.push(`${n} ends`);
          resolve();
        });
      });
    }),
  );
  const sending = [0, 1, 2].map(async () => {
    await topics.createForSend("a", "TBW102", 4, 0);
    steps.push("made");
  });
  for (let n = 0; n < deleting.length; n++) {
    while (goOn.length <= n) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    goOn[n]?.();
  }
  expect(await Promise.all(deleting)).toEqual([true, false, false, false]);
  await Promise.all(sending);
  expect(steps).toEqual([...[0, 1, 2, 3].flatMap((n) => [`${n} begins`, `${n} ends`]), "made", "made", "made"]);
});
