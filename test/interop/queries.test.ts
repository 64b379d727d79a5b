import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { snapshot } from "./folders.ts";

/** Fixtures with queues that RocketMQ keeps in other ways: read, but not yet written. */
const REFUSED = ["rmq5-batchcq", "rmq5-cqext"];
/** Fixtures that can be written. */
const WRITABLE = fixtureNames.filter((name) => name !== "rmq5-flipped-bit" && !REFUSED.includes(name));
describe.each(WRITABLE)("%s opened read-only", (name) => {
  test("answers as RocketMQ does, and is not changed", async () => {
    const dir = unpack(name);
    const before = snapshot(dir);
    const store = await Store.open(dir, { readOnly: true });
    expectSameAnswers(store, expectedOf(name));
    await store.close();
    expect(snapshot(dir)).toEqual(before);
  });
});

describe.each(WRITABLE)("%s opened for writing", (name) => {
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

describe.each(REFUSED)("%s opened for writing", (name) => {
  test("is refused, and nothing in it is changed", async () => {
    const dir = unpack(name);
    // The folder itself is touched: whether the store may be written is looked up under the lock.
    const { "": _folder, ...before } = snapshot(dir);
    await expect(Store.open(dir)).rejects.toMatchObject({ code: "STORE_UNSUPPORTED_FORMAT" });
    const { "": _touched, ...after } = snapshot(dir);
    expect(after).toEqual(before);
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
