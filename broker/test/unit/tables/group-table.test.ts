import { expect, test } from "vitest";
import { ResponseCode } from "../../../src/protocol/codes.ts";
import { groupConfig } from "../../../src/tables/group-config.ts";
import { Forbidden, GroupTable } from "../../../src/tables/group-table.ts";
import { close, configOf, fileOf, fixture, newFolder, open } from "./rig.ts";

const config = configOf();

test("a fresh broker has RocketMQ's own groups, as RocketMQ writes them", async () => {
  const [folder, written] = [newFolder(), fixture("rmq5-broker")];
  const groups = new GroupTable(await open(folder), { config });
  await groups.ready;
  const [ours, theirs] = [fileOf(folder, "subscriptionGroup"), fileOf(written, "subscriptionGroup")];
  const { "probe-consumer": _, ...own } = theirs.subscriptionGroupTable ?? {};
  expect(ours.subscriptionGroupTable).toEqual(own);
  expect(Object.keys(ours)).toEqual(["dataVersion", "forbiddenTable", "subscriptionGroupTable"]);
  expect([...groups.all()]).toHaveLength(8);
});

test("RocketMQ's groups are read, and its file stays the same but for what is changed", async () => {
  const folder = fixture("rmq5-broker");
  const before = fileOf(folder, "subscriptionGroup");
  const store = await open(folder);
  const groups = new GroupTable(store, { config, now: () => 5 });
  await groups.ready;
  expect(groups.get("probe-consumer")).toEqual(groupConfig("probe-consumer"));
  expect(groups.version).toEqual(before.dataVersion);
  const changed = groupConfig("probe-consumer", { retryMaxTimes: 3, consumeEnable: false });
  expect(await groups.put(changed)).toBe(true);
  expect(await groups.put(changed)).toBe(false);
  const after = fileOf(folder, "subscriptionGroup");
  const entry = before.subscriptionGroupTable?.["probe-consumer"] as object;
  expect(after.subscriptionGroupTable).toEqual({
    ...before.subscriptionGroupTable,
    "probe-consumer": { ...entry, retryMaxTimes: 3, consumeEnable: false },
  });
  await close(store);
  expect(new GroupTable(await open(folder), { config }).get("probe-consumer")).toEqual(changed);
});

test("a group that is asked for is made, where the configuration allows it and the name is one", async () => {
  const folder = newFolder();
  const store = await open(folder);
  const groups = new GroupTable(store, { config });
  expect(groups.get("mine")).toBeUndefined();
  expect(groups.find("mine")).toEqual(groupConfig("mine"));
  expect(groups.get("mine")).toEqual(groupConfig("mine"));
  expect(groups.find("not a group")).toBeUndefined();
  expect(groups.find("")).toBeUndefined();
  await groups.flush();
  await close(store);
  expect(new GroupTable(await open(folder), { config }).get("mine")).toEqual(groupConfig("mine"));
});

test("without automatic groups only RocketMQ's own are made", async () => {
  const off = { autoCreateSubscriptionGroup: "false" };
  const groups = new GroupTable(await open(newFolder()), { config: configOf(off) });
  expect(groups.find("mine")).toBeUndefined();
  expect(groups.find("CID_RMQ_SYS_REVIVE_GROUP")).toBeDefined();
  const none = new GroupTable(await open(newFolder()), { config: configOf({ ...off, enableCreateSysGroup: "false" }) });
  expect(none.find("CID_RMQ_SYS_REVIVE_GROUP")).toBeUndefined();
});

test("there are never more than so many groups", async () => {
  const groups = new GroupTable(await open(newFolder()), { config, maximum: 9 });
  await groups.ready;
  expect(groups.find("a")).toBeDefined();
  expect(groups.find("b")).toBeUndefined();
  expect(groups.find("a")).toBeDefined();
  await expect(groups.put(groupConfig("b"))).rejects.toThrow("takes no more");
});

test("what a group is forbidden is kept with it, and goes with it", async () => {
  const folder = newFolder();
  const store = await open(folder);
  const groups = new GroupTable(store, { config });
  await groups.put(groupConfig("g"));
  const { counter } = groups.version;
  await groups.setForbidden("g", "t", Forbidden.read);
  expect(groups.forbidden("g", "t")).toBe(4);
  expect(groups.forbidden("g", "u")).toBe(0);
  expect(groups.version.counter).toBe(counter + 1);
  expect(fileOf(folder, "subscriptionGroup").forbiddenTable).toEqual({ g: { t: 4 } });
  await close(store);
  const again = new GroupTable(await open(folder), { config });
  expect(again.forbidden("g", "t")).toBe(4);
  expect(await again.delete("g")).toBe(true);
  expect(again.forbidden("g", "t")).toBe(0);
  expect(again.get("g")).toBeUndefined();
  expect(fileOf(folder, "subscriptionGroup").forbiddenTable).toEqual({});
});

test("many groups are put in one write", async () => {
  const groups = new GroupTable(await open(newFolder()), { config });
  await groups.ready;
  expect(await groups.putAll([groupConfig("a"), groupConfig("b"), groupConfig("TOOLS_CONSUMER")])).toEqual(["a", "b"]);
});

test("what no file can have is refused, and keeps no other from the disk", async () => {
  const folder = newFolder();
  const groups = new GroupTable(await open(folder), { config });
  await groups.ready;
  const deep = (depth: number): object => (depth === 0 ? {} : { a: deep(depth - 1) });
  for (const wrong of [new Map([[{ a: 1 }, 2]]), 2n ** 70n, Number.NaN, { a: [1n] }, deep(40)]) {
    const put = () => groups.put(groupConfig("g", { groupRetryPolicy: wrong }));
    await expect(put()).rejects.toMatchObject({ code: ResponseCode.INVALID_PARAMETER });
    expect(groups.get("g")).toBeUndefined();
  }
  expect(await groups.put(groupConfig("g"))).toBe(true);
  expect(fileOf(folder, "subscriptionGroup").subscriptionGroupTable?.g).toBeDefined();
  const changed = groups.put(groupConfig("g", { subscriptionDataSet: [1n] }));
  await expect(changed).rejects.toMatchObject({ code: ResponseCode.INVALID_PARAMETER });
  expect(groups.get("g")).toEqual(groupConfig("g"));
  expect(await groups.put(groupConfig("h"))).toBe(true);
});
