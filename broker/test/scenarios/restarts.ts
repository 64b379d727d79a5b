/** The broker goes and comes back while clients go on. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Consumed } from "../clients/driver.ts";
import { bodiesOf } from "./consuming.ts";
import type { Facts } from "./facts.ts";
import type { Scenario } from "./scenario.ts";
import type { Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

async function restarted(scene: Scene, end: () => Promise<void>): Promise<Facts> {
  const topic = await scene.topic("topic", 4);
  const producer = await scene.producer({ timeoutMs: 3000 });
  const consumer = await scene.consumer(topic, { persistMs: 1000, fail: { F: 1 }, delayLevel: 2 });
  const acknowledged: string[] = [];
  const sendSome = async (from: number, count: number): Promise<void> => {
    for (let i = from; i < from + count; i++) {
      const [sent] = await scene.send(producer, topic, [{ body: String(i), tags: "G" }]);
      if (sent?.status === "SEND_OK") acknowledged.push(String(i));
    }
  };
  await sendSome(0, 40);
  allSent(
    await scene.send(producer, topic, [
      { body: "delayed", delayLevel: 3 },
      { body: "retried", tags: "F" },
    ]),
  );
  acknowledged.push("delayed", "retried");
  await scene.until([consumer], (all) => all.length >= 41);
  await sleep(2500);
  await end();
  const [refused] = await scene.send(producer, topic, [{ body: "while it is away" }]);
  assert.equal(refused?.status, undefined);
  await scene.subject.start();
  const back = async (): Promise<boolean> =>
    (await scene.send(producer, topic, [{ body: "probe" }]))[0]?.status === "SEND_OK";
  const until = Date.now() + 60_000;
  while (!(await back())) {
    assert.ok(Date.now() < until, "the producer does not find the broker again");
    await sleep(500);
  }
  await sendSome(40, 40);
  const taken = (all: Consumed[]): Set<string | undefined> => new Set(bodiesOf(all.filter(({ good }) => good)));
  const consumed = await scene.until(
    [consumer],
    (all) => {
      const bodies = taken(all);
      return acknowledged.every((body) => bodies.has(body));
    },
    90_000,
  );
  const again =
    consumed.length - new Set(consumed.map(({ message }) => `${message.msgId} ${message.reconsumeTimes}`)).size;
  return { acknowledged: acknowledged.length, again: again < 20 };
}

export const restarts: readonly Scenario[] = [
  { name: "broker-stopped", core: false, own: {}, run: (scene) => restarted(scene, () => scene.subject.stop()) },
  { name: "broker-killed", core: false, own: {}, run: (scene) => restarted(scene, () => scene.subject.kill()) },
];
