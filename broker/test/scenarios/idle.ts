/** A broker of which nobody wants anything: nothing in it runs. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Activity, activityBetween, activityOf, ownWakeUps } from "../clients/figures.ts";
import { RawClient } from "../clients/raw.ts";
import type { Facts } from "./facts.ts";
import { caughtUp } from "./interchange/part.ts";
import { startMoraine } from "./moraine.ts";
import type { Scenario } from "./scenario.ts";
import { eventually, type Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

const WATCHED_MS = 30_000;
/**
 * In that time: one for the registration at its own name server, three to see whether files are to go, and some of Node.js
 * itself, which wakes for timers that were taken back, and tidies memory up.
 */
const MOST_WAKE_UPS = 20;
/** So many seconds in a row with nothing to speak of, and what a start, a connection or a message has brought with it is over. */
const QUIET_SECONDS = 10;
const MOST_SECONDS = 90;
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
  await settled(pid);
  const activity = await watch(pid, "without clients");
  assert.ok(ownWakeUps(activity) <= MOST_WAKE_UPS, `woken ${ownWakeUps(activity)} times`);
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
  await settled(pid);
  const activity = await watch(pid, `with ${CLIENTS} clients and ${CLIENTS * QUEUES} held pulls`);
  assert.equal(
    clients.reduce((sum, { waiting }) => sum + waiting, 0),
    CLIENTS * QUEUES,
  );
  for (const client of clients) client.end();
  await Promise.all(ended);
  assert.deepEqual(failures, []);
  assert.ok(ownWakeUps(activity) <= MOST_WAKE_UPS, `woken ${ownWakeUps(activity)} times`);
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
  for (let n = 0; n < CLIENTS; n++) await caughtUp(scene, scene.name(`group-${n}`), topic, QUEUES);
  const config = join(folder, "store/config");
  // Ten seconds after its start a client says for the first time how far it has come, also where it has had nothing.
  await eventually(
    () => Promise.resolve(textOf(join(config, "consumerOffset.json"))),
    (text) => text.match(/%RETRY%[^"]*@/g)?.length === CLIENTS,
    60_000,
  );
  await sleep(2000);
  const tables = tablesOf(config);
  await watch(pid as number, `with ${CLIENTS} consumers and a producer of Java`);
  assert.deepEqual(tablesOf(config), tables);
}

/** Empty where there is no such file, as between the old and the new one. */
function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** Files of tables, and when each was written. */
function tablesOf(folder: string): Record<string, number> {
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  return Object.fromEntries(files.map((name) => [name, statSync(join(folder, name)).mtimeMs]));
}

async function settled(pid: number): Promise<void> {
  let quiet = 0;
  let before = activityOf(pid);
  for (let second = 0; quiet < QUIET_SECONDS; second++) {
    assert.ok(second < MOST_SECONDS, `it does not come to rest in ${MOST_SECONDS} s`);
    await sleep(1000);
    const after = activityOf(pid);
    quiet = ownWakeUps(activityBetween(before, after)) <= 2 ? quiet + 1 : 0;
    before = after;
  }
}

async function watch(pid: number, how: string): Promise<Activity> {
  const before = activityOf(pid);
  await sleep(WATCHED_MS);
  const activity = activityBetween(before, activityOf(pid));
  const threads = [...activity.wakeUps].map(([name, count]) => `${name} ${count}`).join(", ");
  console.log(`${how}, ${WATCHED_MS / 1000} s: ${activity.cpuMs.toFixed(1)} ms of processor time; woken: ${threads}`);
  return activity;
}

export const idling: readonly Scenario[] = [
  { name: "idle", core: false, clients: ["java-5.4.0"], own: {}, start: startMoraine, run: idle },
];
