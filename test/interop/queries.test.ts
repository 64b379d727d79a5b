import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { snapshot } from "./folders.ts";

/** All but the one in which RocketMQ keeps less than we do. */
const ANSWERED = fixtureNames.filter((name) => name !== "rmq5-flipped-bit");

describe.each(ANSWERED)("%s opened read-only", (name) => {
  test("answers as RocketMQ does, and is not changed", async () => {
    const dir = unpack(name);
    const before = snapshot(dir);
    const store = await Store.open(dir, { readOnly: true });
    expectSameAnswers(store, expectedOf(name));
    await store.close();
    expect(snapshot(dir)).toEqual(before);
  });
});

describe.each(ANSWERED)("%s opened for writing", (name) => {
  test("answers as RocketMQ does, also after it was closed", async () => {
    const dir = unpack(name);
    const expected = expectedOf(name);
    const store = await Store.open(dir, { create: false });
    expectSameAnswers(store, expected);
    await store.close();

    const again = await Store.open(dir, { readOnly: true });
    expect(again.health().clean).toBe(true);
    expectSameAnswers(again, expected);
    await again.close();
  });
});

describe("rmq5-flipped-bit", () => {
  /** Message 147 of 150, alternating between two queues: the third of the last three. */
  const BAD = { topic: "TopicA", queueId: 1, queueOffset: 73 };

  test.each([{ readOnly: true }, { create: false }])(
    "opened with %o keeps its queues and serves the neighbours of the bad message",
    async (options) => {
      const store = await Store.open(unpack("rmq5-flipped-bit"), options);
      const { topic, queueId, queueOffset } = BAD;
      const lengths = store.queues(topic).map((queue) => store.offsets(topic, queue).max);
      expect(lengths).toEqual([75, 75]);

      const before = store.get(topic, queueId, queueOffset - 1);
      expect(before.messages.map((message) => message.queueOffset)).toEqual([queueOffset - 1]);
      expect(before.nextOffset).toBe(queueOffset);
      expect(() => store.get(topic, queueId, queueOffset)).toThrow(
        expect.objectContaining({
          code: "STORE_CORRUPT",
          details: expect.objectContaining({ nextOffset: queueOffset + 1 }),
        }),
      );
      const after = store.get(topic, queueId, queueOffset + 1);
      expect(after.messages.map((message) => message.queueOffset)).toEqual([queueOffset + 1]);
      await store.close();
    },
  );
});
