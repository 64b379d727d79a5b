/** Consumer offsets: what is committed is answered, kept, and in the shape that RocketMQ reads. */
import { access, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { Groups, Store } from "../../src/index.ts";
import { onBreakingDisk } from "../faults/poisoned-store.ts";
import { ENGINE, supports } from "./engine.ts";
import { answer, message, openStore, temporaryDirectory, thrown } from "./temporary-store.ts";

/** A store directory with a table of consumer offsets, as text. */
async function storeWith(text: string, name = "consumerOffset"): Promise<string> {
  const path = await temporaryDirectory();
  await (await openStore({}, path)).close();
  await mkdir(join(path, "config"), { recursive: true });
  await writeFile(join(path, `config/${name}.json`), text);
  return path;
}

const config = (path: string, name: string): Promise<string> => readFile(join(path, `config/${name}.json`), "utf8");

describe("offsets", () => {
  test("are answered as committed, also when set back", async () => {
    const { groups } = await openStore();
    expect(groups.offset("readers", "orders", 0)).toBeUndefined();
    groups.commit("readers", "orders", 0, 5);
    groups.commit("readers", "orders", 1, 0);
    groups.commit("writers", "orders", 0, 9);
    groups.commit("readers", "orders", 0, 3);
    groups.commit("readers", "orders", 0, Number.MAX_SAFE_INTEGER);
    groups.commit("readers", "orders", 0, 2);
    expect(groups.offset("readers", "orders", 0)).toBe(2);
    expect(groups.offset("readers", "orders", 1)).toBe(0);
    expect(groups.offset("readers", "orders", 2)).toBeUndefined();
    expect(groups.offset("readers", "payments", 0)).toBeUndefined();
    expect(groups.offset("writers", "orders", 0)).toBe(9);
  });

  test("of a group are listed by topic and queue, and forgotten with it alone", async () => {
    const { groups } = await openStore();
    for (const queueId of [10, 2, 0]) groups.commit("readers", "orders", queueId, queueId + 1);
    groups.commit("readers", "payments", 0, 7);
    groups.commit("proofreaders", "orders", 0, 8);
    expect(groups.all("readers")).toEqual([
      { topic: "orders", queueId: 0, offset: 1 },
      { topic: "orders", queueId: 2, offset: 3 },
      { topic: "orders", queueId: 10, offset: 11 },
      { topic: "payments", queueId: 0, offset: 7 },
    ]);
    expect(groups.all("nobody")).toEqual([]);
    expect(groups.delete("readers")).toBe(true);
    expect(groups.delete("readers")).toBe(false);
    expect(groups.all("readers")).toEqual([]);
    expect(groups.all("proofreaders")).toHaveLength(1);
  });

  test("outlive the store, and a flush makes them durable", async () => {
    const path = await temporaryDirectory();
    const store = await openStore({}, path);
    store.groups.commit("readers", "orders", 3, 4);
    await store.groups.flush();
    const written = await config(path, "consumerOffset");
    store.groups.commit("readers", "orders", 3, 5);
    await store.close();
    expect(written).toContain("3:4");
    const again = await openStore({}, path);
    expect(again.groups.offset("readers", "orders", 3)).toBe(5);
  });

  test("behave as a map does, whatever is done", async () => {
    const group = fc.constantFrom("a", "b", "%RETRY%a", "a-b", "%LMQ%c");
    const topic = fc.constantFrom("t", "%RETRY%t", "a", "T");
    const command = fc.oneof(
      fc.record({ do: fc.constant("commit"), group, topic, queueId: fc.nat(3), offset: fc.maxSafeNat() }),
      fc.record({ do: fc.constant("delete"), group, topic, queueId: fc.constant(0), offset: fc.constant(0) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const path = await temporaryDirectory();
        const store = await openStore({}, path);
        const model = new Map<string, Map<string, number>>();
        for (const { do: verb, group, topic, queueId, offset } of commands) {
          if (verb === "commit") {
            store.groups.commit(group, topic, queueId, offset);
            if (!model.has(group)) model.set(group, new Map());
            model.get(group)?.set(`${topic} ${queueId}`, offset);
          } else expect(store.groups.delete(group)).toBe(model.delete(group));
        }
        await store.close();
        const again = await openStore({}, path);
        for (const group of ["a", "b", "%RETRY%a", "a-b", "%LMQ%c"]) {
          const found = again.groups.all(group).map(({ topic, queueId, offset }) => [`${topic} ${queueId}`, offset]);
          expect(new Map(found as [string, number][])).toEqual(model.get(group) ?? new Map());
        }
        await again.close();
      }),
      { numRuns: 20 },
    );
  });
});

describe("the table", () => {
  test("has RocketMQ's shape", async () => {
    const store = await openStore({ clock: () => 1_700_000_000_000 });
    store.groups.commit("GroupA", "TopicTest", 0, 5);
    store.groups.commit("GroupA", "TopicTest", 1, 7);
    await store.groups.flush();
    expect(await config(store.path, "consumerOffset")).toBe(`{
\t"dataVersion":{
\t\t"counter":1,
\t\t"stateVersion":0,
\t\t"timestamp":1700000000000
\t},
\t"groupTopicMap":{
\t\t"GroupA":[
\t\t\t"TopicTest"
\t\t]
\t},
\t"offsetTable":{
\t\t"TopicTest@GroupA":{
\t\t\t0:5,
\t\t\t1:7
\t\t}
\t}
}`);
  });

  test("is not written again where groups commit what they have committed", async () => {
    const path = await temporaryDirectory();
    const store = await openStore({}, path);
    const commit = (offset: number) => store.groups.commit("g", "t", 0, offset);
    const version = () => (store.table("consumerOffset").get("dataVersion") as { counter: number }).counter;
    commit(5);
    await store.groups.flush();
    expect(version()).toBe(1);
    commit(5);
    await store.groups.flush();
    await rm(join(path, "config"), { recursive: true });
    commit(5);
    await store.close();
    expect(await readdir(path)).not.toContain("config");
  });

  test("says which topics a group has, also after one has gone, and after it was set as a whole", async () => {
    const text = '{"groupTopicMap":{"old":["gone"],"kept":["t"]},"offsetTable":{"t@kept":{0:1},"t@new":{0:1}}}';
    const store = await openStore({}, await storeWith(text));
    const table = store.table("consumerOffset");
    store.groups.commit("new", "u", 0, 1);
    await table.flush();
    expect(table.get("groupTopicMap")).toEqual({ kept: ["t"], new: ["t", "u"] });
    const written = async () => /"groupTopicMap":(\{.*?\})/.exec(await config(store.path, "consumerOffset"))?.[1];
    expect(await written()).toBe('{"kept":["t"],"new":["t","u"]}');
    store.groups.delete("kept");
    await table.flush();
    expect(table.get("groupTopicMap")).toEqual({ new: ["t", "u"] });
    expect(await written()).toBe('{"new":["t","u"]}');
    store.groups.commit("new", "v", 0, 1);
    await table.flush();
    expect(await written()).toBe('{"new":["t","u","v"]}');
    table.set("offsetTable", { "a@b": { 0: 1 } });
    await table.flush();
    expect(table.get("groupTopicMap")).toEqual({ b: ["a"] });
    expect(store.groups.offset("b", "a", 0)).toBe(1);
    expect(await config(store.path, "consumerOffset")).toContain("0:1");
  });

  test("of RocketMQ, with and without quotes, is read and goes on", async () => {
    const store = await openStore({}, await storeWith('{"offsetTable":{"t@g":{0:5,"1":7,"12":9007199254740993}}}'));
    expect(store.groups.offset("g", "t", 0)).toBe(5);
    expect(store.groups.offset("g", "t", 1)).toBe(7);
    store.groups.commit("g", "t", 1, 8);
    await store.groups.flush();
    expect(await config(store.path, "consumerOffset")).toContain('"t@g":{0:5,1:8,12:9007199254740993}');
  });

  test("with something else than offsets is STORE_CORRUPT where it is asked for, and elsewhere fine", async () => {
    const offsets = '"a@g":5,"b@g":{0:"five"},"c@g":{x:1},"d@h":{0:9007199254740993},"e@i":{0:1}';
    const path = await storeWith(`{"offsetTable":{${offsets}}}`);
    const { groups } = await openStore({}, path);
    for (const call of [
      () => groups.offset("g", "a", 0),
      () => groups.commit("g", "a", 0, 1),
      () => groups.offset("g", "b", 0),
      () => groups.all("g"),
      () => groups.offset("h", "d", 0),
    ]) {
      expect(thrown(call)).toMatchObject({ code: "STORE_CORRUPT", details: { file: "config/consumerOffset.json" } });
    }
    expect(groups.all("i")).toEqual([{ topic: "e", queueId: 0, offset: 1 }]);

    const other = await openStore({}, await storeWith('{"offsetTable":[]}'));
    expect(thrown(() => other.groups.offset("g", "a", 0)).message).toContain("offsetTable is not an object");
    const damaged = await openStore({}, await storeWith("{"));
    expect(thrown(() => damaged.groups).code).toBe("STORE_CORRUPT");
  });
});

describe("a store of a broker with light queues", () => {
  const text = '{"lmqOffsetTable":{"%LMQ%a@%LMQ%g":4},"offsetTable":{"t@g":{0:1}}}';

  test("keeps all offsets in the table that such a broker reads", async () => {
    const path = await storeWith(text, "lmqConsumerOffset");
    await writeFile(join(path, "config/consumerOffset.json"), '{"offsetTable":{"t@g":{0:99}}}');
    const store = await openStore({}, path);
    const { groups } = store;
    expect(groups.offset("g", "t", 0)).toBe(1);
    expect(groups.offset("%LMQ%g", "%LMQ%a", 0)).toBe(4);
    expect(groups.offset("%LMQ%g", "%LMQ%a", 1)).toBeUndefined();
    groups.commit("%LMQ%g", "%LMQ%b", 0, 6);
    expect(thrown(() => groups.commit("%LMQ%g", "%LMQ%b", 1, 6)).details.argument).toBe("queueId");
    expect(groups.all("%LMQ%g")).toEqual([
      { topic: "%LMQ%a", queueId: 0, offset: 4 },
      { topic: "%LMQ%b", queueId: 0, offset: 6 },
    ]);
    groups.commit("g", "t", 1, 2);
    await groups.flush();
    const written = await config(path, "lmqConsumerOffset");
    expect(written).toContain('"lmqOffsetTable":{"%LMQ%a@%LMQ%g":4,"%LMQ%b@%LMQ%g":6}');
    expect(written).toContain('"offsetTable":{"t@g":{0:1,1:2}}');
    expect(groups.delete("%LMQ%g")).toBe(true);
    expect(groups.all("%LMQ%g")).toEqual([]);
    expect(groups.all("g")).toHaveLength(2);
    expect(await config(path, "consumerOffset")).toContain("99");
  });
});

describe("the disk has no offset", () => {
  /** The log is synced when somebody asks for it, and not by itself. */
  const unhurried = { flush: "async", flushIntervalMs: 60_000 } as const;
  const unsynced = (store: Store): number => store.log.endOffset - store.log.durableOffset;

  test("without what was put before it was committed", async () => {
    const store = await openStore(unhurried);
    const { endOffset } = store.put(message());
    store.groups.commit("readers", "orders", 0, 1);
    expect(store.log.durableOffset).toBeLessThan(endOffset);
    await store.groups.flush();
    expect(store.log.durableOffset).toBeGreaterThanOrEqual(endOffset);
    store.put(message());
    expect(unsynced(store)).toBeGreaterThan(0);
    store.groups.delete("readers");
    await store.table("consumerOffset").flush();
    expect(unsynced(store)).toBe(0);
  });

  test("without it in a broker's table with light queues, either", async () => {
    const store = await openStore(unhurried, await storeWith("{}", "lmqConsumerOffset"));
    store.put(message());
    store.groups.commit("readers", "orders", 0, 1);
    expect(unsynced(store)).toBeGreaterThan(0);
    await store.groups.flush();
    expect(unsynced(store)).toBe(0);
  });

  test("that is written behind without it", async () => {
    const store = await openStore(unhurried);
    store.put(message());
    store.groups.commit("readers", "orders", 0, 1);
    const file = join(store.path, "config/consumerOffset.json");
    await vi.waitFor(() => access(file), { timeout: 30_000 });
    expect(unsynced(store)).toBe(0);
  });

  test("that is written by close without it, and close needs no flush before", async () => {
    const path = await temporaryDirectory();
    const store = await openStore(unhurried, path);
    store.put(message());
    store.groups.commit("readers", "orders", 0, 1);
    await store.close();
    const again = await openStore({}, path);
    expect(again.groups.offset("readers", "orders", 0)).toBe(1);
    expect(again.offsets("orders", 0).max).toBe(1);
  });

  test("again that it has already, and so the log is left alone, as for other tables", async () => {
    const store = await openStore(unhurried);
    store.groups.commit("readers", "orders", 0, 1);
    await store.groups.flush();
    store.put(message());
    store.groups.commit("readers", "orders", 0, 1);
    await store.groups.flush();
    store.table("settings").set("n", 1);
    await store.table("settings").flush();
    expect(unsynced(store)).toBeGreaterThan(0);
  });

  test.runIf(supports.faults)(
    "where the log's sync has failed, also if the disk works again: it keeps the one before",
    async () => {
      const seen = JSON.parse(await onBreakingDisk("unsynced-log-child.mjs", ENGINE));
      expect(seen).toEqual({
        flush: "STORE_POISONED",
        state: "poisoned",
        findings: [expect.stringContaining("changes could not be written and are kept in memory")],
        close: "STORE_POISONED",
        stateAfterClose: "closed",
        onDisk: expect.stringMatching(/0:1\D/),
        reopened: 1,
      });
    },
    60_000,
  );
});

describe("arguments", () => {
  const long = (length: number): string => "g".repeat(length);
  const cases: [name: string, group: unknown, topic: unknown, queueId: unknown, offset: unknown][] = [
    ...["", "a@b", "a b", "é", "a/b", "a\0", long(256), 1, null, undefined, {}].map(
      (group) => ["group", group, "t", 0, 0] as [string, unknown, unknown, unknown, unknown],
    ),
    ...["", "a@b", "a b", "é", "../t", long(256), 1, null, undefined, {}].map(
      (topic) => ["topic", "g", topic, 0, 0] as [string, unknown, unknown, unknown, unknown],
    ),
    ...[-1, 0.5, 2 ** 31, Number.NaN, "0", undefined].map(
      (queueId) => ["queueId", "g", "t", queueId, 0] as [string, unknown, unknown, unknown, unknown],
    ),
    ...[-1, 0.5, 2 ** 53, Number.NaN, "0", 1n, undefined].map(
      (offset) => ["offset", "g", "t", 0, offset] as [string, unknown, unknown, unknown, unknown],
    ),
  ];

  test("that are wrong are refused by name, and nothing is stored", async () => {
    const { groups } = await openStore();
    for (const [name, group, topic, queueId, offset] of cases) {
      const { code, details } = thrown(() =>
        (groups.commit as (...args: unknown[]) => void)(group, topic, queueId, offset),
      );
      expect([code, details.argument, group, topic, queueId, offset]).toEqual([
        "STORE_INVALID_ARGUMENT",
        name,
        group,
        topic,
        queueId,
        offset,
      ]);
      if (name === "offset") continue;
      const read = (): unknown => (groups.offset as (...args: unknown[]) => unknown)(group, topic, queueId);
      expect(thrown(read).details.argument).toBe(name);
      if (name !== "group") continue;
      expect(thrown(() => groups.all(group as string)).details.argument).toBe("group");
      expect(thrown(() => groups.delete(group as string)).details.argument).toBe("group");
    }
    expect(groups.all("g")).toEqual([]);
  });

  test("of every allowed shape are taken", async () => {
    const { groups } = await openStore();
    for (const name of ["g", "%RETRY%g_t", "a|b-c_d%", "0", "__proto__", "constructor", long(255)]) {
      groups.commit(name, name, 2 ** 31 - 1, 1);
      expect(groups.offset(name, name, 2 ** 31 - 1)).toBe(1);
      expect(groups.all(name)).toEqual([{ topic: name, queueId: 2 ** 31 - 1, offset: 1 }]);
    }
  });
});

describe("groups of a store that", () => {
  const writes: ((groups: Groups) => unknown)[] = [
    (groups) => groups.commit("g", "t", 0, 1),
    (groups) => groups.delete("g"),
    (groups) => groups.flush(),
  ];
  const reads: ((groups: Groups) => unknown)[] = [(groups) => groups.offset("g", "t", 0), (groups) => groups.all("g")];

  test("is read-only are shown and take nothing", async () => {
    const store = await openStore({ readOnly: true }, await storeWith('{"offsetTable":{"t@g":{0:5}}}'));
    expect(store.groups.offset("g", "t", 0)).toBe(5);
    for (const call of writes) expect(await answer(() => call(store.groups))).toBe("STORE_READ_ONLY");
  });

  test("is closed answer with STORE_CLOSED", async () => {
    const store = await openStore();
    const { groups } = store;
    await store.close();
    for (const call of [...writes, ...reads]) expect(await answer(() => call(groups))).toBe("STORE_CLOSED");
  });
});

test("a commit costs the same however large the table is", async () => {
  const { groups } = await openStore();
  for (let i = 0; i < 50_000; i++) groups.commit(`group-${i}`, "topic", 0, i);
  for (let i = 0; i < 100_000; i++) groups.commit(`group-${i % 50_000}`, "topic", i % 3, i);
  // A tenth of a second for a machine at rest; were anything done for each entry, minutes: past the time of a test.
  expect(groups.offset("group-49999", "topic", 99_999 % 3)).toBe(99_999);
  expect(groups.all("group-49999").map(({ queueId }) => queueId)).toEqual([0, 1]);
});
