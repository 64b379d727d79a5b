import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type JsonValue, Store, type StoreOptions } from "../../src/index.ts";
import { fixtureNames, unpack } from "./fixtures.ts";
import { temporaryFolder } from "./folders.ts";
import { LINES, oracleTest } from "./oracle.ts";
import { judgeTables } from "./table-judge.ts";

const SMALL = { segmentBytes: 65_536, indexSlots: 64, indexEntries: 256 };

const opened: Store[] = [];
afterAll(() => Promise.all(opened.map((store) => store.close())));

async function openStore(dir: string, options: StoreOptions = SMALL): Promise<Store> {
  const store = await Store.open(dir, options);
  opened.push(store);
  return store;
}

/** RocketMQ's text as values: integer keys get their quotes. */
const parsed = (text: string | undefined): Record<string, JsonValue> =>
  JSON.parse((text ?? "").replace(/([{,])(-?\d+):/g, '$1"$2":'));

/** The table's text without what each version of it has of its own. */
const withoutVersion = (text: string): string =>
  text.replace(/"dataVersion":\{[^}]*\}/, (version) => version.replace(/("(?:counter|timestamp)":)\d+/g, "$1#"));

describe.each(fixtureNames)("the tables of %s", (name) => {
  test("are read, and written again byte by byte but for their version", async () => {
    // A store of our own, since some of these are not opened for writing: tables do not know what lies beside them.
    const dir = join(temporaryFolder(), "store");
    const store = await openStore(dir);
    const config = join(unpack(name), "config");
    cpSync(config, join(dir, "config"), { recursive: true });
    const files = readdirSync(config).filter((file) => file.endsWith(".json"));
    expect(files).toContain("topics.json");

    for (const file of files) {
      const table = store.table(file.replace(/\.json$/, ""));
      const text = readFileSync(join(config, file), "utf8");
      expect(table.toJSON()).toEqual(JSON.parse(text.replace(/([{,]\s*)(-?\d+):/g, '$1"$2":')));
      table.set("touched", true);
      table.delete("touched");
      await table.flush();
      expect(withoutVersion(readFileSync(join(dir, "config", file), "utf8"))).toBe(withoutVersion(text));
      expect(readFileSync(join(dir, "config", `${file}.bak`), "utf8")).toBe(text);
    }
    expect(store.health().findings.filter(({ kind }) => kind.startsWith("table-"))).toEqual([]);
  });
});

test("offsets of RocketMQ's groups are answered", async () => {
  const store = await openStore(unpack("rmq5-broker"), { readOnly: true });
  expect(store.groups.all("probe-consumer")).toEqual(
    [51, 51, 50, 51].map((offset, queueId) => ({ topic: "ProbeTopic", queueId, offset })),
  );
  expect(store.groups.offset("CID_RMQ_SYS_TRANS", "RMQ_SYS_TRANS_OP_HALF_TOPIC", 0)).toBe(1);
});

const topic = (name: string): JsonValue => ({
  attributes: { "+message.type": "NORMAL" },
  order: false,
  perm: 6,
  readQueueNums: 8,
  topicFilterType: "SINGLE_TAG",
  topicName: name,
  topicSysFlag: 0,
  writeQueueNums: 8,
});

describe.concurrent.each(LINES)("RocketMQ %s", (line) => {
  oracleTest("loads the tables that we wrote, and we load them after it has written them", async () => {
    const dir = join(temporaryFolder(), "store");
    const store = await openStore(dir);
    const groups = ["GroupA", "%RETRY%g|1", "123"];
    for (const group of groups) {
      for (let queueId = 0; queueId < 12; queueId++) store.groups.commit(group, "orders", queueId, 10 * queueId);
      store.groups.commit(group, "%RETRY%GroupA", 0, Number.MAX_SAFE_INTEGER);
    }
    store.table("topics").set("topicConfigTable", { orders: topic("orders"), "77": topic("77") });
    store.table("delayOffset").set("offsetTable", { 1: 4, 3: 12 });
    await store.close();
    const ours = { offsets: "", version: {} as JsonValue | undefined };
    {
      const again = await Store.open(dir, { readOnly: true });
      ours.offsets = JSON.stringify(again.table("consumerOffset").get("offsetTable"));
      ours.version = again.table("consumerOffset").get("dataVersion");
      await again.close();
    }

    const found = await judgeTables(line, dir);

    const loaded = Object.entries(found).filter(([, table]) => table.loaded);
    expect(loaded.map(([name]) => name)).toEqual(
      line === "5"
        ? ["consumerOffset", "delayOffset", "subscriptionGroup", "topics"]
        : ["consumerOffset", "delayOffset", "topics"],
    );
    const { offsetTable, groupTopicMap, dataVersion } = parsed(found.consumerOffset?.text);
    expect(offsetTable).toEqual(JSON.parse(ours.offsets));
    if (line === "5") {
      expect(dataVersion).toEqual(ours.version);
      const topics = Object.entries(groupTopicMap as Record<string, string[]>).map(([group, names]) => [
        group,
        [...names].sort(),
      ]);
      expect(Object.fromEntries(topics)).toEqual(
        Object.fromEntries(groups.map((group) => [group, ["%RETRY%GroupA", "orders"]])),
      );
    }
    const { topicConfigTable } = parsed(found.topics?.text) as { topicConfigTable: Record<string, JsonValue> };
    expect(topicConfigTable.orders).toMatchObject({ topicName: "orders", readQueueNums: 8, perm: 6 });
    expect(topicConfigTable["77"]).toMatchObject({ topicName: "77" });
    expect(parsed(found.delayOffset?.text).offsetTable).toEqual({ 1: 4, 3: 12 });

    const last = await openStore(dir);
    for (const group of groups) expect(last.groups.all(group)).toHaveLength(13);
    expect(last.groups.offset("GroupA", "%RETRY%GroupA", 0)).toBe(Number.MAX_SAFE_INTEGER);
    expect(last.table("topics").get("topicConfigTable")).toMatchObject({ orders: { topicName: "orders" } });
    expect(last.table("delayOffset").get("offsetTable")).toEqual({ 1: 4, 3: 12 });
    last.groups.commit("GroupA", "orders", 0, 77);
    await last.close();
    expect(parsed((await judgeTables(line, dir)).consumerOffset?.text).offsetTable).toMatchObject({
      "orders@GroupA": { 0: 77 },
    });
  });

  oracleTest("loads the version before from our .bak, where the file is lost", async () => {
    const dir = join(temporaryFolder(), "store");
    const store = await openStore(dir);
    for (const offset of [1, 2]) {
      store.groups.commit("GroupA", "orders", 0, offset);
      await store.groups.flush();
    }
    await store.close();
    rmSync(join(dir, "config/consumerOffset.json"));
    const found = await judgeTables(line, dir);
    expect(parsed(found.consumerOffset?.text).offsetTable).toEqual({ "orders@GroupA": { 0: 1 } });
  });
});

describe.concurrent("RocketMQ 5 with light queues", () => {
  oracleTest("goes on with the offsets that we committed in its table", async () => {
    const dir = join(temporaryFolder(), "store");
    await (await openStore(dir)).close();
    await judgeTables("5", dir, "lmq");
    expect(existsSync(join(dir, "config/lmqConsumerOffset.json"))).toBe(true);
    const store = await openStore(dir);
    store.groups.commit("%LMQ%reader", "%LMQ%letters", 0, 5);
    store.groups.commit("reader", "letters", 3, 6);
    await store.close();
    const found = await judgeTables("5", dir, "lmq");
    expect(parsed(found.consumerOffset?.text)).toMatchObject({
      lmqOffsetTable: { "%LMQ%letters@%LMQ%reader": 5 },
      offsetTable: { "letters@reader": { 3: 6 } },
    });
    const again = await openStore(dir);
    expect(again.groups.all("%LMQ%reader")).toEqual([{ topic: "%LMQ%letters", queueId: 0, offset: 5 }]);
  });
});
