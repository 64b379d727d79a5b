/** Groups that have come so far: they have left and come back, have just taken something, or stay all the time. */
import assert from "node:assert/strict";
import type { Consumed } from "../../clients/driver.ts";
import { inOrder } from "../ordered.ts";
import { eventually, type Scene } from "../scene.ts";
import { byPlace } from "../sends.ts";
import { caughtUp, committed, leave, maxOffset, messagesOf, type Part, sendAll } from "./part.ts";
import type { Progress } from "./turns.ts";

const QUEUES = 4;
const PER_QUEUE = 5;

/** A group that has taken a part of its messages, has left, and comes back when the other broker runs. */
export class HalfWay implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;
  readonly #isOrderly: boolean;
  /** What the group has committed in each queue before it has left. */
  #taken: number[] = [];

  private constructor(scene: Scene, topic: string, producer: string, isOrderly: boolean) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
    this.#isOrderly = isOrderly;
  }

  static async make(scene: Scene, of: string, isOrderly: boolean): Promise<HalfWay> {
    const topic = await scene.topic(of, QUEUES);
    return new HalfWay(scene, topic, await scene.producer({ group: `${topic}-producers` }), isOrderly);
  }

  get #group(): string {
    return `${this.#topic}-group`;
  }

  async fill(round: number): Promise<void> {
    await this.#send(`${round} taken`);
    const consumer = await this.#join();
    await caughtUp(this.#scene, this.#group, this.#topic, QUEUES);
    await leave(this.#scene, this.#group, consumer);
    this.#taken = await Promise.all(
      Array.from({ length: QUEUES }, (_, queueId) => committed(this.#scene, this.#group, this.#topic, queueId)),
    );
    await this.#send(`${round} left`);
  }

  isNoted(progress: Progress): boolean {
    return this.#taken.every((offset, queueId) => progress.offset(this.#group, this.#topic, queueId) === offset);
  }

  /** Exactly the rest: none that was taken before, none twice, and in order where that is promised. */
  async check(round: number, progress: Progress): Promise<void> {
    assert.ok(this.isNoted(progress), `${this.#group} had committed ${this.#taken}`);
    const consumer = await this.#join();
    await caughtUp(this.#scene, this.#group, this.#topic, QUEUES);
    await leave(this.#scene, this.#group, consumer);
    const consumed = this.#scene.client.consumed(consumer);
    const messages = messagesOf(consumed);
    if (this.#isOrderly) inOrder(consumed);
    const left = this.#taken.flatMap((from, queueId) =>
      Array.from({ length: PER_QUEUE }, (_, n) => `${queueId}/${from + n} ${round} left ${queueId} ${n}`),
    );
    const came = messages.map(({ queueId, queueOffset, body }) => `${queueId}/${queueOffset} ${body}`);
    assert.deepEqual(came.toSorted(), left.toSorted());
  }

  /** The answers tell the next offsets of each queue. */
  async #send(what: string): Promise<void> {
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      const next = await maxOffset(this.#scene, this.#topic, queueId);
      const messages = Array.from({ length: PER_QUEUE }, (_, n) => ({
        body: `${what} ${queueId} ${n}`,
        tags: n % 2 === 0 ? "A" : "B",
        keys: `${what.replaceAll(" ", "-")}-${queueId}-${n}`,
        properties: { colour: "blue" },
      }));
      const queue = this.#scene.queue(this.#topic, queueId);
      const sent = await sendAll(this.#scene, this.#producer, this.#topic, messages, { queue });
      assert.deepEqual(
        sent.map(({ queueOffset }) => queueOffset),
        messages.map((_, n) => next + n),
      );
    }
  }

  #join(): Promise<string> {
    return this.#scene.consumer(this.#topic, {
      group: this.#group,
      orderly: this.#isOrderly,
      expression: "A||B",
      persistMs: 500,
    });
  }
}

/** A group that has just taken messages when the broker ends: what was not noted by then comes again, and nothing else. */
export class Hasty implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;
  #consumer: string | undefined;
  #next = 0;

  private constructor(scene: Scene, topic: string, producer: string) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
  }

  static async make(scene: Scene): Promise<Hasty> {
    const topic = await scene.topic("hasty", 1);
    return new Hasty(scene, topic, await scene.producer({ group: `${topic}-producers` }));
  }

  async fill(): Promise<void> {
    this.#consumer = await this.#join();
  }

  async beforeEnd(round: number): Promise<void> {
    const messages = Array.from({ length: 10 }, (_, n) => ({ body: `${round} ${n}` }));
    const sent = await sendAll(this.#scene, this.#producer, this.#topic, messages);
    assert.deepEqual(
      sent.map(({ queueOffset }) => queueOffset),
      messages.map((_, n) => this.#next + n),
    );
    this.#next += messages.length;
    await caughtUp(this.#scene, `${this.#topic}-group`, this.#topic, 1);
  }

  async afterEnd(): Promise<void> {
    // It finds nobody to tell how far it has come.
    if (this.#consumer !== undefined) await this.#scene.stop(this.#consumer);
  }

  async check(_round: number, progress: Progress, isUnclean: boolean): Promise<void> {
    const from = progress.offset(`${this.#topic}-group`, this.#topic, 0);
    if (!isUnclean) assert.equal(from, this.#next);
    const consumer = await this.#join();
    await eventually(
      () => committed(this.#scene, `${this.#topic}-group`, this.#topic, 0),
      (offset) => offset === this.#next,
    );
    await leave(this.#scene, `${this.#topic}-group`, consumer);
    const again = Array.from({ length: this.#next - from }, (_, n) => `0/${from + n}`);
    const came = messagesOf(this.#scene.client.consumed(consumer)).toSorted(byPlace);
    assert.deepEqual(
      came.map(({ queueId, queueOffset }) => `${queueId}/${queueOffset}`),
      again,
    );
    console.log(`${this.#scene.subject.kind}: ${again.length} messages again that the broker before had not noted`);
  }

  #join(): Promise<string> {
    return this.#scene.consumer(this.#topic, { group: `${this.#topic}-group`, persistMs: 100 });
  }
}

/** A producer and two consumers that stay all the time: for them the broker was away for a while. */
export class Live implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;
  readonly #consumer: string;
  readonly #orderly: string;
  readonly #sent: string[] = [];

  private constructor(scene: Scene, topic: string, producer: string, consumer: string, orderly: string) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
    this.#consumer = consumer;
    this.#orderly = orderly;
  }

  static async make(scene: Scene): Promise<Live> {
    const topic = await scene.topic("live", 2);
    const producer = await scene.producer({ group: `${topic}-producers`, timeoutMs: 3000 });
    const consumer = await scene.consumer(topic, { group: `${topic}-group` });
    const orderly = await scene.consumer(topic, { group: `${topic}-orderly`, orderly: true });
    return new Live(scene, topic, producer, consumer, orderly);
  }

  fill(round: number): Promise<void> {
    return this.#send(`${round} before`);
  }

  check(round: number): Promise<void> {
    return this.#send(`${round} after`);
  }

  async #send(what: string): Promise<void> {
    for (let n = 0; n < 10; n++) {
      const queue = this.#scene.queue(this.#topic, n % 2);
      const message = { body: `${what} ${n}` };
      await eventually(
        () => this.#scene.send(this.#producer, this.#topic, [message], { queue }),
        ([result]) => result?.status === "SEND_OK",
        60_000,
      );
      this.#sent.push(message.body);
    }
    for (const consumer of [this.#consumer, this.#orderly]) {
      const came = (all: readonly Consumed[]): string[] => messagesOf(all).map(({ body = "" }) => body);
      const isThere = (all: readonly Consumed[]): boolean => {
        const bodies = new Set(came(all));
        return this.#sent.every((body) => bodies.has(body));
      };
      const consumed = await this.#scene.until([consumer], isThere, 60_000);
      if (consumer === this.#orderly) inOrder(consumed);
      assert.deepEqual(came(consumed).toSorted(), this.#sent.toSorted(), consumer);
    }
  }
}
