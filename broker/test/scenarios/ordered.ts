/** Order of a queue: selectors, orderly consumers, locks, what fails in order. */
import assert from "node:assert/strict";
import type { Consumed } from "../clients/driver.ts";
import { bodiesOf } from "./consuming.ts";
import { GO, type Scenario } from "./scenario.ts";
import { eventually } from "./scene.ts";
import { allSent, byPlace } from "./sends.ts";

/** What was taken of each queue comes in order of offsets; a message may come again only before any later one is taken. */
export function inOrder(consumed: readonly Consumed[]): void {
  const next = new Map<string, number>();
  for (const { good, message } of consumed) {
    const queue = `${message.topic}/${message.queueId}`;
    const expected = next.get(queue) ?? message.queueOffset;
    assert.ok(message.queueOffset <= expected, `${queue}: ${message.queueOffset} before ${expected} was taken`);
    if (good) next.set(queue, Math.max(expected, message.queueOffset + 1));
  }
}

export const ordered: readonly Scenario[] = [
  {
    name: "ordered",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 4);
      const producer = await scene.producer();
      const keys = ["anna", "bert", "cleo", "dora", "emil"];
      const messages = Array.from({ length: 50 }, (_, i) => ({
        body: `${keys[i % 5]} ${Math.floor(i / 5)}`,
        keys: keys[i % 5] as string,
      }));
      const sent = await scene.send(producer, topic, messages, { mode: "selector" });
      allSent(sent);
      const consumer = await scene.consumer(topic, { orderly: true });
      const consumed = await scene.until([consumer], (all) => all.length >= 50);
      inOrder(consumed);
      for (const key of keys) {
        const own = consumed.filter(({ message }) => message.keys === key);
        assert.deepEqual(
          bodiesOf(own),
          Array.from({ length: 10 }, (_, i) => `${key} ${i}`),
        );
      }
      return consumed.length;
    },
  },
  {
    name: "ordered-suspension",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const messages = ["a", "b", "fails", "c"].map((body) => ({
        body,
        ...(body === "fails" ? { tags: "F" } : { tags: "G" }),
      }));
      allSent(await scene.send(producer, topic, messages, { queue: scene.queue(topic, 0) }));
      const consumer = await scene.consumer(topic, { orderly: true, fail: { F: 2 }, suspendMs: 200 });
      const consumed = await scene.until([consumer], (all) => all.length >= 6);
      assert.deepEqual(bodiesOf(consumed), ["a", "b", "fails", "fails", "fails", "c"]);
      return consumed.map(({ good, message }) => [good, message.body, message.reconsumeTimes]);
    },
  },
  {
    name: "ordered-dead-letter",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const messages = ["a", "fails", "b"].map((body) => ({
        body,
        tags: body === "fails" ? "F" : "G",
        keys: `key-${body}`,
      }));
      allSent(await scene.send(producer, topic, messages, { queue: scene.queue(topic, 0) }));
      const consumer = await scene.consumer(topic, {
        orderly: true,
        fail: { F: 100 },
        suspendMs: 100,
        maxReconsumeTimes: 2,
      });
      const consumed = await scene.until([consumer], (all) => bodiesOf(all).includes("b"));
      // Go's client gives a message back when it has failed more often than that, the others when as often.
      const tries = scene.clientName === GO ? 4 : 3;
      assert.deepEqual(bodiesOf(consumed), ["a", ...Array(tries).fill("fails"), "b"]);
      const dead = `%DLQ%${scene.name("group")}`;
      await scene.routed(dead);
      const stored = await eventually(
        () => scene.stored(dead, 1),
        (all) => all.length === 1,
      );
      assert.equal(stored[0]?.body, "fails");
      return {
        consumed: consumed.map(({ good, message }) => [good, message.body, message.reconsumeTimes]),
        stored: stored.toSorted(byPlace),
      };
    },
  },
  {
    name: "ordered-join-and-leave",
    core: false,
    async run(scene) {
      const topic = await scene.topic("topic", 4);
      const producer = await scene.producer();
      const first = await scene.consumer(topic, { orderly: true, workMs: 10 });
      const consumers = [first];
      let sent = 0;
      for (let round = 0; round < 6; round++) {
        if (round === 2) consumers.push(await scene.consumer(topic, { orderly: true, workMs: 10 }));
        if (round === 4) await scene.stop(first);
        for (let queueId = 0; queueId < 4; queueId++) {
          const messages = Array.from({ length: 50 }, (_, i) => ({ body: `${queueId} ${round * 50 + i}` }));
          allSent(await scene.send(producer, topic, messages, { mode: "sync", queue: scene.queue(topic, queueId) }));
          sent += 50;
        }
      }
      const distinct = (all: Consumed[]): number => new Set(bodiesOf(all)).size;
      // A lock that its owner did not give back is free after a minute.
      const consumed = await scene.until(consumers, (all) => distinct(all) >= sent, 120_000);
      for (const consumer of consumers) inOrder(consumed.filter((c) => c.consumer === consumer));
      const second = new Set(consumed.filter((c) => c.consumer !== first).map(({ message }) => message.queueId));
      assert.equal(second.size, 4, "the second consumer takes all queues in the end");
      return { distinct: distinct(consumed) };
    },
  },
  {
    name: "queue-locks",
    core: true,
    clients: ["java-5.4.0"],
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const group = scene.name("group");
      const ask = (code: number, clientId: string, queues: readonly number[]): Promise<unknown> => {
        const mqSet = queues.map((queueId) => scene.queue(topic, queueId));
        const body = JSON.stringify({ consumerGroup: group, clientId, mqSet, onlyThisBroker: false });
        return scene
          .raw(code, {}, { body })
          .then(({ body: text, ...rest }) => ({ ...rest, body: text === undefined ? null : sorted(JSON.parse(text)) }));
      };
      return {
        first: await ask(41, "one", [0, 1]),
        other: await ask(41, "two", [0, 1]),
        again: await ask(41, "one", [0]),
        notOwner: await ask(42, "two", [0]),
        stillLocked: await ask(41, "two", [0]),
        given: await ask(42, "one", [0]),
        taken: await ask(41, "two", [0, 1]),
      };
    },
  },
];

function sorted(body: { lockOKMQSet: { queueId: number }[] }): unknown {
  return { ...body, lockOKMQSet: body.lockOKMQSet.toSorted((a, b) => a.queueId - b.queueId) };
}
