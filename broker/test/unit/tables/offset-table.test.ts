import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DelayOffsets } from "../../../src/tables/delay-offsets.ts";
import { OffsetTable } from "../../../src/tables/offset-table.ts";
import { close, fileOf, fixture, newFolder, open, textOf } from "./rig.ts";

test("RocketMQ's offsets are read, and go on in its file", async () => {
  const folder = fixture("rmq5-broker");
  const before = fileOf(folder, "consumerOffset");
  const store = await open(folder);
  const offsets = new OffsetTable(store);
  expect(offsets.committed("probe-consumer", "ProbeTopic", 2)).toBe(50);
  expect(offsets.committed("probe-consumer", "ProbeTopic", 9)).toBeUndefined();
  expect(offsets.committed("nobody", "ProbeTopic", 0)).toBeUndefined();
  expect(offsets.topicsOf("CID_RMQ_SYS_TRANS").toSorted()).toEqual([
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  ]);
  expect(offsets.groupsOf("ProbeTopic")).toEqual(["probe-consumer"]);
  offsets.commit("probe-consumer", "ProbeTopic", 2, 51);
  offsets.commit("new-group", "ProbeTopic", 0, 7);
  await offsets.flush();
  const after = fileOf(folder, "consumerOffset");
  expect(after.offsetTable).toEqual({
    ...before.offsetTable,
    "ProbeTopic@probe-consumer": { 0: 51, 1: 51, 2: 51, 3: 51 },
    "ProbeTopic@new-group": { 0: 7 },
  });
  expect(textOf(folder, "consumerOffset")).toMatch(/[{,\s]0:7/);
  await close(store);
  expect(new OffsetTable(await open(folder)).all("new-group")).toEqual([
    { topic: "ProbeTopic", queueId: 0, offset: 7 },
  ]);
});

test("an offset that is there already is not written again", async () => {
  const folder = newFolder();
  const offsets = new OffsetTable(await open(folder));
  offsets.commit("g", "t", 0, 9);
  await offsets.flush();
  const before = statSync(join(folder, "config/consumerOffset.json"), { bigint: true });
  offsets.commit("g", "t", 0, 9);
  await offsets.flush();
  const after = statSync(join(folder, "config/consumerOffset.json"), { bigint: true });
  // Each write makes a new file, and gives the old one another name.
  expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
  offsets.commit("g", "t", 0, 10);
  await offsets.flush();
  expect(fileOf(folder, "consumerOffset").offsetTable).toEqual({ "t@g": { 0: 10 } });
});

test("what stands in the place of an offset and is none goes with the next one", async () => {
  const folder = newFolder();
  mkdirSync(join(folder, "config"), { recursive: true });
  writeFileSync(join(folder, "config/consumerOffset.json"), '{"offsetTable":{"t@g":{0:"nine"}}}');
  const offsets = new OffsetTable(await open(folder));
  expect(() => offsets.committed("g", "t", 0)).toThrow("mend it");
  offsets.commit("g", "t", 0, 9);
  expect(offsets.committed("g", "t", 0)).toBe(9);
});

test("offsets go backwards as well", async () => {
  const offsets = new OffsetTable(await open(newFolder()));
  offsets.commit("g", "t", 0, 9);
  offsets.commit("g", "t", 0, 3);
  expect(offsets.committed("g", "t", 0)).toBe(3);
});

test("what was pulled is remembered beside what was committed", async () => {
  const offsets = new OffsetTable(await open(newFolder()));
  expect(offsets.pulled("g", "t", 0)).toBeUndefined();
  offsets.setPulled("g", "t", 0, 5);
  expect(offsets.pulled("g", "t", 0)).toBe(5);
  expect(offsets.pulled("g", "t", 1)).toBeUndefined();
  expect(offsets.committed("g", "t", 0)).toBeUndefined();
});

test("a reset is committed, and taken once", async () => {
  const offsets = new OffsetTable(await open(newFolder()));
  offsets.reset("g", "t", 1, 42);
  expect(offsets.committed("g", "t", 1)).toBe(42);
  expect(offsets.pendingReset("g", "t", 1)).toBe(42);
  expect(offsets.takeReset("g", "t", 1)).toBe(42);
  expect(offsets.takeReset("g", "t", 1)).toBeUndefined();
  expect(offsets.pendingReset("g", "t", 1)).toBeUndefined();
});

test("a group or a topic is forgotten with all that there is of it, and nothing else", async () => {
  const folder = newFolder();
  const store = await open(folder);
  const offsets = new OffsetTable(store);
  for (const group of ["g", "xg", "h"]) {
    for (const topic of ["t", "u"]) {
      offsets.commit(group, topic, 0, 1);
      offsets.setPulled(group, topic, 0, 2);
      offsets.reset(group, topic, 0, 3);
    }
  }
  offsets.deleteGroup("g");
  offsets.deleteTopic("t");
  expect(offsets.groupsOf("t")).toEqual([]);
  expect(offsets.groupsOf("u")).toEqual(["xg", "h"]);
  expect(offsets.topicsOf("g")).toEqual([]);
  expect(offsets.topicsOf("h")).toEqual(["u"]);
  for (const [group, topic] of [
    ["g", "u"],
    ["xg", "t"],
  ] as const) {
    expect(offsets.committed(group, topic, 0)).toBeUndefined();
    expect(offsets.pulled(group, topic, 0)).toBeUndefined();
    expect(offsets.pendingReset(group, topic, 0)).toBeUndefined();
  }
  expect(offsets.committed("xg", "u", 0)).toBe(3);
  expect(offsets.pulled("xg", "u", 0)).toBe(2);
  await offsets.flush();
  expect(fileOf(folder, "consumerOffset").offsetTable).toEqual({ "u@xg": { 0: 3 }, "u@h": { 0: 3 } });
  await close(store);
  expect(new OffsetTable(await open(folder)).groupsOf("u")).toEqual(["xg", "h"]);
});

test("a group takes the offsets that another one has of a topic", async () => {
  const offsets = new OffsetTable(await open(newFolder()));
  offsets.commit("from", "t", 0, 5);
  offsets.commit("from", "t", 3, 6);
  offsets.commit("from", "u", 0, 7);
  offsets.clone("from", "to", "t");
  expect(offsets.all("to")).toEqual([
    { topic: "t", queueId: 0, offset: 5 },
    { topic: "t", queueId: 3, offset: 6 },
  ]);
});

test("a broker's table with light queues is the one that is used", async () => {
  const folder = newFolder();
  mkdirSync(join(folder, "config"), { recursive: true });
  const table = { lmqOffsetTable: { "%LMQ%l@%LMQ%g": 4 }, offsetTable: { "t@g": { 0: 5 } } };
  writeFileSync(join(folder, "config/lmqConsumerOffset.json"), JSON.stringify(table));
  const offsets = new OffsetTable(await open(folder));
  expect(offsets.committed("g", "t", 0)).toBe(5);
  expect(offsets.committed("%LMQ%g", "%LMQ%l", 0)).toBe(4);
  offsets.deleteTopic("%LMQ%l");
  expect(offsets.committed("%LMQ%g", "%LMQ%l", 0)).toBeUndefined();
  expect(offsets.committed("g", "t", 0)).toBe(5);
});

test("RocketMQ's progress of delay levels is read, and goes on in its file", async () => {
  const folder = fixture("rmq5-delay");
  const store = await open(folder);
  const delays = new DelayOffsets(store);
  expect(delays.levels()).toEqual([1, 2, 5, 10, 18]);
  expect([1, 5, 7].map((level) => delays.get(level))).toEqual([4, 0, 0]);
  delays.set(
    new Map([
      [2, 9],
      [7, 1],
    ]),
  );
  await delays.flush();
  const written = fileOf(folder, "delayOffset");
  expect(written.offsetTable).toEqual({ 1: 4, 2: 9, 5: 0, 7: 1, 10: 0, 18: 0 });
  expect(written.dataVersion).toMatchObject({ counter: 2, stateVersion: 0 });
  expect(textOf(folder, "delayOffset")).toMatch(/[{,\s]7:1/);
  await close(store);
  expect(new DelayOffsets(await open(folder)).get(7)).toBe(1);
});

test("RocketMQ 4.9's progress has no version, and gets none", async () => {
  const folder = fixture("rmq4-delay");
  const delays = new DelayOffsets(await open(folder));
  const before = fileOf(folder, "delayOffset");
  expect(delays.levels().length).toBeGreaterThan(0);
  delays.set(new Map([[1, 1000]]));
  await delays.flush();
  expect(Object.keys(fileOf(folder, "delayOffset"))).toEqual(Object.keys(before));
});

test("how far was pulled is known of so many queues", async () => {
  const offsets = new OffsetTable(await open(newFolder()), { maxPulled: 4 });
  for (const group of ["a", "b", "c"]) for (const queueId of [0, 1]) offsets.setPulled(group, "t", queueId, 7);
  expect(["a", "b", "c"].map((group) => offsets.pulled(group, "t", 1))).toEqual([undefined, 7, 7]);
  offsets.deleteGroup("b");
  offsets.setPulled("d", "t", 0, 7);
  expect(["c", "d"].map((group) => offsets.pulled(group, "t", 0))).toEqual([7, 7]);
});

test("offsets behind the end of their queue are set to it, all others stay", async () => {
  const folder = newFolder();
  const store = await open(folder);
  for (let count = 0; count < 3; count++) store.put({ topic: "t", queueId: 1, body: Buffer.from("x") });
  const offsets = new OffsetTable(store);
  const given = [0, 2, 3, 4, 1000];
  given.forEach((offset, at) => {
    offsets.commit(`g${at}`, "t", 1, offset);
  });
  offsets.commit("g0", "nothing", 0, 7);
  await close(store);
  // What nobody can ask for is left as it is.
  const file = join(folder, "config/consumerOffset.json");
  const odd = '"offsetTable":{"a b@g":{0:7},"t@":{1:7},"t@odd":{1:"7","x":7},';
  writeFileSync(file, textOf(folder, "consumerOffset").replace(/"offsetTable":\{/, odd));
  const again = new OffsetTable(await open(folder));
  expect(again.setBackToEnds()).toBe(3);
  expect(given.map((_, at) => again.committed(`g${at}`, "t", 1))).toEqual([0, 2, 3, 3, 3]);
  expect(again.committed("g0", "nothing", 0)).toBe(0);
  expect(again.setBackToEnds()).toBe(0);
  await again.flush();
  expect(fileOf(folder, "consumerOffset").offsetTable).toMatchObject({ "a b@g": { 0: 7 }, "t@odd": { 1: "7", x: 7 } });
});

test("offsets of light queues, too", async () => {
  const folder = newFolder();
  mkdirSync(join(folder, "config"), { recursive: true });
  writeFileSync(
    join(folder, "config/lmqConsumerOffset.json"),
    '{"lmqOffsetTable":{"%LMQ%q@%LMQ%g":7},"offsetTable":{"t@g":{0:7}}}',
  );
  const offsets = new OffsetTable(await open(folder));
  expect(offsets.setBackToEnds()).toBe(2);
  expect(offsets.committed("%LMQ%g", "%LMQ%q", 0)).toBe(0);
  expect(offsets.committed("g", "t", 0)).toBe(0);
});
