import { describe, expect } from "vitest";
import { Store } from "../../src/index.ts";
import { expectedOf, lineOf, unpack } from "./fixtures.ts";
import { oracleTest, readWithOracle } from "./oracle.ts";
import { expectFound, messagesOfEveryShape, write } from "./written.ts";

/** Closed cleanly and crashed, torn, without queues and index, of a whole broker. */
const CONTINUED = [
  "rmq4-clean",
  "rmq4-torn-header",
  "rmq5-clean",
  "rmq5-halt-lag",
  "rmq5-torn-zeroed",
  "rmq5-rebuild",
  "rmq5-broker",
];

describe.concurrent.each(CONTINUED)("%s", (name) => {
  oracleTest("after we appended and closed, RocketMQ finds its own messages and ours", async () => {
    const dir = unpack(name);
    const line = lineOf(name);
    const before = expectedOf(name);
    const store = await Store.open(dir, { create: false, compat: line === "4" ? "4.9" : "5" });
    const end = store.log.endOffset;
    expect(end).toBe(before.open.maxPhyOffset);
    const written = await write(store, messagesOfEveryShape(150, line));
    const newEnd = store.log.endOffset;
    await store.close();

    const after = await readWithOracle(line, dir);
    expect(after.open).toMatchObject({ abort: false, recoveredMaxPhyOffset: newEnd, dispatchBehindBytes: 0 });
    expect(after.clean).toBe(true);
    expect(after.messages.filter(({ offset }) => offset < end)).toEqual(before.messages);
    expect(after.entries.filter(({ offset }) => offset < end)).toEqual(before.entries);
    expectFound(after, end, written, true);
  });
});
