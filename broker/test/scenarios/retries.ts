/** What fails: later again, and in the end among the dead letters. */
import assert from "node:assert/strict";
import type { Consumed } from "../clients/driver.ts";
import { JAVA, type Scenario } from "./scenario.ts";
import { eventually } from "./scene.ts";
import { allSent } from "./sends.ts";

const tries = (consumed: readonly Consumed[], body: string): number[] =>
  consumed.filter(({ message }) => message.body === body).map(({ message }) => message.reconsumeTimes);

// Go's client looks for the route of its retry topic, which is new here, every half minute.
export const retries: readonly Scenario[] = [
  {
    name: "retry",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      const consumer = await scene.consumer(topic, { fail: { F: 2 }, delayLevel: 1 });
      const messages = [
        { body: "good", tags: "G" },
        { body: "fails", tags: "F", keys: "k", properties: { colour: "blue" } },
      ];
      const sent = await scene.send(producer, topic, messages, { queue: scene.queue(topic, 1) });
      allSent(sent);
      const consumed = await scene.until(
        [consumer],
        (all) => all.some(({ good, message }) => good && message.body === "fails"),
        90_000,
      );
      assert.deepEqual(tries(consumed, "fails"), [0, 1, 2]);
      const failing = consumed.filter(({ message }) => message.body === "fails");
      for (const { message } of failing) {
        assert.equal(message.msgId, sent[1]?.msgId);
        assert.equal(message.topic, topic);
        assert.equal(message.properties.colour, "blue");
      }
      for (const [i, { at }] of failing.entries())
        if (i > 0) assert.ok(at - (failing[i - 1]?.at ?? at) >= 950, "a second later");
      return failing.map(({ good, message }) => ({ good, message }));
    },
  },
  {
    name: "dead-letter",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const consumer = await scene.consumer(topic, { fail: { F: 100 }, delayLevel: 1, maxReconsumeTimes: 1 });
      const sent = await scene.send(producer, topic, [{ body: "fails", tags: "F", keys: "k" }]);
      allSent(sent);
      const consumed = await scene.until([consumer], (all) => all.length >= 2, 90_000);
      assert.deepEqual(tries(consumed, "fails"), [0, 1]);
      const dead = `%DLQ%${scene.name("group")}`;
      await scene.routed(dead);
      const stored = await eventually(
        () => scene.stored(dead, 1),
        (all) => all.length === 1,
      );
      assert.equal(stored[0]?.body, "fails");
      assert.equal(stored[0]?.msgId, sent[0]?.msgId);
      return stored;
    },
  },
  {
    name: "listener-throws",
    core: false,
    clients: JAVA,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const throwing = await scene.consumer(topic, {
        group: scene.name("throws"),
        fail: { F: 1 },
        delayLevel: 1,
        failHow: "throw",
      });
      const silent = await scene.consumer(topic, {
        group: scene.name("null"),
        fail: { F: 1 },
        delayLevel: 1,
        failHow: "null",
      });
      allSent(await scene.send(producer, topic, [{ body: "fails", tags: "F" }]));
      for (const consumer of [throwing, silent]) {
        assert.deepEqual(tries(await scene.until([consumer], (all) => all.length >= 2), "fails"), [0, 1]);
      }
      return null;
    },
  },
  {
    name: "retry-steps",
    core: false,
    // The other clients find the retry topic too late for the first step to be seen.
    clients: JAVA,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const consumer = await scene.consumer(topic, { fail: { F: 2 } });
      allSent(await scene.send(producer, topic, [{ body: "fails", tags: "F" }]));
      // Without a level of the consumer's own: ten seconds, then thirty.
      const consumed = await scene.until([consumer], (all) => all.length >= 3, 90_000);
      const [first, second, third] = consumed.map(({ at }) => at) as [number, number, number];
      assert.ok(second - first >= 9900 && second - first < 20_000, `first step ${second - first} ms`);
      assert.ok(third - second >= 29_900 && third - second < 45_000, `second step ${third - second} ms`);
      return consumed.map(({ good, message }) => ({ good, message }));
    },
  },
];
