/** What is refused, and with which words. */
import assert from "node:assert/strict";
import type { Sent } from "../clients/driver.ts";
import { RUST, type Scenario } from "./scenario.ts";
import { type RawAnswer, refusal, type Scene } from "./scene.ts";

/** Fields of a send by code, in their short names. */
const send = (topic: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  ...{
    a: "raw-producer",
    b: topic,
    c: "TBW102",
    d: 4,
    e: 0,
    f: 0,
    g: 1_700_000_000_000,
    h: 0,
    i: "UNIQ_KEY\u00017F0000010BAD00000000000000000001\u0002",
    j: 0,
    k: false,
    m: false,
  },
  ...more,
});

const pull = (group: string, topic: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  ...{ consumerGroup: group, topic, queueId: 0, queueOffset: 0, maxMsgNums: 32, sysFlag: 4, commitOffset: 0 },
  ...{ suspendTimeoutMillis: 1000, subscription: "*", subVersion: 0, expressionType: "TAG", ...more },
});

/** A group that exists: made by its heartbeat's first offset question or by code 200. */
async function group(scene: Scene): Promise<string> {
  const name = scene.name("group");
  const config = {
    groupName: name,
    consumeEnable: true,
    consumeFromMinEnable: true,
    consumeBroadcastEnable: false,
    retryQueueNums: 1,
    retryMaxTimes: 16,
    brokerId: 0,
    whichBrokerWhenConsumeSlowly: 1,
    notifyConsumerIdsChangedEnable: true,
  };
  assert.equal((await scene.raw(200, {}, { body: JSON.stringify(config) })).code, 0);
  return name;
}

/** Pulls that bring no subscription of their own, after a heartbeat has brought version 7 of it. */
async function afterHeartbeat(scene: Scene, of: string, topic: string): Promise<Record<string, unknown>> {
  const subscription = { topic, subString: "*", expressionType: "TAG", subVersion: 7, tagsSet: [], codeSet: [] };
  const consumer = {
    groupName: of,
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    subscriptionDataSet: [{ ...subscription, classFilterMode: false }],
    unitMode: false,
  };
  const body = { clientID: `${of}@1`, producerDataSet: [], consumerDataSet: [consumer] };
  assert.equal((await scene.raw(34, {}, { body: JSON.stringify(body) })).code, 0);
  const plain = (subVersion: number): Promise<RawAnswer> => scene.raw(11, pull(of, topic, { sysFlag: 0, subVersion }));
  return { known: await plain(7), notLatest: await plain(8) };
}

/** The value of a queue chosen at random is not compared. */
const withoutPlace = ({ fields, ...rest }: RawAnswer): unknown => ({
  ...rest,
  fields: Object.keys(fields ?? {}).sort(),
});

export const refusals: readonly Scenario[] = [
  {
    name: "refused-sends",
    core: true,
    clients: ["java-5.4.0"],
    async run(scene) {
      const topic = await scene.topic("topic", 4);
      const body = { body: "x" };
      const answer = (fields: Record<string, unknown>, more: object = body, code = 310): Promise<RawAnswer> =>
        scene.raw(code, fields, more as Record<string, unknown>);
      return {
        good: withoutPlace(await answer(send(topic))),
        anyQueue: withoutPlace(await answer(send(topic, { e: -1 }))),
        queueTooHigh: await answer(send(topic, { e: 4 })),
        unknownTopic: await answer(send(scene.name("unknown"), { c: "no-such-default" })),
        illegalName: await answer(send("not allowed!")),
        emptyName: await answer(send("")),
        longName: await answer(send("t".repeat(128))),
        systemTopic: await answer(send("SCHEDULE_TOPIC_XXXX")),
        halfTopic: await answer(send("RMQ_SYS_TRANS_HALF_TOPIC")),
        longProperties: await answer(send(topic, { i: `a\u0001${"x".repeat(33_000)}\u0002` })),
        noTopic: await answer({ a: "raw-producer" }),
        notANumber: await answer(send(topic, { e: "seven" })),
        noBody: await answer(send(topic), {}),
        tooLarge: await answer(send(topic), { bytes: Buffer.alloc(4 * 1024 * 1024 + 1).toString("base64") }),
        retryOfUnknownGroup: await answer(send(`%RETRY%${scene.name("unknown-group")}`)),
        batchToRetry: await answer(send(`%RETRY%${scene.name("unknown-group")}`, { m: true }), body, 320),
        longFormat: withoutPlace(
          await answer(
            {
              producerGroup: "p",
              topic,
              defaultTopic: "TBW102",
              defaultTopicQueueNums: 4,
              queueId: 1,
              sysFlag: 0,
              bornTimestamp: 1,
              flag: 0,
              properties: "",
              reconsumeTimes: 0,
            },
            body,
            10,
          ),
        ),
        deliverPast: withoutPlace(await answer(send(topic, { i: "TIMER_DELIVER_MS\u00011000\u0002" }))),
        timerNotANumber: await answer(send(topic, { i: "TIMER_DELAY_MS\u0001soon\u0002" })),
        timerTooFar: await answer(send(topic, { i: "TIMER_DELAY_SEC\u00019999999\u0002" })),
      };
    },
  },
  {
    name: "refused-pulls",
    core: true,
    clients: ["java-5.4.0"],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const known = await group(scene);
      return {
        unknownTopic: await scene.raw(11, pull(known, scene.name("unknown"))),
        illegalGroup: await scene.raw(11, pull("not allowed!", topic)),
        queueTooHigh: await scene.raw(11, pull(known, topic, { queueId: 2 })),
        negativeQueue: await scene.raw(11, pull(known, topic, { queueId: -1 })),
        noSubscription: await scene.raw(11, pull(known, topic, { sysFlag: 0 })),
        badExpression: await scene.raw(11, pull(known, topic, { subscription: "||" })),
        sql: await scene.raw(11, pull(known, topic, { subscription: "a > 1", expressionType: "SQL92" })),
        unknownExpressionType: await scene.raw(11, pull(known, topic, { subscription: "a", expressionType: "OTHER" })),
        empty: await scene.raw(11, pull(known, topic)),
        noField: await scene.raw(11, { consumerGroup: known, topic }),
        lite: await scene.raw(361, pull(known, topic)),
        beyond: await scene.raw(11, pull(known, topic, { queueOffset: 5 })),
        ...(await afterHeartbeat(scene, known, topic)),
      };
    },
  },
  {
    name: "refused-others",
    core: true,
    clients: ["java-5.4.0"],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const known = await group(scene);
      const unknown = scene.name("unknown");
      return {
        unknownCode: await scene.raw(7777),
        sendBackUnknownGroup: await scene.raw(36, {
          offset: 0,
          group: "not allowed!",
          delayLevel: 0,
          originMsgId: "x",
          originTopic: topic,
          unitMode: false,
          maxReconsumeTimes: 16,
        }),
        sendBackNoMessage: await scene.raw(36, {
          offset: 999_999_999,
          group: known,
          delayLevel: 0,
          originMsgId: "x",
          originTopic: topic,
          unitMode: false,
          maxReconsumeTimes: 16,
        }),
        viewNothing: await scene.raw(33, { offset: 999_999_999 }),
        queryNothing: await scene
          .raw(12, { topic, key: "nobody", maxNum: 32, beginTimestamp: 0, endTimestamp: 9_999_999_999_999 })
          .then(({ fields, ...rest }) => ({ ...rest, fields: Object.keys(fields ?? {}).sort() })),
        noConsumers: await scene.raw(38, { consumerGroup: unknown }),
        noConsumerConnection: await scene.raw(203, { consumerGroup: unknown }),
        noProducerConnection: await scene.raw(204, { producerGroup: unknown }),
        noTopicStats: await scene.raw(202, { topic: unknown }),
        noTopicConfig: await scene.raw(351, { topic: unknown }),
        noGroupConfig: await scene.raw(352, { group: unknown }),
        topicBadName: await scene.raw(17, {
          topic: "not allowed!",
          defaultTopic: "TBW102",
          readQueueNums: 1,
          writeQueueNums: 1,
          perm: 6,
          topicFilterType: "SINGLE_TAG",
          order: false,
        }),
        topicSystem: await scene.raw(17, {
          topic: "TBW102",
          defaultTopic: "TBW102",
          readQueueNums: 1,
          writeQueueNums: 1,
          perm: 6,
          topicFilterType: "SINGLE_TAG",
          order: false,
        }),
        topicBadAttribute: await scene.raw(17, {
          topic: scene.name("bad-attribute"),
          defaultTopic: "TBW102",
          readQueueNums: 1,
          writeQueueNums: 1,
          perm: 6,
          topicFilterType: "SINGLE_TAG",
          order: false,
          attributes: "+no.such=1",
        }),
        deleteUnknownTopic: await scene.raw(215, { topic: unknown }),
        deleteSystemTopic: await scene.raw(215, { topic: "TBW102" }),
        deleteUnknownGroup: await scene.raw(207, { groupName: unknown, cleanOffset: true }),
        resetUnknownTopic: await scene.raw(222, { topic: unknown, group: known, timestamp: -1, isForce: true }),
        resetUnknownGroup: await scene.raw(222, { topic, group: unknown, timestamp: -1, isForce: true }),
        runningInfoOffline: await scene.raw(307, { consumerGroup: unknown, clientId: "nobody", jstackEnable: false }),
        minOffset: await scene.raw(31, { topic, queueId: 0 }),
        earliest: await scene.raw(32, { topic, queueId: 0 }),
        recall: await scene.raw(370, { producerGroup: "p", topic, recallHandle: "x" }),
        route: await scene.ask<RawAnswer>(scene.hand, { do: "raw", code: 105, fields: { topic: unknown } }),
      };
    },
  },
  {
    name: "not-yet",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      // The program around Rust's client has no producer of transactions.
      const transactional =
        scene.clientName === RUST
          ? undefined
          : await scene.producer({ group: scene.name("transactional"), transactional: true, retries: 0 });
      const producer = await scene.producer({ retries: 0 });
      const half = [{ body: "transaction" }];
      const transactions =
        transactional === undefined ? [] : await scene.send(transactional, topic, half, { mode: "transaction" });
      const later = [{ body: "timer", properties: { TIMER_DELAY_MS: "600000" } }];
      const timers = await scene.send(producer, topic, later);
      const stored = await scene.stored(topic, 1);
      // A timer that is not due must never be seen as a plain message, whether it is kept or refused.
      assert.ok(!stored.some(({ body }) => body === "timer"));
      const isCommitted = transactions.some(({ status }) => status === "SEND_OK");
      assert.ok(isCommitted || !stored.some(({ body }) => body === "transaction"));
      const shown = (all: readonly Sent[]): unknown =>
        all.map(({ status, error }) => status ?? error?.map(({ code }) => code));
      return { transaction: shown(transactions), timer: shown(timers) };
    },
  },
  {
    name: "client-errors",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer({
        maxMessageSize: 50_000_000,
        compressOver: 50_000_000,
        retries: 1,
        timeoutMs: 15_000,
      });
      const [large] = await scene.send(producer, topic, [{ body: "0123456789abcdef", bodyTimes: 262_145 }]);
      const [name] = await scene.send(producer, "not allowed!", [{ body: "x" }]);
      return { large: refusal(scene, large), name: refusal(scene, name) };
    },
  },
];
