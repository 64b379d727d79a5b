/** Pull consumers, and what is asked of offsets. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Received } from "../clients/driver.ts";
import { GO, JAVA, RUST, type Scenario } from "./scenario.ts";
import { eventually, type Pulled, type Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

const bodies = (messages: readonly Received[]): (string | undefined)[] => messages.map(({ body }) => body);
const short = ({ status, nextBeginOffset, minOffset, maxOffset, messages }: Pulled): unknown => ({
  ...{ status, nextBeginOffset, minOffset, maxOffset },
  messages: bodies(messages),
});

/** Ten messages of one queue, every other one tagged A. */
async function tenOf(scene: Scene, topic: string): Promise<void> {
  const producer = await scene.producer();
  const messages = Array.from({ length: 10 }, (_, i) => ({ body: String(i), tags: i % 2 === 0 ? "A" : "B" }));
  allSent(await scene.send(producer, topic, messages, { queue: scene.queue(topic, 0) }));
}

/** Polls until `count` messages came. */
async function poll(scene: Scene, lite: string, count: number): Promise<Received[]> {
  const all: Received[] = [];
  await eventually(
    async () => {
      const { messages } = await scene.client.ask<{ messages: Received[] }>({ do: "poll", by: lite, timeoutMs: 1000 });
      all.push(...messages);
      return all.length;
    },
    (length) => length >= count,
  );
  return all;
}

export const pulls: readonly Scenario[] = [
  {
    name: "pull-results",
    core: true,
    clients: JAVA,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      await tenOf(scene, topic);
      const puller = await scene.start("puller", {});
      const queue = scene.queue(topic, 0);
      const pull = async (offset: number, options = {}, of = queue): Promise<unknown> =>
        short(await scene.pull(puller, of, offset, options));
      return {
        all: await pull(0),
        some: await pull(3, { max: 4 }),
        filtered: await pull(0, { expression: "A" }),
        noMatch: await pull(0, { expression: "C" }),
        atEnd: await pull(10),
        beyond: await pull(11),
        farBeyond: await pull(1000),
        never: await pull(0, {}, scene.queue(topic, 1)),
        neverBeyond: await pull(5, {}, scene.queue(topic, 1)),
      };
    },
  },
  {
    name: "pull-from",
    core: false,
    // Go's client holds every pull that finds nothing, for twenty seconds.
    clients: [GO],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      await tenOf(scene, topic);
      const producer = await scene.producer({ group: scene.name("late") });
      const queue = scene.queue(topic, 0);
      const start = (of: string, expression: string): Promise<string> =>
        scene.start("puller", { topic, expression, group: scene.name(of) });
      const puller = await start("everything", "*");
      const pull = async (offset: number, options = {}, of = queue, by = puller): Promise<unknown> =>
        short(await scene.pull(by, of, offset, options));
      const never = pull(0, {}, scene.queue(topic, 1));
      const facts = {
        all: await pull(0),
        some: await pull(3, { max: 4 }),
        filtered: await pull(0, {}, queue, await start("some", "A")),
        noMatch: await pull(0, {}, queue, await start("none", "C")),
        beyond: await pull(11),
        farBeyond: await pull(1000),
      };
      const began = Date.now();
      const held = pull(10);
      await sleep(1000);
      allSent(await scene.send(producer, topic, [{ body: "late" }], { queue }));
      const woken = await held;
      const waited = Date.now() - began;
      assert.ok(waited >= 1000 && waited < 5000, `answered after ${waited} ms`);
      return { ...facts, woken, never: await never };
    },
  },
  {
    name: "poll-and-acknowledge",
    core: false,
    clients: [GO],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      await tenOf(scene, topic);
      const producer = await scene.producer({ group: scene.name("failing") });
      allSent(await scene.send(producer, topic, [{ body: "fails", tags: "F" }], { queue: scene.queue(topic, 1) }));
      const puller = await scene.start("puller", { topic, maxReconsumeTimes: 16 });
      const polled: Received[] = [];
      await eventually(
        async () => {
          const command = { do: "poll", by: puller, timeoutMs: 1000, fail: { F: 1 } };
          polled.push(...(await scene.client.ask<{ messages: Received[] }>(command)).messages);
          return polled.length;
        },
        (length) => length >= 11,
      );
      const committed = await eventually(
        () => scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 0 }),
        ({ fields }) => fields?.offset === "10",
      );
      // What failed is given back and waits for ten seconds; that its retry topic is there this client does not see.
      const retry = `%RETRY%${scene.name("group")}`;
      await scene.routed(retry);
      const again = await eventually(
        () => scene.stored(retry, 1),
        (stored) => stored.length > 0,
      );
      return { polled: bodies(polled).sort(), committed, again };
    },
  },
  {
    name: "held-pull",
    core: true,
    clients: JAVA,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      await tenOf(scene, topic);
      const producer = await scene.producer({ group: scene.name("late") });
      const puller = await scene.start("puller", {});
      const queue = scene.queue(topic, 0);
      await scene.pull(puller, queue, 0);
      const began = Date.now();
      const held = scene.pull(puller, queue, 10, { block: true });
      await sleep(1000);
      allSent(await scene.send(producer, topic, [{ body: "late" }], { queue }));
      const pulled = await held;
      const waited = Date.now() - began;
      assert.ok(waited >= 1000 && waited < 5000, `answered after ${waited} ms`);
      return short(pulled);
    },
  },
  {
    name: "offsets",
    core: true,
    clients: [...JAVA, RUST],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer({ group: scene.name("asking") });
      const queue = scene.queue(topic, 0);
      const before = Date.now();
      await sleep(20);
      allSent(await scene.send(producer, topic, [{ body: "a" }, { body: "b" }], { queue }));
      await sleep(50);
      const between = Date.now();
      await sleep(50);
      allSent(await scene.send(producer, topic, [{ body: "c" }], { queue }));
      await sleep(50);
      const ask = (timestamp: number, of = queue): Promise<unknown> =>
        scene.client
          .ask<Record<string, unknown>>({ do: "offsets", by: producer, ...of, timestamp })
          .then(({ id, kind, ...rest }) => rest);
      return {
        before: await ask(before),
        between: await ask(between),
        after: await ask(Date.now()),
        future: await ask(Date.now() + 100_000),
        never: await ask(before, scene.queue(topic, 1)),
        upper: await scene.raw(29, { topic, queueId: 0, timestamp: between, boundaryType: "UPPER" }),
        unknownTopic: await scene.raw(30, { topic: scene.name("unknown"), queueId: 0 }),
      };
    },
  },
  {
    name: "committed",
    core: true,
    clients: JAVA,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      await tenOf(scene, topic);
      const puller = await scene.start("puller", {});
      const group = scene.name("group");
      await scene.pull(puller, scene.queue(topic, 0), 0);
      const query = (more = {}): Promise<unknown> =>
        scene.raw(14, { consumerGroup: group, topic, queueId: 0, ...more });
      const before = await query({ setZeroIfNotFound: false });
      const zero = await query();
      await scene.client.ask({ do: "commit", by: puller, ...scene.queue(topic, 0), offset: 7 });
      const { offset } = await scene.client.ask<{ offset: number }>({
        do: "committed",
        by: puller,
        ...scene.queue(topic, 0),
      });
      assert.equal(offset, 7);
      const backwards = await scene.raw(15, { consumerGroup: group, topic, queueId: 0, commitOffset: 3 });
      return {
        ...{ before, zero, committed: offset, backwards },
        afterwards: await query(),
        unknownGroup: await scene.raw(15, { consumerGroup: scene.name("unknown"), topic, queueId: 0, commitOffset: 3 }),
        unknownTopic: await scene.raw(15, {
          consumerGroup: group,
          topic: scene.name("unknown"),
          queueId: 0,
          commitOffset: 3,
        }),
        noQueue: await scene.raw(15, { consumerGroup: group, topic, commitOffset: 3 }),
      };
    },
  },
  {
    name: "lite-assign",
    core: true,
    clients: [...JAVA, RUST],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      await tenOf(scene, topic);
      const queue = scene.queue(topic, 0);
      const lite = await scene.start("lite", { assign: [queue] });
      await scene.client.ask({ do: "seek", by: lite, ...queue, to: "begin" });
      const all = await poll(scene, lite, 10);
      await scene.client.ask({ do: "commit", by: lite });
      const committed = await eventually(
        () => scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 0 }),
        ({ fields }) => fields?.offset === "10",
      );
      await scene.client.ask({ do: "seek", by: lite, ...queue, to: 6 });
      const again = await poll(scene, lite, 4);
      return { all: bodies(all), committed, again: bodies(again) };
    },
  },
  {
    name: "lite-subscribe",
    core: true,
    clients: [...JAVA, RUST],
    async run(scene) {
      const topic = await scene.topic("topic", 4);
      await tenOf(scene, topic);
      const lite = await scene.start("lite", { topic, expression: "B" });
      const first = await poll(scene, lite, 5);
      assert.deepEqual(bodies(first), ["1", "3", "5", "7", "9"]);
      await scene.client.ask({ do: "commit", by: lite });
      await eventually(
        () => scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 0 }),
        ({ fields }) => fields?.offset === "10",
      );
      const { queues } = await scene.client.ask<{ queues: unknown[] }>({ do: "queues", by: lite, topic });
      return { first: bodies(first), queues: queues.length };
    },
  },
];
