import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, onTestFinished, test } from "vitest";
import type {
  FlushDiagnostics,
  PutDiagnostics,
  RecoveryDiagnostics,
  SegmentDiagnostics,
  Store,
} from "../../src/index.ts";
import { message, messages, openStore, temporaryDirectory } from "./temporary-store.ts";

/** What is published on a channel about the store in `path`, while the test runs. */
function published<T extends { path: string }>(channel: string, path: () => string): T[] {
  const seen: T[] = [];
  const listener = (published: unknown): void => {
    const payload = published as T;
    if (payload.path === path()) seen.push(payload);
  };
  subscribe(channel, listener);
  onTestFinished(() => void unsubscribe(channel, listener));
  return seen;
}

describe("diagnostics", () => {
  test("moraine:put tells what each call has stored", async () => {
    const store = await openStore();
    const seen = published<PutDiagnostics>("moraine:put", () => store.path);
    const single = store.put(message());
    const batch = store.putBatch(messages(3));
    await store.append(message());
    expect(seen).toHaveLength(3);
    const { physicalOffset, endOffset, storeTimestamp } = single;
    expect(seen[0]).toEqual({ path: store.path, count: 1, physicalOffset, endOffset, storeTimestamp });
    expect(seen[1]).toMatchObject({ count: 3, physicalOffset: batch.physicalOffsets[0], endOffset: batch.endOffset });
  });

  test("moraine:put says nothing of what was refused", async () => {
    const store = await openStore();
    const seen = published<PutDiagnostics>("moraine:put", () => store.path);
    expect(() => store.put(message({ queueId: -1 }))).toThrow();
    expect(seen).toEqual([]);
  });

  test("moraine:flush tells how far the log is durable", async () => {
    const store = await openStore();
    const seen = published<FlushDiagnostics>("moraine:flush", () => store.path);
    const { endOffset } = store.put(message());
    await store.flush();
    expect(seen.at(-1)).toEqual({ path: store.path, durableOffset: endOffset });
    await store.flush();
    expect(seen.filter(({ durableOffset }) => durableOffset === endOffset)).toHaveLength(1);
  });

  test("moraine:segment tells of each commit log file that was begun", async () => {
    const store = await openStore({ segmentBytes: 4096 });
    const seen = published<SegmentDiagnostics>("moraine:segment", () => store.path);
    store.put(message());
    store.putBatch(messages(100));
    const begun = [...store.scan()].flatMap(({ kind, physicalOffset }) =>
      kind === "message" && physicalOffset % 4096 === 0 ? [physicalOffset] : [],
    );
    expect(begun.length).toBeGreaterThan(2);
    expect(seen).toEqual(begun.map((physicalOffset) => ({ path: store.path, physicalOffset, segmentBytes: 4096 })));
  });

  test("moraine:recovery ends with what opening has found", async () => {
    const path = await temporaryDirectory();
    const seen = published<RecoveryDiagnostics>("moraine:recovery", () => path);
    const store: Store = await openStore({}, path);
    expect(store.state).toBe("open");
    expect(seen.at(-1)).toMatchObject({ path, phase: "opened", clean: true, findings: [] });
  });
});
