/** Ways to send, and what is stored then. */
import assert from "node:assert/strict";
import type { Received, Sent } from "../clients/driver.ts";
import { GO, RUST, type Scenario } from "./scenario.ts";
import { eventually, registered } from "./scene.ts";

export function allSent(results: readonly Sent[]): void {
  for (const { status, error } of results) assert.equal(status, "SEND_OK", JSON.stringify(error));
}

const bodies = (messages: readonly Received[]): (string | undefined)[] => messages.map(({ body }) => body);

export const byPlace = (a: Received, b: Received): number =>
  a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.queueId - b.queueId || a.queueOffset - b.queueOffset;

const three = [
  { body: "one", tags: "TagA", keys: "k1 k2", flag: 7 },
  { body: "two, with ünïcode ✓", tags: "TagB", properties: { colour: "blue", "a key": "a value" } },
  { body: "three" },
];

export const sends: readonly Scenario[] = [
  {
    name: "send-sync",
    core: true,
    async run(scene) {
      const topic = await scene.topic();
      const producer = await scene.producer();
      const sent = await scene.send(producer, topic, three, { queue: scene.queue(topic, 1) });
      allSent(sent);
      assert.deepEqual(
        sent.map(({ queueId, queueOffset }) => [queueId, queueOffset]),
        [
          [1, 0],
          [1, 1],
          [1, 2],
        ],
      );
      const stored = await scene.stored(topic, 4);
      assert.deepEqual(
        bodies(stored),
        three.map(({ body }) => body),
      );
      assert.deepEqual(
        stored.map(({ msgId }) => msgId),
        sent.map(({ msgId }) => msgId),
      );
      return { sent, stored };
    },
  },
  {
    name: "send-async",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const messages = Array.from({ length: 40 }, (_, i) => ({ body: `message ${i}`, keys: `k${i}` }));
      const sent = await scene.send(producer, topic, messages, { mode: "async" });
      allSent(sent);
      const stored = await scene.stored(topic, 1);
      assert.deepEqual(bodies(stored).sort(), messages.map(({ body }) => body).sort());
      // Sends under way at the same time may be stored in any order; each is where its answer says.
      for (const [i, { queueOffset }] of sent.entries())
        assert.equal(stored[Number(queueOffset)]?.body, `message ${i}`);
      return { first: sent[0]?.status, count: stored.length };
    },
  },
  {
    name: "send-oneway",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      // The first send to a topic asks for its route.
      await scene.send(producer, topic, [{ body: "first" }], { queue: scene.queue(topic, 0) });
      await scene.send(producer, topic, three, { mode: "oneway", queue: scene.queue(topic, 1) });
      const stored = await eventually(
        () => scene.stored(topic, 2),
        (all) => all.length >= 4,
      );
      assert.deepEqual(bodies(stored).sort(), ["first", ...three.map(({ body }) => body)].sort());
      return { stored: stored.length };
    },
  },
  {
    name: "send-batch",
    core: true,
    async run(scene) {
      const topic = await scene.topic();
      const producer = await scene.producer();
      const [sent] = await scene.send(producer, topic, three, { mode: "batch", queue: scene.queue(topic, 2) });
      assert.equal(sent?.status, "SEND_OK");
      assert.equal(sent?.queueOffset, 0);
      const stored = await scene.stored(topic, 4);
      assert.deepEqual(
        bodies(stored),
        three.map(({ body }) => body),
      );
      // Go's client names the first one only.
      assert.ok(
        stored
          .map(({ msgId }) => msgId)
          .join(",")
          .startsWith(sent?.msgId ?? "none"),
      );
      return { sent, stored };
    },
  },
  {
    name: "send-anywhere",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 4);
      const producer = await scene.producer();
      const messages = Array.from({ length: 40 }, (_, i) => ({ body: String(i) }));
      allSent(await scene.send(producer, topic, messages));
      const stored = await scene.stored(topic, 4);
      assert.equal(stored.length, 40);
      for (const queue of [0, 1, 2, 3])
        assert.ok(
          stored.some(({ queueId }) => queueId === queue),
          `nothing in queue ${queue}`,
        );
      return { count: stored.length };
    },
  },
  {
    name: "large-bodies",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const compressing = await scene.producer({ group: scene.name("compressing") });
      const plain = await scene.producer({ compressOver: 100_000_000 });
      const first = await scene.send(compressing, topic, [{ body: "0123456789abcdef", bodyTimes: 16_384 }], {
        queue: scene.queue(topic, 0),
      });
      const second = await scene.send(plain, topic, [{ body: "0123456789abcdef", bodyTimes: 16_384 }], {
        queue: scene.queue(topic, 1),
      });
      allSent([...first, ...second]);
      const stored = await scene.stored(topic, 2);
      assert.deepEqual(
        stored.map(({ bodyLength }) => bodyLength),
        [262_144, 262_144],
      );
      assert.equal(stored[0]?.bodySha256, stored[1]?.bodySha256);
      return { stored };
    },
  },
  {
    name: "keys-and-ids",
    core: true,
    async run(scene) {
      const topic = await scene.topic();
      const producer = await scene.producer();
      // Go's client cannot look for messages: Java's looks for those that it has sent.
      const driver = scene.clientName === GO ? scene.hand : scene.client;
      const asking = driver === scene.client ? producer : await scene.producer({ group: scene.name("asking") }, driver);
      const begin = Date.now() - 1000;
      const sent = await scene.send(
        producer,
        topic,
        [
          { body: "a", keys: "alpha common" },
          { body: "b", keys: "beta common" },
          { body: "c", tags: "T" },
        ],
        { queue: scene.queue(topic, 0) },
      );
      allSent(sent);
      const end = Date.now() + 60_000;
      const query = (key: string, from = begin, to = end): Promise<Received[]> =>
        driver.ask<{ messages: Received[] }>({ do: "query", by: asking, topic, key, begin: from, end: to }).then(
          ({ messages }) => messages.toSorted((a, b) => a.queueOffset - b.queueOffset),
          (error: { failures?: { code: number }[] }) => {
            // QUERY_NOT_FOUND and the client's own NO_MESSAGE.
            if (error.failures?.[0]?.code === 22 || error.failures?.[0]?.code === 208) return [];
            // Rust's client has codes in its words alone.
            if (scene.clientName === RUST && /\b(22|208)\b/.test(String(error))) return [];
            throw error;
          },
        );
      const common = await eventually(
        () => query("common"),
        (found) => found.length === 2,
      );
      assert.deepEqual(bodies(common), ["a", "b"]);
      assert.deepEqual(bodies(await query("beta")), ["b"]);
      assert.deepEqual(await query("nobody"), []);
      assert.deepEqual(await query("common", begin - 7_200_000, begin - 3_600_000), []);
      const [, , last] = sent;
      const view = (msgId: string | undefined): Promise<{ message: Received }> =>
        driver.ask({ do: "view", by: asking, topic, msgId });
      const byUniqueId = (await view(last?.msgId)).message;
      const byOffsetId = (await view(last?.offsetMsgId)).message;
      assert.equal(byUniqueId.body, "c");
      assert.equal(byOffsetId.body, "c");
      return { common, byUniqueId, byOffsetId };
    },
  },
  {
    name: "sync-flush",
    core: false,
    own: { flushDiskType: "SYNC_FLUSH" },
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const queue = scene.queue(topic, 0);
      const sent = [
        ...(await scene.send(producer, topic, three, { queue })),
        ...(await scene.send(producer, topic, three, { queue, mode: "batch" })),
        ...(await scene.send(producer, topic, three, { mode: "async" })),
        ...(await scene.send(producer, topic, [{ body: "delayed", delayLevel: 1 }], { queue })),
      ];
      allSent(sent);
      // With the broker's end nothing goes that was answered.
      await scene.subject.kill();
      await scene.subject.start();
      await registered(scene.subject, scene.hand);
      const consumer = await scene.consumer(topic);
      const consumed = await scene.until([consumer], (all) => all.length >= 10, 60_000);
      return {
        statuses: sent.map(({ status }) => status),
        consumed: bodies(consumed.map(({ message }) => message)).sort(),
      };
    },
  },
  {
    name: "delay-levels",
    core: true,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      const consumer = await scene.consumer(topic);
      const sent = await scene.send(
        producer,
        topic,
        [
          { body: "5 s", delayLevel: 2, tags: "A" },
          { body: "1 s", delayLevel: 1, tags: "B", keys: "key" },
          { body: "now" },
        ],
        { queue: scene.queue(topic, 1) },
      );
      allSent(sent);
      const consumed = await scene.until([consumer], (all) => all.length >= 3);
      assert.deepEqual(bodies(consumed.map(({ message }) => message)).sort(), ["1 s", "5 s", "now"]);
      for (const { at, message } of consumed) {
        const waited = at - message.bornTimestamp;
        const [least, most] =
          message.body === "now" ? [0, 5000] : message.body === "1 s" ? [950, 5000] : [4950, 10_000];
        assert.ok(waited >= least && waited < most, `${message.body} came after ${waited} ms`);
      }
      return {
        // Of a delayed one: its place among all that wait.
        sent: sent.map(({ offsetMsgId, queueOffset, ...rest }) => rest),
        consumed: consumed.map(({ message }) => message).toSorted(byPlace),
      };
    },
  },
];
