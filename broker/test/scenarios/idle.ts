/** A broker of which nobody wants anything: nothing in it runs. */
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Activity, activityBetween, activityOf, sumOf } from "../clients/figures.ts";
import { RawClient } from "../clients/raw.ts";
import type { Facts } from "./facts.ts";
import { startMoraine } from "./moraine.ts";
import type { Scenario } from "./scenario.ts";
import type { Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

const WATCHED_MS = 30_000;
/** What follows a start, a connection or a message is over by then. */
const SETTLED_MS = 5000;
const CLIENTS = 20;
const QUEUES = 4;

async function idle(scene: Scene): Promise<Facts> {
  const own = await startMoraine();
  try {
    await withoutClients(own.pid as number);
    await withHeldPulls(own.brokerAddress, own.pid as number);
  } finally {
    await own.close();
  }
  await withJava(scene);
  return null;
}

async function withoutClients(pid: number): Promise<void> {
  const activity = await watch(pid, "without clients");
  assert.ok(sumOf(activity) <= MOST_WAKE_UPS, `woken ${sumOf(activity)} times`);
}

async function withHeldPulls(address: string, pid: number): Promise<void> {
  const clients = Array.from({ length: CLIENTS }, (_, n) => new RawClient(address, "idle", `127.0.0.1@idle-${n}`));
  const topic = "idle";
  const [first] = clients as [RawClient];
  const ended: Promise<void>[] = [];
  const failures: unknown[] = [];
  await first.send({ topic, queueId: 0 }, "the topic comes with it");
  for (const client of clients) {
    await client.heartbeat([topic]);
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      const follow = client.follow({ topic, queueId }, () => {});
      ended.push(follow.catch((error: unknown) => void failures.push(error)));
    }
  }
  const activity = await watch(pid, `with ${CLIENTS} clients and ${CLIENTS * QUEUES} held pulls`);
  assert.equal(
    clients.reduce((sum, { waiting }) => sum + waiting, 0),
    CLIENTS * QUEUES,
  );
  for (const client of clients) client.end();
  await Promise.all(ended);
  assert.deepEqual(failures, []);
  assert.ok(sumOf(activity) <= MOST_WAKE_UPS, `woken ${sumOf(activity)} times`);
}

/** Java's client asks by itself: heartbeats, routes, how far it has come. Nothing of that is worth a write. */
async function withJava(scene: Scene): Promise<void> {
  const { pid, folder } = scene.subject;
  const topic = await scene.topic("topic", QUEUES);
  const producer = await scene.producer();
  allSent(await scene.send(producer, topic, [{ body: "a" }, { body: "b" }, { body: "c" }, { body: "d" }]));
  const consumers = await Promise.all(
    Array.from({ length: CLIENTS }, (_, n) => scene.consumer(topic, { group: scene.name(`group-${n}`) })),
  );
  for (const consumer of consumers) await scene.until([consumer], (all) => all.length >= 4);
  // Once all have said that they have taken these messages.
  await sleep(2 * SETTLED_MS);
  const tables = tablesOf(join(folder, "store/config"));
  await watch(pid as number, `with ${CLIENTS} consumers and a producer of Java`);
  assert.deepEqual(tablesOf(join(folder, "store/config")), tables);
}

/** Files of tables, and when each was written. */
function tablesOf(folder: string): Record<string, number> {
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return Object.fromEntries(files.map((name) => [name, statSync(join(folder, name)).mtimeMs]));
}

async function watch(pid: number, how: string): Promise<Activity> {
  await sleep(SETTLED_MS);
  const before = activityOf(pid);
  await sleep(WATCHED_MS);
  const activity = activityBetween(before, activityOf(pid));
  const threads = [...activity.wakeUps].map(([name, count]) => `${name} ${count}`).join(", ");
  console.log(`${how}, ${WATCHED_MS / 1000} s: ${activity.cpuMs.toFixed(1)} ms of processor time; woken: ${threads}`);
  return activity;
}

/** The broker registers at its own name server every half minute. */
const MOST_WAKE_UPS = 60;

export const idling: readonly Scenario[] = [
  { name: "idle", core: false, clients: ["java-5.4.0"], own: {}, start: startMoraine, run: idle },
];
