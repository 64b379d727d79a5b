/** Push consumers: sharing, broadcasting, filters, where they begin and go on. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Consumed } from "../clients/driver.ts";
import { JAVA, type Scenario } from "./scenario.ts";
import { eventually, type Scene } from "./scene.ts";
import { allSent, byPlace } from "./sends.ts";

const numbered = (count: number, from = 0): { body: string }[] =>
  Array.from({ length: count }, (_, i) => ({ body: String(from + i) }));

export const bodiesOf = (consumed: readonly Consumed[]): (string | undefined)[] =>
  consumed.map(({ message }) => message.body);

/** The same bodies, in any order. */
function sameBodies(consumed: readonly Consumed[], sent: readonly { body: string }[]): void {
  assert.deepEqual(bodiesOf(consumed).sort(), sent.map(({ body }) => body).sort());
}

/** Queues of which this consumer got something. */
const queuesOf = (consumed: readonly Consumed[], consumer: string): number[] =>
  [...new Set(consumed.filter((c) => c.consumer === consumer).map(({ message }) => message.queueId))].sort();

/** Sends 4 rounds of a message to each of 8 queues until the shares of the consumers are as they must be. */
async function untilShared(
  scene: Scene,
  producer: string,
  topic: string,
  consumers: readonly string[],
  right: (shares: number[][]) => boolean,
): Promise<number[][]> {
  let sent = 0;
  return eventually(
    async () => {
      const before = scene.client.consumed(...consumers).length;
      for (let queueId = 0; queueId < 8; queueId++) {
        allSent(await scene.send(producer, topic, [{ body: `round ${sent}` }], { queue: scene.queue(topic, queueId) }));
      }
      sent += 8;
      const consumed = await scene.until(consumers, (all) => all.length >= before + 8, 60_000);
      const round = consumed.slice(before);
      return consumers.map((consumer) => queuesOf(round, consumer));
    },
    right,
    60_000,
  );
}

export const consuming: readonly Scenario[] = [
  {
    name: "push-fields",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      const messages = [{ body: "a", tags: "TagA", keys: "k1 k2", properties: { colour: "blue" } }, { body: "b" }];
      allSent(await scene.send(producer, topic, messages, { queue: scene.queue(topic, 1) }));
      const consumer = await scene.consumer(topic);
      const consumed = await scene.until([consumer], (all) => all.length >= 2);
      sameBodies(consumed, messages);
      return consumed.map(({ message }) => message).toSorted(byPlace);
    },
  },
  {
    name: "clustering",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 8);
      const producer = await scene.producer();
      const first = await scene.consumer(topic);
      const alone = await untilShared(scene, producer, topic, [first], ([own]) => own?.length === 8);
      const second = await scene.consumer(topic);
      const both = await untilShared(
        scene,
        producer,
        topic,
        [first, second],
        ([a, b]) => a?.length === 4 && b?.length === 4,
      );
      // Apache's broker takes a heartbeat that it handles after its client has gone for a client that is there.
      await sleep(1000);
      await scene.stop(first);
      const left = await untilShared(scene, producer, topic, [second], ([own]) => own?.length === 8);
      return { alone, both: both.map((queues) => queues.length), left };
    },
  },
  {
    name: "broadcasting",
    core: true,
    async run(scene) {
      const topic = await scene.topic();
      const producer = await scene.producer();
      // A broadcasting group begins at the end, and where it is is kept by the client alone.
      const consumers = [
        await scene.consumer(topic, { broadcasting: true }),
        await scene.consumer(topic, { broadcasting: true }),
      ];
      const messages = numbered(20);
      allSent(await scene.send(producer, topic, messages));
      for (const consumer of consumers) sameBodies(await scene.until([consumer], (all) => all.length >= 20), messages);
      const committed = await scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 0 });
      return { committed };
    },
  },
  {
    name: "tags",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      // AaAa and BBBB have one hash code: the broker gives both, the client keeps what it asked for.
      const tags = ["A", "B", "C", undefined, "AaAa", "BBBB"];
      const messages = tags.map((tag) => ({ body: tag ?? "none", ...(tag === undefined ? {} : { tags: tag }) }));
      allSent(await scene.send(producer, topic, messages, { queue: scene.queue(topic, 0) }));
      const or = await scene.consumer(topic, { group: scene.name("or"), expression: "A||C" });
      const colliding = await scene.consumer(topic, { group: scene.name("colliding"), expression: "BBBB" });
      const all = await scene.consumer(topic, { group: scene.name("all") });
      await scene.until([all], (consumed) => consumed.length >= 6);
      await scene.until([or], (consumed) => consumed.length >= 2);
      await scene.until([colliding], (consumed) => consumed.length >= 1);
      await sleep(500);
      const seen = [or, colliding, all].map((consumer) => bodiesOf(scene.client.consumed(consumer)).sort());
      assert.deepEqual(seen, [["A", "C"], ["BBBB"], ["A", "AaAa", "B", "BBBB", "C", "none"]]);
      return seen;
    },
  },
  {
    name: "begin",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const queue = scene.queue(topic, 0);
      allSent(await scene.send(producer, topic, numbered(3), { queue }));
      const groups = { FIRST_OFFSET: "first", LAST_OFFSET: "last", TIMESTAMP: "time" };
      const consumers = await Promise.all(
        Object.entries(groups).map(([from, of]) =>
          scene.consumer(topic, { group: scene.name(of), from, timestamp: "20200101000000" }),
        ),
      );
      for (const consumer of consumers) await scene.until([consumer], (all) => all.length >= 3);
      return consumers.map((consumer) => bodiesOf(scene.client.consumed(consumer)).sort());
    },
  },
  {
    name: "goes-on",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      const first = await scene.consumer(topic);
      allSent(await scene.send(producer, topic, numbered(10), { queue: scene.queue(topic, 0) }));
      await scene.until([first], (all) => all.length >= 10);
      // The last one is shown before its listener has returned.
      await sleep(500);
      // Leaving tells the broker how far it came.
      await scene.stop(first);
      const offset = await eventually(
        () => scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 0 }),
        ({ fields }) => fields?.offset === "10",
      );
      allSent(await scene.send(producer, topic, numbered(5, 10), { queue: scene.queue(topic, 0) }));
      const second = await scene.consumer(topic);
      const consumed = await scene.until([second], (all) => all.length >= 5);
      await sleep(300);
      sameBodies(scene.client.consumed(second), numbered(5, 10));
      return { offset, count: consumed.length };
    },
  },
  {
    name: "consume-batches",
    core: false,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      allSent(await scene.send(producer, topic, numbered(32), { queue: scene.queue(topic, 0) }));
      const consumer = await scene.consumer(topic, { batch: 8 });
      const consumed = await scene.until([consumer], (all) => all.length >= 32);
      sameBodies(consumed, numbered(32));
      assert.deepEqual([...new Set(consumed.map(({ of }) => of))], [8]);
      return consumed.length;
    },
  },
  {
    name: "sql-refused",
    core: true,
    clients: JAVA,
    async run(scene) {
      const topic = await scene.topic();
      const check = {
        clientId: "x@1",
        group: scene.name("group"),
        subscriptionData: { topic, subString: "a > 1", expressionType: "SQL92", subVersion: 1 },
      };
      return scene.raw(46, {}, { body: JSON.stringify(check) });
    },
  },
];
