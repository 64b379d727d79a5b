/** Topics that come by themselves, and that get other queues. */
import assert from "node:assert/strict";
import { JAVA, RUST, type Scenario } from "./scenario.ts";
import { eventually, refusal } from "./scene.ts";
import { allSent } from "./sends.ts";

export const topics: readonly Scenario[] = [
  {
    name: "topic-comes-by-itself",
    core: true,
    async run(scene) {
      const topic = scene.name("new");
      const producer = await scene.producer({ topicQueues: 3 });
      const sent = await scene.send(producer, topic, [{ body: "first" }]);
      allSent(sent);
      await scene.routed(topic);
      const config = JSON.parse((await scene.raw(351, { topic })).body ?? "{}");
      const stored = await scene.stored(topic, config.readQueueNums);
      assert.equal(stored[0]?.body, "first");
      return config;
    },
  },
  {
    name: "topic-does-not-come",
    core: false,
    own: { autoCreateTopicEnable: false },
    async run(scene) {
      const producer = await scene.producer({ retries: 0 });
      const [sent] = await scene.send(producer, scene.name("new"), [{ body: "first" }]);
      assert.equal(sent?.status, undefined);
      const answer = await scene.raw(351, { topic: scene.name("new") });
      assert.equal(answer.code, 17);
      const named = await scene.topic("made", 1);
      allSent(await scene.send(producer, named, [{ body: "x" }]));
      return { error: refusal(scene, sent), answer };
    },
  },
  {
    name: "topic-queues-change",
    core: false,
    // Go's client does not tell which queues it sends to.
    clients: [...JAVA, RUST],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer({ pollNameServerMs: 1000 });
      allSent(await scene.send(producer, topic, [{ body: "a" }]));
      const queues = async (): Promise<number> => {
        const { queues: all } = await scene.client.ask<{ queues: unknown[] }>({
          do: "publishQueues",
          by: producer,
          topic,
        });
        return all.length;
      };
      const consumer = await scene.consumer(topic);
      await scene.topic("topic", 6);
      await eventually(queues, (count) => count === 6);
      const messages = [0, 1, 2, 3, 4, 5].map((n) => ({ body: `queue ${n}` }));
      for (const [n, message] of messages.entries())
        allSent(await scene.send(producer, topic, [message], { queue: scene.queue(topic, n) }));
      // The consumer looks for new queues every half minute.
      await scene.until([consumer], (all) => all.length >= 7, 90_000);
      await scene.topic("topic", 2);
      await eventually(queues, (count) => count === 2);
      const [gone] = await scene.send(producer, topic, [{ body: "x" }], { queue: scene.queue(topic, 5) });
      return { gone: refusal(scene, gone) };
    },
  },
];
