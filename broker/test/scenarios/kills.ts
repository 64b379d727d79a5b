/** kill -9 under load, again and again: what was acknowledged is there, where the acknowledgement said, and is consumed. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Consumed, Sent } from "../clients/driver.ts";
import type { Facts } from "./facts.ts";
import type { Scenario } from "./scenario.ts";
import type { Outgoing, Scene } from "./scene.ts";

const QUEUES = 4;
/** Messages of one command. */
const AT_ONCE = 20;
const kills = Number(process.env.MORAINE_KILLS ?? 3);

interface Acknowledged {
  body: string;
  queueId: number;
  queueOffset: number;
  delayed: boolean;
}

/** Sends to one queue, one message after the other, until it is told to stop. */
class Sender {
  readonly acknowledged: Acknowledged[] = [];
  readonly #scene: Scene;
  readonly #producer: string;
  readonly #topic: string;
  readonly #queueId: number;
  #next = 0;
  #going = true;
  #done: Promise<void> = Promise.resolve();

  constructor(scene: Scene, producer: string, topic: string, queueId: number) {
    this.#scene = scene;
    this.#producer = producer;
    this.#topic = topic;
    this.#queueId = queueId;
  }

  start(): void {
    this.#done = this.#run();
  }

  stop(): Promise<void> {
    this.#going = false;
    return this.#done;
  }

  async #run(): Promise<void> {
    while (this.#going) {
      const messages = Array.from({ length: AT_ONCE }, () => this.#message());
      const queue = this.#scene.queue(this.#topic, this.#queueId);
      const sent = await this.#scene.send(this.#producer, this.#topic, messages, { queue });
      for (const [i, result] of sent.entries()) this.#take(messages[i] as Outgoing, result);
      // While the broker is away each send fails at once.
      if (sent.every(({ status }) => status === undefined)) await sleep(200);
    }
  }

  /** Every 50th is delayed, every 50th fails at its consumer once. */
  #message(): Outgoing {
    const n = this.#next;
    this.#next += 1;
    const body = `${this.#queueId} ${n}`;
    return { body, tags: n % 50 === 25 ? "F" : "G", ...(n % 50 === 40 ? { delayLevel: 2 } : {}) };
  }

  #take({ body, delayLevel }: Outgoing, { status, queueOffset }: Sent): void {
    // FLUSH_DISK_TIMEOUT is stored, but not promised.
    if (status !== "SEND_OK") return;
    this.acknowledged.push({
      body,
      queueId: this.#queueId,
      queueOffset: Number(queueOffset),
      delayed: delayLevel !== undefined,
    });
  }
}

async function killed(scene: Scene): Promise<Facts> {
  const topic = await scene.topic("topic", QUEUES);
  // No message is sent twice by its client: then the order of a queue is that of its sender.
  const producer = await scene.producer({ retries: 0, timeoutMs: 3000 });
  const consumer = await scene.consumer(topic, { fail: { F: 1 }, delayLevel: 1, persistMs: 500 });
  const senders = Array.from({ length: QUEUES }, (_, queueId) => new Sender(scene, producer, topic, queueId));
  for (const sender of senders) sender.start();
  for (let i = 0; i < kills; i++) {
    await sleep(1500 + Math.random() * 2000);
    await scene.subject.kill();
    await scene.subject.start();
    await goesOn(senders);
  }
  await sleep(1000);
  for (const sender of senders) await sender.stop();

  const acknowledged = senders.flatMap((sender) => sender.acknowledged);
  const stored = await scene.stored(topic, QUEUES);
  const at = new Map(stored.map((message) => [`${message.queueId}/${message.queueOffset}`, message.body]));
  for (const { body, queueId, queueOffset, delayed } of acknowledged) {
    // The answer to a delayed one names its place among those that wait.
    if (!delayed) assert.equal(at.get(`${queueId}/${queueOffset}`), body, `queue ${queueId}, offset ${queueOffset}`);
  }
  inOrder(stored.filter(({ properties }) => properties.DELAY === undefined));

  const wanted = new Set(acknowledged.map(({ body }) => body));
  const taken = (all: Consumed[]): Set<string | undefined> =>
    new Set(all.filter(({ good }) => good).map(({ message }) => message.body));
  const allTaken = (all: Consumed[]): boolean => {
    const bodies = taken(all);
    return [...wanted].every((body) => bodies.has(body));
  };
  await scene.until([consumer], allTaken, 120_000);
  assert.ok(acknowledged.length > kills * 100, `only ${acknowledged.length} messages were acknowledged`);
  console.log(`${kills} kills, ${acknowledged.length} messages acknowledged, ${stored.length} stored`);
  return null;
}

/** Waits until every sender gets through again. */
async function goesOn(senders: readonly Sender[]): Promise<void> {
  const before = senders.map(({ acknowledged }) => acknowledged.length);
  const until = Date.now() + 120_000;
  while (senders.some(({ acknowledged }, i) => acknowledged.length <= (before[i] ?? 0))) {
    assert.ok(Date.now() < until, "a sender does not get through after the broker is back");
    await sleep(100);
  }
}

function inOrder(stored: readonly { queueId: number; queueOffset: number; body?: string }[]): void {
  const last = new Map<number, number>();
  for (const { queueId, queueOffset, body } of stored) {
    const n = Number(body?.split(" ")[1]);
    assert.ok(
      n > (last.get(queueId) ?? -1),
      `queue ${queueId}, offset ${queueOffset}: ${n} after ${last.get(queueId)}`,
    );
    last.set(queueId, n);
  }
}

export const crashes: readonly Scenario[] = [
  { name: "kills", core: false, clients: ["java-5.4.0"], own: {}, run: killed },
  { name: "kills-sync-flush", core: false, clients: ["java-5.4.0"], own: { flushDiskType: "SYNC_FLUSH" }, run: killed },
];
