import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { topicHandlers } from "../../../src/processors/topics.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import { Rig } from "./rig.ts";

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.open();
  rig.serve(topicHandlers(rig));
});

afterEach(() => rig.close());

const header = (topic: string, given: object = {}) => ({
  topic,
  defaultTopic: "TBW102",
  readQueueNums: "4",
  writeQueueNums: "8",
  perm: "6",
  topicFilterType: "SINGLE_TAG",
  topicSysFlag: "0",
  order: "false",
  ...given,
});
const make = (topic: string, given: object = {}) =>
  rig.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, { ext: header(topic, given) });
const show = (topic: string) => rig.ask(RequestCode.GET_TOPIC_CONFIG, { ext: { topic, lo: "true" } });

test("a topic is made, shown, changed and deleted", async () => {
  expect((await show("orders")).code).toBe(ResponseCode.TOPIC_NOT_EXIST);
  expect((await make("orders", { attributes: "+message.type=FIFO" })).code).toBe(ResponseCode.SUCCESS);
  expect((await show("orders")).text).toBe(
    '{"attributes":{"message.type":"FIFO"},"order":false,"perm":6,"readQueueNums":4,' +
      '"topicFilterType":"SINGLE_TAG","topicName":"orders","topicSysFlag":0,"writeQueueNums":8}',
  );
  await make("orders", { readQueueNums: "2", order: "true" });
  expect((await show("orders")).json).toMatchObject({
    readQueueNums: 2,
    order: true,
    attributes: { "message.type": "FIFO" },
  });
  rig.put("orders", 1, 3);
  rig.offsets.commit("readers", "orders", 1, 2);
  const gone = await rig.ask(RequestCode.DELETE_TOPIC_IN_BROKER, { ext: { topic: "orders" } });
  expect(gone.code).toBe(ResponseCode.SUCCESS);
  expect((await show("orders")).code).toBe(ResponseCode.TOPIC_NOT_EXIST);
  expect(rig.store.topics()).not.toContain("orders");
  expect(rig.offsets.topicsOf("readers")).toEqual([]);
});

/** A promise, and what resolves it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Makes the store's removal of queues wait, as a slow disk does: `begun` when it is asked for, and `end` lets it go on. */
function slowRemoval(): { readonly begun: Promise<void>; readonly end: () => void } {
  const [asked, free] = [gate(), gate()];
  const remove = rig.store.deleteTopic.bind(rig.store);
  vi.spyOn(rig.store, "deleteTopic").mockImplementation(async (topic) => {
    asked.open();
    await free.opened;
    return await remove(topic);
  });
  return { begun: asked.opened, end: free.open };
}

const remove = (topic: string) => rig.ask(RequestCode.DELETE_TOPIC_IN_BROKER, { ext: { topic } });
/** As many messages as are acknowledged for a topic from now on stand in it, however it came to be there again. */
async function sendTo(topic: string): Promise<void> {
  if ((await rig.topics.createForSend(topic, "TBW102", 4, 0)) !== undefined) rig.put(topic, 0);
}

test("a topic that is sent to while it is deleted is made again when nothing of the old one is left", async () => {
  await rig.topic("orders");
  rig.put("orders", 0, 3);
  const removal = slowRemoval();
  const gone = remove("orders");
  await removal.begun;
  expect(rig.topics.get("orders")).toBeUndefined();
  const sent = [sendTo("orders"), sendTo("orders")];
  const made = make("orders", { writeQueueNums: "7" });
  // Whatever was to be written of topics so far is on the disk then.
  await rig.topic("another");
  expect(rig.topics.get("orders")).toBeUndefined();
  removal.end();
  expect((await gone).code).toBe(ResponseCode.SUCCESS);
  await Promise.all(sent);
  expect((await made).code).toBe(ResponseCode.SUCCESS);
  expect(rig.topics.get("orders")?.writeQueueNums).toBe(7);
  expect(rig.store.offsets("orders", 0)).toMatchObject({ min: 3, max: 5 });
});

test("a topic that is sent to as soon as it is gone from memory keeps what is acknowledged then", async () => {
  await rig.topic("orders");
  rig.put("orders", 0, 3);
  const removal = slowRemoval();
  const gone = remove("orders");
  while (rig.topics.get("orders") !== undefined) await new Promise((resolve) => setImmediate(resolve));
  const sent = [sendTo("orders"), sendTo("orders")];
  await removal.begun;
  await rig.topic("another");
  removal.end();
  await Promise.all([gone, ...sent]);
  expect(rig.topics.get("orders")).toBeDefined();
  expect(rig.store.offsets("orders", 0)).toMatchObject({ min: 3, max: 5 });
});

test("a topic that is deleted twice at once is gone, and so are all its messages", async () => {
  await rig.topic("orders");
  rig.put("orders", 0, 3);
  const removal = slowRemoval();
  const [first, second] = [remove("orders"), remove("orders")];
  await removal.begun;
  removal.end();
  expect([(await first).code, (await second).code]).toEqual([ResponseCode.SUCCESS, ResponseCode.SUCCESS]);
  expect(rig.topics.get("orders")).toBeUndefined();
  expect(rig.store.topics()).not.toContain("orders");
  await sendTo("orders");
  expect(rig.store.offsets("orders", 0)).toMatchObject({ min: 3, max: 4 });
});

test("a topic whose queues could not be removed can be made again, and deleted", async () => {
  await rig.topic("orders");
  rig.put("orders", 0, 3);
  const changed: string[] = [];
  rig.topics.onChange((topics) => void changed.push(...topics));
  vi.spyOn(rig.store, "deleteTopic").mockRejectedValueOnce(new Error("the disk is full"));
  expect((await remove("orders")).code).toBe(ResponseCode.SYSTEM_ERROR);
  // Whoever knows routes does not offer it any more.
  expect(changed).toEqual(["orders"]);
  await sendTo("orders");
  expect(rig.store.offsets("orders", 0)).toMatchObject({ min: 0, max: 4 });
  expect((await remove("orders")).code).toBe(ResponseCode.SUCCESS);
  expect(rig.store.topics()).not.toContain("orders");
});

test("what POP consumers left of a topic goes with it", async () => {
  await rig.topic("orders");
  await rig.topic("%RETRY%readers_orders", 1);
  rig.offsets.commit("readers", "orders", 0, 0);
  await rig.ask(RequestCode.DELETE_TOPIC_IN_BROKER, { ext: { topic: "orders" } });
  expect(rig.topics.get("%RETRY%readers_orders")).toBeUndefined();
});

test("the version goes on with changes only", async () => {
  await make("orders");
  const { counter } = rig.topics.version;
  await make("orders");
  expect(rig.topics.version.counter).toBe(counter);
  await make("orders", { perm: "4" });
  expect(rig.topics.version.counter).toBe(counter + 1);
});

test("names that no topic has, and those of the broker's own, are refused", async () => {
  for (const topic of ["", "a b", "x".repeat(128), "TBW102", "SCHEDULE_TOPIC_XXXX", "rmq_sys_mine", "broker-a"]) {
    expect((await make(topic)).code).toBe(ResponseCode.INVALID_PARAMETER);
  }
  for (const topic of ["", " ", "TBW102", "broker-a"]) {
    const answer = await rig.ask(RequestCode.DELETE_TOPIC_IN_BROKER, { ext: { topic } });
    expect(answer.code).toBe(ResponseCode.INVALID_PARAMETER);
  }
  expect(rig.topics.get("TBW102")).toBeDefined();
});

test.each([
  ["+message.type=MIXED", ResponseCode.INVALID_PARAMETER],
  ["message.type=FIFO", ResponseCode.SYSTEM_ERROR],
  ["+message.type", ResponseCode.SYSTEM_ERROR],
  ["+message.type=", ResponseCode.SYSTEM_ERROR],
  ["+message.type=ODD", ResponseCode.SYSTEM_ERROR],
  ["+color=red", ResponseCode.SYSTEM_ERROR],
  ["-message.type", ResponseCode.SYSTEM_ERROR],
  ["+message.type=FIFO,+message.type=DELAY", ResponseCode.SYSTEM_ERROR],
  ["+cleanup.policy=COMPACTION", ResponseCode.SYSTEM_ERROR],
  ["+reserve.time=5", ResponseCode.SYSTEM_ERROR],
])("a topic is not made with the attributes %s", async (attributes, code) => {
  expect((await make("orders", { attributes })).code).toBe(code);
  expect(rig.topics.get("orders")).toBeUndefined();
});

test("attributes of a topic that is there: changed and taken away, as far as they may be", async () => {
  await make("orders", { attributes: "+queue.type=BatchCQ,+message.type=FIFO" });
  expect((await make("orders", { attributes: "+queue.type=SimpleCQ" })).code).toBe(ResponseCode.SYSTEM_ERROR);
  expect((await make("orders", { attributes: "+message.type=DELAY" })).code).toBe(ResponseCode.SUCCESS);
  expect(rig.topics.get("orders")?.attributes).toEqual({ "queue.type": "BatchCQ", "message.type": "DELAY" });
  expect((await make("orders", { attributes: "-message.type" })).code).toBe(ResponseCode.SUCCESS);
  expect(rig.topics.get("orders")?.attributes).toEqual({ "queue.type": "BatchCQ" });
});

test("a topic has a number of queues that can be listed", async () => {
  for (const given of [{ readQueueNums: "-1" }, { writeQueueNums: "2147483647" }, { topicFilterType: "ODD" }]) {
    expect((await make("orders", given)).code).not.toBe(ResponseCode.SUCCESS);
  }
  expect(rig.topics.get("orders")).toBeUndefined();
});

test("many topics are made in one request, all or none", async () => {
  const list = (topicConfigList: readonly object[]) =>
    rig.ask(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, { body: { topicConfigList } });
  const bad = await list([{ topicName: "one" }, { topicName: "TBW102" }]);
  expect(bad.code).toBe(ResponseCode.INVALID_PARAMETER);
  expect(rig.topics.get("one")).toBeUndefined();
  await rig.topic("zero", 16);
  const three = { topicName: "three", attributes: { "+message.type": "FIFO" } };
  expect((await list([{ topicName: "zero" }, { topicName: "two", perm: 4 }, three])).code).toBe(ResponseCode.SUCCESS);
  expect(rig.topics.get("two")).toMatchObject({ readQueueNums: 16, perm: 4 });
  expect(rig.topics.get("three")?.attributes).toEqual({ "message.type": "FIFO" });
});

interface TopicPage {
  readonly topicConfigTable: Record<string, object>;
  readonly dataVersion: object;
}

test("all topics are listed, or a page of them", async () => {
  for (const name of ["a1", "a2", "a3"]) await rig.topic(name);
  const all = await rig.ask(RequestCode.GET_ALL_TOPIC_CONFIG);
  const total = [...rig.topics.all()].length;
  expect(all.ext).toEqual({ totalTopicNum: total });
  const { topicConfigTable, dataVersion } = all.json as TopicPage;
  expect(Object.keys(topicConfigTable).length).toBe(total);
  expect(dataVersion).toEqual(rig.topics.version);

  const page = async (ext: object) => {
    const answer = await rig.ask(RequestCode.GET_ALL_TOPIC_CONFIG, { ext: { ...ext } });
    expect(answer.ext).toEqual({ totalTopicNum: total });
    return Object.keys((answer.json as TopicPage).topicConfigTable).sort();
  };
  const names = Object.keys(topicConfigTable).sort();
  const current = JSON.stringify(rig.topics.version);
  expect(await page({ topicSeq: "0", maxTopicNum: "2", dataVersion: current })).toEqual(names.slice(0, 2));
  expect(await page({ topicSeq: "2", maxTopicNum: "3", dataVersion: current })).toEqual(names.slice(2, 5));
  expect(await page({ topicSeq: String(total), maxTopicNum: "3", dataVersion: current })).toEqual([]);
  for (const dataVersion of ['{"counter":0}', "", "{", "7"]) {
    expect(await page({ topicSeq: "2", maxTopicNum: "3", dataVersion })).toEqual(names.slice(0, 3));
  }
});

test("how the queues of a topic stand", async () => {
  await make("orders", { readQueueNums: "1", writeQueueNums: "2" });
  rig.put("orders", 1, 3);
  const time = rig.store.timeOf("orders", 1, 2);
  const answer = await rig.ask(RequestCode.GET_TOPIC_STATS_INFO, { ext: { topic: "orders" } });
  expect(answer.text).toBe(
    `{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:` +
      `{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0},` +
      `{"brokerName":"broker-a","queueId":1,"topic":"orders"}:` +
      `{"lastUpdateTimestamp":${time},"maxOffset":3,"minOffset":0}},"topicPutTps":0}`,
  );
  const missing = await rig.ask(RequestCode.GET_TOPIC_STATS_INFO, { ext: { topic: "bills" } });
  expect(missing.code).toBe(ResponseCode.TOPIC_NOT_EXIST);
});

test("topics of the broker's own are listed", async () => {
  const { topicList } = (await rig.ask(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER)).json as { topicList: string[] };
  expect(topicList).toEqual(expect.arrayContaining(["TBW102", "SCHEDULE_TOPIC_XXXX", "broker-a", "DefaultCluster"]));
  expect(new Set(topicList).size).toBe(topicList.length);
  expect(topicList).not.toContain("rmq_sys_wheel_timer");
});
