/** Every kind of message and of consumer, with an end of the broker in between. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Consumed } from "../clients/driver.ts";
import { bodiesOf } from "./consuming.ts";
import type { Facts } from "./facts.ts";
import { inOrder } from "./ordered.ts";
import type { Scenario } from "./scenario.ts";
import { eventually, type Outgoing, type Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

const KEYS = ["anna", "bert", "cleo"];
/** Messages of each key in a round. */
const OF_A_KEY = 10;
/** Longest wait for what a client does after it has found the broker again. */
const PATIENCE_MS = 150_000;

interface Topics {
  /** Sent by key, taken in order. */
  readonly ordered: string;
  /** Sent in every other way. */
  readonly mixed: string;
  /** What is sent there always fails. */
  readonly failing: string;
}

/** Sends every kind; all of it is stored when this returns. Returns what went to the mixed topic. */
async function round(
  scene: Scene,
  producer: string,
  { ordered, mixed, failing }: Topics,
  n: number,
): Promise<Outgoing[]> {
  const of = (kind: string, count: number, more: Partial<Outgoing> = {}): Outgoing[] =>
    Array.from({ length: count }, (_, i) => ({ body: `${kind} ${n} ${i}`, ...more }));
  const byKey = Array.from({ length: OF_A_KEY }, (_, i) =>
    KEYS.map((keys) => ({ body: `${keys} ${n * OF_A_KEY + i}`, keys })),
  );
  allSent(await scene.send(producer, ordered, byKey.flat(), { mode: "selector" }));
  const oneWay = of("oneway", 5);
  await scene.send(producer, mixed, oneWay, { mode: "oneway" });
  const answered = {
    sync: [...of("tagged A", 2, { tags: "A" }), ...of("tagged B", 2, { tags: "B", keys: `key-${n}` })],
    async: of("async", 10, { tags: "C" }),
    batch: of("batch", 5, { tags: "A" }),
  };
  for (const [mode, messages] of Object.entries(answered)) {
    allSent(await scene.send(producer, mixed, messages, { mode }));
  }
  const delayed = of("delayed", 1, { tags: "C", delayLevel: 3 });
  allSent(await scene.send(producer, mixed, delayed));
  allSent(await scene.send(producer, failing, of("failing", 1, { tags: "F" })));
  // Nobody answers for these: they are waited for.
  await eventually(
    async () => (await scene.stored(mixed, 4)).map(({ body }) => body),
    (stored) => oneWay.every(({ body }) => stored.includes(body)),
  );
  return [...oneWay, ...Object.values(answered).flat(), ...delayed];
}

/** Waits until the producer gets through again. Returns what was stored on the way. */
async function untilBack(scene: Scene, producer: string, topic: string): Promise<Outgoing[]> {
  const probe = { body: "probe" };
  await eventually(
    async () => (await scene.send(producer, topic, [probe]))[0]?.status,
    (status) => status === "SEND_OK",
    90_000,
  );
  return [probe];
}

async function kinds(scene: Scene, end: () => Promise<void>): Promise<Facts> {
  const topics: Topics = {
    ordered: await scene.topic("ordered"),
    mixed: await scene.topic("mixed"),
    failing: await scene.topic("failing", 1),
  };
  const producer = await scene.producer({ timeoutMs: 3000 });
  const consumer = (of: string, topic: string, options: object = {}): Promise<string> =>
    scene.consumer(topic, { group: scene.name(of), persistMs: 1000, ...options });
  const inTurn = await consumer("in-turn", topics.ordered, { orderly: true });
  const listeners = [
    await consumer("everybody", topics.mixed, { broadcasting: true }),
    await consumer("everybody", topics.mixed, { broadcasting: true }),
  ];
  const some = await consumer("some", topics.mixed, { expression: "A||C" });
  await consumer("failing", topics.failing, { fail: { F: 100 }, delayLevel: 2, maxReconsumeTimes: 1 });

  const mixed = await round(scene, producer, topics, 0);
  await sleep(2000);
  await end();
  const [refused] = await scene.send(producer, topics.mixed, [{ body: "while it is away" }]);
  assert.equal(refused?.status, undefined);
  await scene.subject.start();
  mixed.push(...(await untilBack(scene, producer, topics.mixed)));
  mixed.push(...(await round(scene, producer, topics, 1)));

  const took = async (name: string, wanted: readonly string[]): Promise<Consumed[]> => {
    const isAll = (all: Consumed[]): boolean => {
      const bodies = new Set(bodiesOf(all));
      return wanted.every((body) => bodies.has(body));
    };
    return scene.until([name], isAll, PATIENCE_MS);
  };
  const consumed = await took(
    inTurn,
    KEYS.flatMap((key) => Array.from({ length: 2 * OF_A_KEY }, (_, i) => `${key} ${i}`)),
  );
  inOrder(consumed);
  for (const listener of listeners)
    await took(
      listener,
      mixed.map(({ body }) => body),
    );
  const wanted = mixed.filter(({ tags }) => tags === "A" || tags === "C").map(({ body }) => body);
  const tagged = await took(some, wanted);
  assert.deepEqual([...new Set(bodiesOf(tagged))].sort(), [...new Set(wanted)].sort());

  const dead = `%DLQ%${scene.name("failing")}`;
  await eventually(
    async () => (await scene.raw(351, { topic: dead })).code,
    (code) => code === 0,
    PATIENCE_MS,
  );
  await scene.routed(dead);
  const letters = await eventually(
    () => scene.stored(dead, 1),
    (stored) => new Set(stored.map(({ body }) => body)).size >= 2,
    PATIENCE_MS,
  );
  const asking = await scene.producer({ group: scene.name("asking") }, scene.hand);
  const found = await scene.hand.ask<{ messages: { body: string }[] }>({
    ...{ do: "query", by: asking, topic: topics.mixed, key: "key-0" },
    ...{ begin: Date.now() - 3_600_000, end: Date.now() + 60_000 },
  });
  return {
    ordered: new Set(bodiesOf(consumed)).size,
    tagged: new Set(wanted).size,
    letters: [...new Set(letters.map(({ body }) => body))].sort(),
    found: found.messages.map(({ body }) => body).sort(),
  };
}

export const restartedKinds: readonly Scenario[] = [
  { name: "kinds-stopped", core: false, own: {}, run: (scene) => kinds(scene, () => scene.subject.stop()) },
  { name: "kinds-killed", core: false, own: {}, run: (scene) => kinds(scene, () => scene.subject.kill()) },
];
