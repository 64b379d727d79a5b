/** Processes of clients that end, and what those do that are left or that come after them. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Consumed, Driver } from "../clients/driver.ts";
import { bodiesOf } from "./consuming.ts";
import type { Facts } from "./facts.ts";
import { inOrder } from "./ordered.ts";
import type { Scenario } from "./scenario.ts";
import { eventually, type Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

const QUEUES = 8;
/** Messages that each queue holds when one of its consumers is killed. */
const BACKLOG = 30;

/** A consumer, in the process that it runs in. */
interface Member {
  readonly driver: Driver;
  readonly name: string;
}

const given = (members: readonly Member[]): Consumed[] =>
  members.flatMap(({ driver, name }) => driver.consumed(name)).toSorted((a, b) => a.at - b.at);

/** Sends a message to each queue, again and again, until the consumers get it from as many queues as they must. Returns all sent. */
async function untilShared(
  scene: Scene,
  producer: string,
  topic: string,
  members: readonly Member[],
  queuesOfEach: number,
): Promise<string[]> {
  const sent: string[] = [];
  await eventually(
    async () => {
      const round = `round ${members.length} ${sent.length} `;
      const bodies = Array.from({ length: QUEUES }, (_, queueId) => `${round}${queueId}`);
      for (const [queueId, body] of bodies.entries()) {
        allSent(await scene.send(producer, topic, [{ body }], { queue: scene.queue(topic, queueId) }));
      }
      sent.push(...bodies);
      const ofRound = (all: readonly Consumed[]): Consumed[] =>
        all.filter(({ message }) => message.body?.startsWith(round) === true);
      await eventually(
        async () => new Set(bodiesOf(ofRound(given(members)))).size,
        (distinct) => distinct === QUEUES,
        150_000,
      );
      return members.map((member) => new Set(ofRound(given([member])).map(({ message }) => message.queueId)).size);
    },
    (shares) => shares.every((share) => share === queuesOfEach),
    90_000,
  );
  return sent;
}

/** One of two processes of a group is killed with work in its hands: the other one takes its queues, and nothing is lost. */
async function consumerKilled(scene: Scene, isOrdered: boolean): Promise<Facts> {
  const topic = await scene.topic("topic", QUEUES);
  const producer = await scene.producer();
  const options = { orderly: isOrdered, workMs: 20 };
  const left: Member = { driver: scene.client, name: await scene.consumer(topic, options) };
  const driver = await scene.another("killed");
  const killed: Member = { driver, name: await scene.consumer(topic, options, driver) };
  const sent = await untilShared(scene, producer, topic, [left, killed], QUEUES / 2);
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    const messages = Array.from({ length: BACKLOG }, (_, i) => ({ body: `backlog ${queueId} ${i}` }));
    allSent(await scene.send(producer, topic, messages, { queue: scene.queue(topic, queueId) }));
    sent.push(...messages.map(({ body }) => body));
  }
  await eventually(
    async () => bodiesOf(given([killed])).filter((body) => body?.startsWith("backlog") === true).length,
    (count) => count > 0,
  );
  await scene.kill(driver);
  // A lock that its owner did not give back is free after a minute.
  const missing = (): string[] => {
    const taken = new Set(bodiesOf(given([left, killed])));
    return sent.filter((body) => !taken.has(body));
  };
  await eventually(
    async () => missing().length,
    (count) => count === 0,
    150_000,
  );
  await untilShared(scene, producer, topic, [left], QUEUES);
  if (isOrdered) inOrder(given([left, killed]));
  return { lost: missing().length };
}

export const processes: readonly Scenario[] = [
  { name: "consumer-killed", core: false, run: (scene) => consumerKilled(scene, false) },
  { name: "ordered-consumer-killed", core: false, run: (scene) => consumerKilled(scene, true) },
  {
    name: "broadcasting-goes-on",
    core: false,
    async run(scene) {
      const topic = await scene.topic();
      const producer = await scene.producer();
      const numbers = (from: number, count: number): { body: string }[] =>
        Array.from({ length: count }, (_, i) => ({ body: String(from + i).padStart(2, "0") }));
      const seen: (string | undefined)[][] = [];
      let sent = 0;
      for (const count of [20, 10]) {
        allSent(await scene.send(producer, topic, numbers(sent, count)));
        sent += count;
        // The same home and name: for RocketMQ the same client, which keeps by itself how far it came.
        const driver = await scene.another("home");
        const options = { broadcasting: true, name: scene.name("listener") };
        const consumer = await scene.consumer(topic, options, driver);
        await scene.until([consumer], (all) => all.length >= count, 60_000, driver);
        await sleep(1000);
        await scene.stop(consumer);
        seen.push(bodiesOf(driver.consumed(consumer)).sort());
        await scene.kill(driver);
      }
      assert.deepEqual(
        seen,
        [numbers(0, 20), numbers(20, 10)].map((all) => all.map(({ body }) => body)),
      );
      return { seen, committed: await scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 0 }) };
    },
  },
];
