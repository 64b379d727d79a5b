/** What waits while the store changes hands: delayed messages, tries that are still to come, and those that were the last. */
import assert from "node:assert/strict";
import type { Consumed, Received } from "../../clients/driver.ts";
import { eventually, type Scene } from "../scene.ts";
import { caughtUp, leave, maxOffset, type Part, sendAll } from "./part.ts";
import type { Progress } from "./turns.ts";

const SCHEDULE = "SCHEDULE_TOPIC_XXXX";
/** A second. */
const SOON = 1;

/** A message that waits, or has waited, and its place among those of its level. */
interface Waiting {
  readonly msgId: string;
  readonly level: number;
  readonly place: number;
}

/** How many copies of it there are in all: a broker delivers again what the one before has delivered and not noted. */
const copiesOf = ({ level, place }: Waiting, before: number, progress: Progress): number =>
  before + (place >= progress.delivered(level) ? 1 : 0);

const countOf = (messages: readonly Received[], { msgId }: Waiting): number =>
  messages.filter((message) => message.msgId === msgId).length;

/** Delayed messages: delivered long ago, just delivered, and still waiting when the broker ends. */
export class Delayed implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;
  readonly #level: number;
  readonly #sent: Waiting[] = [];
  /** Copies that there were of each when the broker ended. */
  #before: number[] = [];

  private constructor(scene: Scene, topic: string, producer: string, level: number) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
    this.#level = level;
  }

  static async make(scene: Scene, level: number): Promise<Delayed> {
    const topic = await scene.topic("later", 1);
    return new Delayed(scene, topic, await scene.producer({ group: `${topic}-producers` }), level);
  }

  fill(round: number): Promise<void> {
    return this.#sendAndWait(`${round} delivered`);
  }

  /** All that was delivered so far, whosever it is. */
  async isNoted(progress: Progress): Promise<boolean> {
    return progress.delivered(SOON) === (await maxOffset(this.#scene, SCHEDULE, SOON - 1));
  }

  async beforeEnd(round: number): Promise<void> {
    await this.#send(`${round} waiting`, this.#level);
    await this.#sendAndWait(`${round} just delivered`);
    const stored = await this.#stored();
    this.#before = this.#sent.map((one) => countOf(stored, one));
  }

  /** Each comes once, but for what was delivered and not noted. */
  async check(_round: number, progress: Progress, isUnclean: boolean): Promise<void> {
    const copies = this.#sent.map((one, i) => copiesOf(one, this.#before[i] ?? 0, progress));
    if (!isUnclean)
      assert.deepEqual(
        copies,
        this.#sent.map(() => 1),
      );
    const count = async (): Promise<number[]> => {
      const stored = await this.#stored();
      return this.#sent.map((one) => countOf(stored, one));
    };
    await eventually(count, (counts) => counts.every((one, i) => one >= (copies[i] ?? 0)), 60_000);
    assert.deepEqual(await count(), copies);
    const again = copies.filter((one) => one > 1).length;
    console.log(`${this.#scene.subject.kind}: ${again} of ${copies.length} delayed messages twice so far`);
  }

  async #send(what: string, level: number): Promise<Waiting[]> {
    const messages = [1, 2, 3].map((n) => ({ body: `${what} ${n}`, delayLevel: level }));
    const sent = await sendAll(this.#scene, this.#producer, this.#topic, messages);
    // The answer names the place among those that wait.
    const waiting = sent.map(({ msgId = "", queueOffset = -1 }) => ({ msgId, level, place: queueOffset }));
    this.#sent.push(...waiting);
    return waiting;
  }

  async #sendAndWait(what: string): Promise<void> {
    const sent = await this.#send(what, SOON);
    await eventually(
      () => this.#stored(),
      (stored) => sent.every((one) => countOf(stored, one) > 0),
    );
  }

  #stored(): Promise<Received[]> {
    return this.#scene.stored(this.#topic, 1);
  }
}

/** A consumer that stays, whose next try is to come when the broker ends: it comes from the next one, and may be the last. */
export class Retried implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;
  readonly #consumer: string;
  readonly #level: number;
  /** Of this round: one that the second try takes, and one that it does not. */
  #sent: Waiting[] = [];
  #before: number[] = [];

  private constructor(scene: Scene, topic: string, producer: string, consumer: string, level: number) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
    this.#consumer = consumer;
    this.#level = level;
  }

  static async make(scene: Scene, level: number): Promise<Retried> {
    const topic = await scene.topic("retried", 1);
    const fails = { fail: { F: 1, D: 100 }, delayLevel: level, maxReconsumeTimes: 1 };
    const consumer = await scene.consumer(topic, { group: `${topic}-group`, persistMs: 100, ...fails });
    const producer = await scene.producer({ group: `${topic}-producers` });
    return new Retried(scene, topic, producer, consumer, level);
  }

  async fill(): Promise<void> {}

  async beforeEnd(round: number): Promise<void> {
    const messages = ["F", "D"].map((tags) => ({ body: `${round} ${tags}`, tags, keys: "k", properties: { a: "b" } }));
    const sent = await sendAll(this.#scene, this.#producer, this.#topic, messages);
    // It goes on behind what it has given back.
    await caughtUp(this.#scene, `${this.#topic}-group`, this.#topic, 1);
    const waiting = (await this.#scene.stored(SCHEDULE, this.#level)).filter((m) => m.queueId === this.#level - 1);
    this.#sent = sent.map(({ msgId = "" }) => {
      const place = waiting.findLast((message) => message.msgId === msgId)?.queueOffset;
      assert.ok(place !== undefined, `no try waits of ${msgId}`);
      return { msgId, level: this.#level, place };
    });
    const retries = await this.#scene.stored(`%RETRY%${this.#topic}-group`, 1);
    this.#before = this.#sent.map((one) => countOf(retries, one));
  }

  async check(round: number, progress: Progress, isUnclean: boolean): Promise<void> {
    const copies = this.#sent.map((one, i) => copiesOf(one, this.#before[i] ?? 0, progress));
    if (!isUnclean) assert.deepEqual(copies, [1, 1]);
    const tries = (all: readonly Consumed[], { msgId }: Waiting): Consumed[] =>
      all.filter(({ message }) => message.msgId === msgId);
    const isThere = (all: readonly Consumed[]): boolean =>
      this.#sent.every((one, i) => tries(all, one).length >= 1 + (copies[i] ?? 0));
    const consumed = await this.#scene.until([this.#consumer], isThere, 60_000);
    for (const [i, one] of this.#sent.entries()) {
      const came = tries(consumed, one);
      assert.deepEqual(
        came.map(({ message }) => message.reconsumeTimes),
        [0, ...Array.from({ length: copies[i] ?? 0 }, () => 1)],
      );
      for (const { message } of came) {
        assert.deepEqual([message.topic, message.keys, message.properties.a], [this.#topic, "k", "b"]);
        assert.equal(message.body, `${round} ${i === 0 ? "F" : "D"}`);
      }
      assert.equal(came.at(-1)?.good, i === 0);
    }
    const [, failing] = this.#sent as [Waiting, Waiting];
    const dead = `%DLQ%${this.#topic}-group`;
    await this.#scene.routed(dead);
    await eventually(
      async () => countOf(await this.#scene.stored(dead, 1), failing),
      (count) => count === copies[1],
    );
  }
}

/** Messages that failed for good. */
export class DeadLetters implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;
  readonly #ids: string[] = [];
  #tries = 0;

  private constructor(scene: Scene, topic: string, producer: string) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
  }

  static async make(scene: Scene): Promise<DeadLetters> {
    const topic = await scene.topic("failing", 1);
    return new DeadLetters(scene, topic, await scene.producer({ group: `${topic}-producers` }));
  }

  async fill(round: number): Promise<void> {
    const group = `${this.#topic}-group`;
    const options = { group, fail: { F: 100 }, delayLevel: 1, maxReconsumeTimes: 1 };
    const consumer = await this.#scene.consumer(this.#topic, options);
    const message = { body: `${round} fails`, tags: "F" };
    const [sent] = await sendAll(this.#scene, this.#producer, this.#topic, [message]);
    this.#ids.push(sent?.msgId ?? "");
    await this.#scene.routed(`%DLQ%${group}`);
    await eventually(
      () => this.#dead(),
      (ids) => ids.length === this.#ids.length,
      60_000,
    );
    for (const topic of [this.#topic, `%RETRY%${group}`]) await caughtUp(this.#scene, group, topic, 1);
    await leave(this.#scene, group, consumer);
    this.#tries = await maxOffset(this.#scene, `%RETRY%${group}`, 0);
  }

  isNoted(progress: Progress): boolean {
    const group = `${this.#topic}-group`;
    const retries = progress.offset(group, `%RETRY%${group}`, 0);
    return progress.offset(group, this.#topic, 0) === this.#ids.length && retries === this.#tries;
  }

  async check(): Promise<void> {
    assert.deepEqual(await this.#dead(), this.#ids);
  }

  async #dead(): Promise<string[]> {
    return (await this.#scene.stored(`%DLQ%${this.#topic}-group`, 1)).map(({ msgId }) => msgId);
  }
}
