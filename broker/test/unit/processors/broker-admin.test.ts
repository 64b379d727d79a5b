import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Configuration } from "../../../src/config/configuration.ts";
import { administrativeHook, changesHook } from "../../../src/processors/administrative.ts";
import { brokerStatsHandlers } from "../../../src/processors/broker-stats.ts";
import { configurationHandlers } from "../../../src/processors/configuration.ts";
import { replicationHandlers } from "../../../src/processors/replication.ts";
import { humanBytes, runtimeInfoHandlers } from "../../../src/processors/runtime-info.ts";
import { upkeepHandlers } from "../../../src/processors/upkeep.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { LogExpiry } from "../../../src/services/log-expiry.ts";
import { FakeConnection, Rig } from "./rig.ts";

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
});

afterEach(() => rig.close());

test("options are shown, and changed in the file that they came from", async () => {
  const directory = await mkdtemp(join(tmpdir(), "moraine-configuration-"));
  try {
    const file = join(directory, "broker.conf");
    await writeFile(file, "# of ours\nbrokerName=broker-a\ntraceOn=true\n");
    const configuration = Configuration.load({ file }, rig.log);
    rig.serve(configurationHandlers({ configuration, log: rig.log }));
    const show = async () => await rig.ask(RequestCode.GET_BROKER_CONFIG);
    const shown = await show();
    expect(shown.text).toContain("brokerName=broker-a\n");
    expect(JSON.parse(String(shown.ext?.version))).toEqual({ ...configuration.version });
    const update = (text: string) => rig.ask(RequestCode.UPDATE_BROKER_CONFIG, { body: Buffer.from(text) });
    expect((await update("traceOn=false\n")).code).toBe(ResponseCode.SUCCESS);
    expect(configuration.values.traceOn).toBe(false);
    expect((await show()).text).toContain("traceOn=false\n");
    expect(await readFile(file, "utf8")).toContain("# of ours");
    expect((await update("brokerName=other\n")).code).toBe(ResponseCode.NO_PERMISSION);
    expect((await update("brokerConfigPath=/x\n")).code).not.toBe(ResponseCode.SUCCESS);
    expect((await update("noSuchOption=1\n")).code).toBe(ResponseCode.INVALID_PARAMETER);
    expect((await update("traceOn=perhaps\n")).code).toBe(ResponseCode.INVALID_PARAMETER);
    expect((await update("")).code).toBe(ResponseCode.SUCCESS);
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** What `mqadmin clusterList` and `brokerStatus` read. */
const READ_BY_TOOLS: readonly string[] = [
  "ackThreadPoolQueueHeadWaitTimeMills",
  "ackThreadPoolQueueSize",
  "bootTimestamp",
  "brokerActive",
  "brokerVersionDesc",
  "commitLogDirCapacity",
  "commitLogDiskRatio",
  "commitLogMaxOffset",
  "commitLogMinOffset",
  "dispatchBehindBytes",
  "earliestMessageTimeStamp",
  "getTransferredTps",
  "msgGetTotalTodayMorning",
  "msgGetTotalTodayNow",
  "msgGetTotalYesterdayMorning",
  "msgPutTotalTodayMorning",
  "msgPutTotalTodayNow",
  "msgPutTotalYesterdayMorning",
  "pageCacheLockTimeMills",
  "pullThreadPoolQueueHeadWaitTimeMills",
  "pullThreadPoolQueueSize",
  "putTps",
  "sendThreadPoolQueueHeadWaitTimeMills",
  "sendThreadPoolQueueSize",
  "timerCongestNum",
  "timerDequeueTps",
  "timerEnqueueTps",
  "timerOffsetBehind",
  "timerReadBehind",
];

test("how the broker does, in the words that tools read", async () => {
  const startedAt = Date.now();
  const now = () => startedAt + 90_061_000;
  const delays = { progress: () => [{ level: 3, delivered: 5, max: 7 }] };
  rig.serve(runtimeInfoHandlers({ ...rig, config: rig.config, delays, startedAt, now }));
  const ask = async () =>
    ((await rig.ask(RequestCode.GET_BROKER_RUNTIME_INFO)).json as { table: Record<string, string> }).table;
  const fresh = await ask();
  for (const name of READ_BY_TOOLS) expect(fresh, name).toHaveProperty(name);
  for (const value of Object.values(fresh)) expect(typeof value).toBe("string");
  expect(fresh).toMatchObject({
    brokerActive: "true",
    earliestMessageTimeStamp: "-1",
    runtime: "[ 1 days, 1 hours, 1 minutes, 1 seconds ]",
    scheduleMessageOffset_3: "5,7",
  });
  expect(Number(fresh.commitLogDiskRatio)).toBeGreaterThan(0);
  expect(Number(fresh.commitLogDiskRatio)).toBeLessThanOrEqual(1);
  rig.put("orders", 0, 2);
  const table = await ask();
  expect(table.earliestMessageTimeStamp).toBe(String(rig.store.timeOf("orders", 0, 0)));
  expect(table.commitLogMaxOffset).toBe(String(rig.store.log.endOffset));
  expect(table.putMessageTimesTotal).toBe("2");
});

test("amounts as RocketMQ writes them", () => {
  expect([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(humanBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "5.0 GiB",
  ]);
});

test("what was counted, by name and key", async () => {
  rig.serve(brokerStatsHandlers(rig));
  const ask = (statsKey: string) =>
    rig.ask(RequestCode.VIEW_BROKER_STATS_DATA, { ext: { statsName: "TOPIC_PUT_NUMS", statsKey } });
  expect(await ask("orders")).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: "The stats <TOPIC_PUT_NUMS> <orders> not exist",
  });
  rig.statistics.put("orders", 3, 300);
  const item = { sum: 3, tps: expect.any(Number), avgpt: 3 };
  expect((await ask("orders")).json).toMatchObject({ statsMinute: item, statsHour: item, statsDay: item });
});

/** What an administrator asks for, as it is `now`. */
function upkeep(now?: () => number): void {
  const { store, config, log } = rig;
  rig.serve(upkeepHandlers({ ...rig, log, expiry: new LogExpiry({ store, config, log, now }) }));
}

test("files of the log that are too old go when that is asked for", async () => {
  const day = 86_400_000;
  upkeep(() => Date.now() + 30 * day);
  const body = Buffer.alloc(400_000);
  // More files than one call of the store removes.
  for (let i = 0; i < 60; i++) rig.store.put({ topic: "orders", queueId: 0, body });
  const before = rig.store.log.minOffset;
  expect((await rig.ask(RequestCode.DELETE_EXPIRED_COMMITLOG)).code).toBe(ResponseCode.SUCCESS);
  expect(rig.store.log.minOffset).toBeGreaterThan(before);
  expect(rig.store.offsets("orders", 0)).toMatchObject({ min: 58, max: 60 });
  expect((await rig.ask(RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE)).code).toBe(ResponseCode.SUCCESS);
});

test("nothing goes that is young enough", async () => {
  upkeep();
  const body = Buffer.alloc(400_000);
  for (let i = 0; i < 9; i++) rig.store.put({ topic: "orders", queueId: 0, body });
  await rig.ask(RequestCode.DELETE_EXPIRED_COMMITLOG);
  expect(rig.store.offsets("orders", 0)).toMatchObject({ min: 0, max: 9 });
});

test("queues that have no topic any more go when that is asked for", async () => {
  upkeep();
  await rig.topic("orders");
  for (const topic of ["orders", "forgotten", "SCHEDULE_TOPIC_XXXX"]) rig.put(topic, 0);
  rig.store.put({ topic: "orders", queueId: 0, body: Buffer.from("x"), multiDispatch: ["%LMQ%light"] });
  expect((await rig.ask(RequestCode.CLEAN_UNUSED_TOPIC)).code).toBe(ResponseCode.SUCCESS);
  expect(rig.store.topics()).toEqual(["%LMQ%light", "SCHEDULE_TOPIC_XXXX", "orders"]);
});

test("a topic that is made while forgotten queues go keeps what is put to it", async () => {
  upkeep();
  for (const topic of ["early", "late"]) rig.put(topic, 0, 3);
  const remove = rig.store.deleteTopic.bind(rig.store);
  const made: Promise<void>[] = [];
  const makeAndPut = async (topic: string) => {
    await rig.topic(topic);
    rig.put(topic, 0);
  };
  vi.spyOn(rig.store, "deleteTopic").mockImplementation(async (topic) => {
    // One that is being removed, and one whose turn has not come.
    made.push(makeAndPut("early"));
    await makeAndPut("late");
    return await remove(topic);
  });
  expect((await rig.ask(RequestCode.CLEAN_UNUSED_TOPIC)).code).toBe(ResponseCode.SUCCESS);
  await Promise.all(made);
  expect(made).toHaveLength(1);
  expect(rig.store.offsets("early", 0)).toMatchObject({ min: 3, max: 4 });
  expect(rig.store.offsets("late", 0)).toMatchObject({ min: 0, max: 4 });
});

test("a master without replicas says so", async () => {
  rig.serve(replicationHandlers(rig));
  expect((await rig.ask(RequestCode.GET_BROKER_HA_STATUS)).json).toMatchObject({
    haConnectionInfo: [],
    inSyncSlaveNums: 0,
    master: true,
    masterCommitLogMaxOffset: 0,
  });
});

test("administrative requests come from the broker's own machine, unless the configuration takes all", async () => {
  const handlers = [
    [RequestCode.GET_BROKER_CONFIG, () => ({ code: 0 })],
    [RequestCode.SEND_MESSAGE, () => ({ code: 0 })],
  ] as const;
  const codeOf = async (adminAccess: "loopback" | "any", code: number, address: string) => {
    rig.serve(handlers, [administrativeHook({ adminAccess })]);
    return (await rig.ask(code, { connection: new FakeConnection(address) })).code;
  };
  expect(await codeOf("loopback", RequestCode.GET_BROKER_CONFIG, "127.0.0.1")).toBe(ResponseCode.SUCCESS);
  expect(await codeOf("loopback", RequestCode.GET_BROKER_CONFIG, "10.0.0.9")).toBe(ResponseCode.NO_PERMISSION);
  expect(await codeOf("any", RequestCode.GET_BROKER_CONFIG, "10.0.0.9")).toBe(ResponseCode.SUCCESS);
  expect(await codeOf("loopback", RequestCode.SEND_MESSAGE, "10.0.0.9")).toBe(ResponseCode.SUCCESS);
});

test("who asks for a change is logged with what was asked for, and who only looks is not", async () => {
  const { UPDATE_AND_CREATE_TOPIC, DELETE_TOPIC_IN_BROKER, INVOKE_BROKER_TO_RESET_OFFSET, GET_BROKER_CONFIG } =
    RequestCode;
  const codes = [UPDATE_AND_CREATE_TOPIC, DELETE_TOPIC_IN_BROKER, INVOKE_BROKER_TO_RESET_OFFSET, GET_BROKER_CONFIG];
  const seen: object[] = [];
  const log = { ...rig.log, info: (facts: object) => void seen.push(facts) };
  const handlers = codes.map((code) => [code, () => ({ code: ResponseCode.SUCCESS })] as const);
  rig.serve(handlers, [administrativeHook({ adminAccess: "loopback" }), changesHook(log)]);
  const connection = new FakeConnection("127.0.0.1", 4444);
  const ext = { topic: "orders", long: "x".repeat(1000) };
  for (const code of codes) await rig.ask(code, { ext, connection });
  const fields = { topic: "orders", long: "x".repeat(200) };
  expect(seen).toEqual([
    { request: "UPDATE_AND_CREATE_TOPIC", client: "127.0.0.1:4444", fields },
    { request: "DELETE_TOPIC_IN_BROKER", client: "127.0.0.1:4444", fields },
    { request: "INVOKE_BROKER_TO_RESET_OFFSET", client: "127.0.0.1:4444", fields },
  ]);
  // Who is refused changes nothing.
  await rig.ask(DELETE_TOPIC_IN_BROKER, { ext, connection: new FakeConnection("10.0.0.9") });
  expect(seen).toHaveLength(3);
});
