/** Many clients and many queues: everything is answered, and given back when they go. */
import assert from "node:assert/strict";
import type { Consumed } from "../clients/driver.ts";
import { type Holdings, holdingsOf } from "../clients/figures.ts";
import { type Place, RawClient, type Taken } from "../clients/raw.ts";
import { mqadmin } from "./admin.ts";
import type { Facts } from "./facts.ts";
import { startMoraine } from "./moraine.ts";
import type { Scenario } from "./scenario.ts";
import { eventually, type RawAnswer, type Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

/** 10,000 in all. */
const QUEUES: Readonly<Record<string, number>> = { large: 4000, ...smaller(12, 500) };
/** Each of them consumes every queue. */
const GROUPS = ["billing", "audit"];
const CONSUMERS_OF_GROUP = 200;
const PRODUCERS = 100;
const JAVA_CONSUMERS = 3;
/** Descriptors of files that the store has open at a time, however many queues there are. */
const OPEN_FILES = 1500;

function smaller(topics: number, queues: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: topics }, (_, n) => [`small-${n}`, queues]));
}

interface Crowd {
  readonly consumers: readonly RawClient[];
  readonly producers: readonly RawClient[];
  /** What each group has taken: how often from each queue. */
  readonly taken: ReadonlyMap<string, Map<string, number>>;
  readonly failures: readonly unknown[];
}

async function crowded(scene: Scene): Promise<Facts> {
  const { pid } = scene.subject;
  assert.ok(pid !== undefined);
  // The client that makes topics is connected by now, and stays.
  assert.equal((await scene.raw(28)).code, 0);
  const before = holdingsOf(pid);
  const places = await makeTopics(scene);
  assert.equal(places.length, 10_000);
  const made = holdingsOf(pid);

  const crowd = await join(scene, places);
  const java = await Promise.all(
    Array.from({ length: JAVA_CONSUMERS }, () =>
      scene.consumer(scene.name("large"), { group: scene.name("java"), persistMs: 1000 }),
    ),
  );
  const javaProducer = await scene.producer();
  const all = crowd.consumers.length + crowd.producers.length;
  assert.equal(all + JAVA_CONSUMERS + 1 > 500, true);
  const held = (): number => crowd.consumers.reduce((sum, { waiting }) => sum + waiting, 0);
  assert.equal(held(), GROUPS.length * places.length);
  const full = holdingsOf(pid);
  assert.ok(full.sockets >= all + JAVA_CONSUMERS + 1, `${full.sockets} sockets`);

  for (const round of [1, 2]) {
    await sendToAll(crowd.producers, places, round);
    await reached(crowd, places, round);
    assert.equal(held(), GROUPS.length * places.length);
    await javaReached(scene, java, round);
    await Promise.all(crowd.consumers.map((consumer) => consumer.heartbeat(topicsOf(scene))));
  }
  allSent(await scene.send(javaProducer, scene.name("new"), [{ body: "of Java" }]));
  await seenByTools(scene);
  const busy = holdingsOf(pid);

  await leave(crowd);
  for (const consumer of java) await scene.stop(consumer);
  await scene.stop(javaProducer);
  for (const group of [...GROUPS.map((name) => scene.name(name)), scene.name("java")]) {
    // "no consumer for this group"
    await eventually(
      () => scene.raw(38, { consumerGroup: group }),
      ({ code }) => code === 1,
    );
  }
  const left = await eventually(
    () => Promise.resolve(holdingsOf(pid)),
    ({ sockets }) => sockets <= before.sockets,
    60_000,
  );
  show({
    before,
    "with its topics": made,
    "with its clients": full,
    "after messages": busy,
    "when they have gone": left,
  });
  for (const { files } of [made, full, busy, left]) assert.ok(files <= OPEN_FILES, `${files} files are open`);
  assert.deepEqual(crowd.failures, []);
  return null;
}

const topicsOf = (scene: Scene): string[] => Object.keys(QUEUES).map((of) => scene.name(of));

async function makeTopics(scene: Scene): Promise<Place[]> {
  const places: Place[] = [];
  for (const [of, queues] of Object.entries(QUEUES)) {
    const topic = await scene.topic(of, queues);
    const { body } = await scene.ask<RawAnswer>(scene.hand, {
      do: "raw",
      code: 105,
      fields: { topic, acceptStandardJsonOnly: true },
    });
    assert.equal(JSON.parse(body ?? "{}").queueDatas[0].writeQueueNums, queues);
    for (let queueId = 0; queueId < queues; queueId++) places.push({ topic, queueId });
  }
  return places;
}

/** Consumers say what they subscribe to, and follow their share of all queues. */
async function join(scene: Scene, places: readonly Place[]): Promise<Crowd> {
  const { brokerAddress } = scene.subject;
  const failures: unknown[] = [];
  const taken = new Map(GROUPS.map((name) => [name, new Map<string, number>()]));
  const consumers: RawClient[] = [];
  for (const [name, ofGroup] of taken) {
    const take = (messages: Taken): void => count(ofGroup, messages, failures);
    const members = Array.from(
      { length: CONSUMERS_OF_GROUP },
      (_, n) => new RawClient(brokerAddress, scene.name(name), `127.0.0.1@${name}-${n}`),
    );
    await Promise.all(members.map((member) => member.heartbeat(topicsOf(scene))));
    for (const [n, place] of places.entries()) {
      members[n % members.length]?.follow(place, take).catch((error: unknown) => failures.push(error));
    }
    consumers.push(...members);
  }
  const producers = Array.from(
    { length: PRODUCERS },
    (_, n) => new RawClient(brokerAddress, scene.name("producers"), `127.0.0.1@producer-${n}`),
  );
  await Promise.all(producers.map((producer) => producer.heartbeat(undefined)));
  // What a connection asks is taken in the order in which it was asked: its pulls came before this.
  await Promise.all(consumers.map((consumer) => consumer.heartbeat(topicsOf(scene))));
  return { consumers, producers, taken, failures };
}

function count(taken: Map<string, number>, messages: Taken, failures: unknown[]): void {
  const { topic, queueId, fromOffset, nextOffset, bytes } = messages;
  const place = `${topic}/${queueId}`;
  for (let offset = fromOffset; offset < nextOffset; offset++) {
    if (!Buffer.from(bytes).includes(bodyOf({ topic, queueId }, offset + 1)))
      failures.push(new Error(`${place} has something else at ${offset}`));
    taken.set(place, (taken.get(place) ?? 0) + 1);
  }
}

const bodyOf = ({ topic, queueId }: Place, round: number): string => `<${topic}/${queueId} round ${round}>`;

/** Each sends to its share of the queues, one message after the other. */
async function sendToAll(producers: readonly RawClient[], places: readonly Place[], round: number): Promise<void> {
  await Promise.all(
    producers.map(async (producer, own) => {
      for (let n = own; n < places.length; n += producers.length) {
        const place = places[n] as Place;
        assert.equal(await producer.send(place, bodyOf(place, round)), round - 1);
      }
    }),
  );
}

/** Every group has had so many messages of each queue, and none more. */
async function reached({ taken, failures }: Crowd, places: readonly Place[], round: number): Promise<void> {
  const missing = (): number =>
    [...taken.values()].flatMap((queues) =>
      places.filter(({ topic, queueId }) => (queues.get(`${topic}/${queueId}`) ?? 0) < round),
    ).length;
  await eventually(
    () => Promise.resolve(missing()),
    (left) => left === 0 || failures.length > 0,
    60_000,
  );
  for (const queues of taken.values()) assert.deepEqual(new Set(queues.values()), new Set([round]));
}

async function javaReached(scene: Scene, consumers: readonly string[], round: number): Promise<void> {
  const places = (all: readonly Consumed[]): Set<string> =>
    new Set(all.map(({ message }) => `${message.queueId}/${message.queueOffset}`));
  await scene.until(consumers, (all) => places(all).size >= round * (QUEUES.large ?? 0), 120_000);
}

/** Tools get their answers, with every queue in them. */
async function seenByTools(scene: Scene): Promise<void> {
  const linesWith = (out: string, text: string): number => out.split("\n").filter((line) => line.includes(text)).length;
  const large = scene.name("large");
  const status = await mqadmin(scene, "topicStatus", "-t", large);
  assert.equal(linesWith(status, `${scene.subject.brokerName} `), QUEUES.large, status.slice(0, 500));
  for (const name of GROUPS) {
    const progress = await mqadmin(scene, "consumerProgress", "-g", scene.name(name));
    assert.equal(linesWith(progress, scene.name("")) >= 10_000, true, progress.slice(0, 500));
  }
  const connections = await mqadmin(scene, "consumerConnection", "-g", scene.name("audit"));
  assert.equal(linesWith(connections, "127.0.0.1@audit-"), CONSUMERS_OF_GROUP, connections.slice(0, 500));
}

/** Some say goodbye, some are simply gone. */
async function leave({ consumers, producers }: Crowd): Promise<void> {
  await Promise.all([...consumers, ...producers].map((client, n) => (n % 2 === 0 ? client.leave() : client.end())));
}

function show(looks: Readonly<Record<string, Holdings>>): void {
  for (const [when, { sockets, files, others, ownMiB, filesMiB }] of Object.entries(looks)) {
    const descriptors = `${sockets} sockets, ${files} files, ${others} other descriptors`;
    console.log(`${when}: ${descriptors}, ${ownMiB} MiB of its own and ${filesMiB} MiB of files`);
  }
}

export const crowds: readonly Scenario[] = [
  {
    name: "crowd",
    core: false,
    clients: ["java-5.4.0"],
    // Queues of the size that they have by themselves.
    own: { mappedFileSizeConsumeQueue: 6_000_000 },
    start: startMoraine,
    run: crowded,
  },
];
