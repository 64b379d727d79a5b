/** What is kept whoever consumes: configurations, messages that are looked for, and many of them. */
import assert from "node:assert/strict";
import type { Received } from "../../clients/driver.ts";
import { mqadmin } from "../admin.ts";
import type { Scene } from "../scene.ts";
import { maxOffset, type Part, sendAll } from "./part.ts";
import type { Progress } from "./turns.ts";

const UPDATE_GROUP = 200;
const UPDATE_FORBIDDEN = 353;

/** A topic with queues and permissions of its own, and a group that is not as groups are by themselves. */
export class Configured implements Part {
  readonly #scene: Scene;
  readonly #topic: string;

  private constructor(scene: Scene, topic: string) {
    this.#scene = scene;
    this.#topic = topic;
  }

  static async make(scene: Scene): Promise<Configured> {
    return new Configured(scene, await scene.topic("shaped", 8));
  }

  async fill(round: number): Promise<void> {
    const shape = { readQueueNums: 5 + round, writeQueueNums: 2 + round, perm: 4, order: true, topicSysFlag: 0 };
    await this.#scene.topic("shaped", 1, { ...shape, attributes: round === 1 ? "+message.type=FIFO" : "" });
    const groupName = `${this.#topic}-group`;
    const group = {
      ...{ groupName, retryMaxTimes: 2 + round, retryQueueNums: 3, consumeBroadcastEnable: false, consumeEnable: true },
      ...{ consumeFromMinEnable: false, consumeMessageOrderly: true, notifyConsumerIdsChangedEnable: round === 2 },
      ...{ brokerId: 0, whichBrokerWhenConsumeSlowly: 1, groupSysFlag: 0, consumeTimeoutMinute: 20 + round },
      groupRetryPolicy: {
        type: "EXPONENTIAL",
        exponentialRetryPolicy: { initial: 7000, max: 9_000_000, multiplier: 3 },
      },
    };
    const made = await this.#scene.raw(UPDATE_GROUP, {}, { body: JSON.stringify(group) });
    assert.equal(made.code, 0, `${made.remark}`);
    const forbidden = { group: groupName, topic: this.#topic, readable: false };
    assert.equal((await this.#scene.raw(UPDATE_FORBIDDEN, forbidden)).code, 0);
  }

  /** That all configurations are the same is seen of them all; here that they hold, and that tools see them. */
  async check(round: number): Promise<void> {
    const topic = await this.#scene.raw(351, { topic: this.#topic });
    const shape = JSON.parse(topic.body ?? "{}");
    assert.deepEqual([shape.readQueueNums, shape.writeQueueNums, shape.perm], [5 + round, 2 + round, 4]);
    assert.deepEqual(shape.attributes, { "message.type": "FIFO" });
    const forbidden = await this.#scene.raw(UPDATE_FORBIDDEN, { group: `${this.#topic}-group`, topic: this.#topic });
    assert.match(JSON.stringify(forbidden.body ?? forbidden.fields), /false/);
    const [topics, progress] = await Promise.all([
      mqadmin(this.#scene, "topicList"),
      mqadmin(this.#scene, "consumerProgress", "-g", `${this.#scene.name("half")}-group`),
    ]);
    assert.ok(topics.split("\n").includes(this.#topic), topics);
    assert.match(progress, new RegExp(`${this.#scene.name("half").slice(0, 30)}`));
  }
}

/** Messages that are looked for by key, by id, and by their place in the log. */
export class Found implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;
  readonly #sent: {
    readonly key: string;
    readonly body: string;
    readonly msgId: string;
    readonly offsetMsgId: string;
  }[] = [];

  private constructor(scene: Scene, topic: string, producer: string) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
  }

  static async make(scene: Scene): Promise<Found> {
    const topic = await scene.topic("found", 2);
    return new Found(scene, topic, await scene.producer({ group: `${topic}-producers` }));
  }

  /** Some alone, some in a batch, whose answer names the ids of all. */
  async fill(round: number): Promise<void> {
    const messages = (kind: string): { body: string; keys: string }[] =>
      Array.from({ length: 5 }, (_, n) => ({ body: `${round} ${kind} ${n}`, keys: `${kind}-${round}-${n} common` }));
    const alone = messages("alone");
    const sent = await sendAll(this.#scene, this.#producer, this.#topic, alone);
    for (const [n, { msgId = "", offsetMsgId = "" }] of sent.entries()) this.#note(alone[n]?.body, msgId, offsetMsgId);
    const batch = messages("batch");
    const [together] = await sendAll(this.#scene, this.#producer, this.#topic, batch, { mode: "batch" });
    const offsetIds = together?.offsetMsgId?.split(",") ?? [];
    for (const [n, msgId] of (together?.msgId?.split(",") ?? []).entries())
      this.#note(batch[n]?.body, msgId, offsetIds[n] ?? "");
  }

  async check(round: number, _progress: Progress, isUnclean: boolean): Promise<void> {
    let again = 0;
    for (const { key, body, msgId, offsetMsgId } of this.#sent) {
      const found = await this.#query(key);
      if (isUnclean && found.length === 2) {
        assert.deepEqual(found[1], found[0], key);
        found.pop();
        again += 1;
      }
      assert.deepEqual(
        found.map((message) => [message.body, message.msgId]),
        [[body, msgId]],
        key,
      );
      for (const id of [msgId, offsetMsgId]) assert.equal((await this.#view(id)).body, body, `${key} ${id}`);
    }
    // After a kill either broker enters once more the one message with which the newest full index file ends (store-format §4.3).
    assert.ok(again <= round, `${again} messages are found twice by their keys`);
    const all = new Set((await this.#query("common")).map(({ body }) => body));
    assert.deepEqual(
      this.#sent.filter(({ body }) => !all.has(body)),
      [],
    );
  }

  #note(body = "", msgId: string, offsetMsgId: string): void {
    const [round, kind, n] = body.split(" ");
    this.#sent.push({ key: `${kind}-${round}-${n}`, body, msgId, offsetMsgId });
  }

  async #query(key: string): Promise<Received[]> {
    const times = { begin: 0, end: Date.now() + 60_000 };
    const command = { do: "query", by: this.#producer, topic: this.#topic, key, ...times };
    return (await this.#scene.client.ask<{ messages: Received[] }>(command)).messages;
  }

  async #view(msgId: string): Promise<Received> {
    const command = { do: "view", by: this.#producer, topic: this.#topic, msgId };
    return (await this.#scene.client.ask<{ message: Received }>(command)).message;
  }
}

/** More than one file of the log, of a queue and of the index takes. */
export class Bulk implements Part {
  readonly #scene: Scene;
  readonly #topic: string;
  readonly #producer: string;

  private constructor(scene: Scene, topic: string, producer: string) {
    this.#scene = scene;
    this.#topic = topic;
    this.#producer = producer;
  }

  static async make(scene: Scene): Promise<Bulk> {
    const topic = await scene.topic("bulk", 1);
    const options = { group: `${topic}-producers`, compressOver: 16_777_216 };
    return new Bulk(scene, topic, await scene.producer(options));
  }

  async fill(round: number): Promise<void> {
    const large = Array.from({ length: 24 }, (_, n) => ({ body: `${round} ${n} `, bodyTimes: 180_000 }));
    await sendAll(this.#scene, this.#producer, this.#topic, large, { mode: "async" });
    for (let batch = 0; batch < 7; batch++) {
      const small = Array.from({ length: 100 }, (_, n) => ({ body: `${n}`, keys: `bulk-${round}-${batch}-${n}` }));
      await sendAll(this.#scene, this.#producer, this.#topic, small, { mode: "batch" });
    }
  }

  async check(round: number): Promise<void> {
    assert.equal(await maxOffset(this.#scene, this.#topic, 0), round * 724);
  }
}
