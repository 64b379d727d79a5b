import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RequestCode } from "../../../src/protocol/codes.ts";
import { buildSubscription } from "../../../src/protocol/subscription.ts";
import { type ConsumerKind, ConsumerRegistry } from "../../../src/services/consumers.ts";
import { ProducerRegistry } from "../../../src/services/producers.ts";
import { FakeConnection } from "./rig.ts";

const EXPIRY_MS = 120_000;
const KIND: ConsumerKind = {
  consumeType: "CONSUME_PASSIVELY",
  messageModel: "CLUSTERING",
  consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
};
const NOTICE = RequestCode.NOTIFY_CONSUMER_IDS_CHANGED;

const client = (clientId: string, connection = new FakeConnection()) => ({
  connection,
  clientId,
  language: "JAVA",
  version: 479,
});
const sub = (topic: string, version = 1, tags = "*") => buildSubscription(topic, tags, "TAG", version);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function registry(): ConsumerRegistry {
  return new ConsumerRegistry({ expiryMs: () => EXPIRY_MS, subscriptionExpiryMs: () => 600_000 });
}

/** Lets notices go out. */
function settle(): void {
  vi.advanceTimersByTime(200);
}

describe("producers", () => {
  test("are found by group, until they unregister", () => {
    const producers = new ProducerRegistry({ expiryMs: () => EXPIRY_MS });
    const [a, b] = [client("a"), client("b")];
    producers.register("g", a);
    producers.register("g", b);
    producers.register("h", a);
    expect(producers.clients("g").map(({ clientId }) => clientId)).toEqual(["a", "b"]);
    expect([...producers.groups()]).toEqual(["g", "h"]);
    expect(producers.unregister("g", b.connection)).toBe(true);
    expect(producers.unregister("g", b.connection)).toBe(false);
    expect(b.connection.listeners).toBe(0);
  });

  test("go with their connection, and come back by another one under the same id", () => {
    const producers = new ProducerRegistry({ expiryMs: () => EXPIRY_MS });
    const [old, young] = [client("a"), client("a")];
    producers.register("g", old);
    producers.register("g", young);
    old.connection.close("lost");
    young.connection.close("lost");
    expect([...producers.groups()]).toEqual([]);
    producers.register("g", young);
    expect([...producers.groups()]).toEqual([]);
  });

  test("that send no heartbeat for two minutes are disconnected; nothing runs when nobody is left", () => {
    const producers = new ProducerRegistry({ expiryMs: () => EXPIRY_MS });
    const [silent, lively] = [client("silent"), client("lively")];
    producers.register("g", silent);
    producers.register("g", lively);
    vi.advanceTimersByTime(100_000);
    producers.register("g", lively);
    vi.advanceTimersByTime(25_000);
    expect(silent.connection.closedBecause).toBe("no heartbeat for 120000 ms");
    expect(lively.connection.isOpen).toBe(true);
    expect(producers.clients("g").map(({ clientId }) => clientId)).toEqual(["lively"]);
    vi.advanceTimersByTime(EXPIRY_MS);
    expect(lively.connection.isOpen).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("a connection is in ten thousand groups at most", () => {
  const producers = new ProducerRegistry({ expiryMs: () => EXPIRY_MS });
  const greedy = client("greedy");
  for (let i = 0; i < 10_010; i++) producers.register(`g${i}`, greedy);
  expect([...producers.groups()]).toHaveLength(10_000);
  producers.unregister("g0", greedy.connection);
  producers.register("late", greedy);
  expect(producers.clients("late")).toHaveLength(1);
  producers.stop();
});

describe("consumers", () => {
  test("make up a group, with what the last heartbeat said of it", () => {
    const consumers = registry();
    consumers.register("g", client("a"), KIND, [sub("t"), sub("u", 1, "A || B")], true);
    consumers.register("g", client("b"), { ...KIND, consumeType: "CONSUME_POP" }, [sub("t"), sub("u")], true);
    const group = consumers.find("g");
    expect(group).toMatchObject({ group: "g", consumeType: "CONSUME_POP", messageModel: "CLUSTERING" });
    expect(group?.clients.map(({ clientId, language, version }) => [clientId, language, version])).toEqual([
      ["a", "JAVA", 479],
      ["b", "JAVA", 479],
    ]);
    expect([...(group?.subscriptions.keys() ?? [])]).toEqual(["t", "u"]);
    expect(consumers.subscription("g", "u")?.subString).toBe("A || B");
    expect(consumers.groupsOf("u")).toEqual(["g"]);
    expect(consumers.client("g", "b")?.clientId).toBe("b");
    expect(consumers.messageModel("g")).toBe("CLUSTERING");
    expect(consumers.find("h")).toBeUndefined();
  });

  test("replace a subscription by a later one only, and take away topics that they do not name", () => {
    const consumers = registry();
    const a = client("a");
    expect(consumers.register("g", a, KIND, [sub("t", 5, "A"), sub("u", 5)], true)).toBe(true);
    expect(consumers.register("g", a, KIND, [sub("t", 4, "B"), sub("u", 5)], true)).toBe(false);
    expect(consumers.subscription("g", "t")?.subString).toBe("A");
    expect(consumers.register("g", a, KIND, [sub("t", 6, "C"), sub("u", 5)], true)).toBe(false);
    expect(consumers.subscription("g", "t")?.subString).toBe("C");
    expect(consumers.register("g", a, KIND, [sub("t", 6, "C")], true)).toBe(true);
    expect(consumers.subscription("g", "u")).toBeUndefined();
    expect(consumers.register("g", a, KIND, undefined, true)).toBe(false);
    expect(consumers.subscription("g", "t")?.subString).toBe("C");
  });

  test("all hear of who comes and goes, once for what happens at the same time", () => {
    const consumers = registry();
    const [a, b, c] = [client("a"), client("b"), client("c")];
    consumers.register("g", a, KIND, [sub("t")], true);
    consumers.register("g", b, KIND, [sub("t")], true);
    settle();
    expect(a.connection.notices).toEqual([[NOTICE, { consumerGroup: "g" }]]);
    expect(b.connection.notices).toHaveLength(1);
    consumers.register("g", a, KIND, [sub("t")], true);
    settle();
    expect(a.connection.notices).toHaveLength(1);
    consumers.register("g", c, KIND, [sub("t")], true);
    settle();
    b.connection.close("lost");
    settle();
    consumers.unregister("g", c.connection);
    settle();
    expect(a.connection.notices).toHaveLength(4);
    expect(b.connection.notices).toHaveLength(2);
    expect(c.connection.notices).toHaveLength(2);
    expect(consumers.unregister("g", c.connection)).toBe(false);
  });

  test("hear at once of the first change, and soon of those behind it", () => {
    const consumers = registry();
    const clients = Array.from({ length: 500 }, (_, i) => client(`c${i}`));
    const first = clients[0]?.connection as FakeConnection;
    for (const [i, one] of clients.entries()) {
      consumers.register("g", one, KIND, [sub("t")], true);
      if (i % 50 === 0) vi.advanceTimersByTime(1);
    }
    expect(first.notices).toHaveLength(1);
    settle();
    expect(first.notices).toHaveLength(2);
    expect(clients.at(-1)?.connection.notices).toHaveLength(1);
  });

  test.each([
    ["broadcasting", { ...KIND, messageModel: "BROADCASTING" as const }, true],
    ["not to be notified", KIND, false],
  ])("of a group that is %s hear of nothing", (_, kind, isNotified) => {
    const consumers = registry();
    const a = client("a");
    consumers.register("g", a, kind, [sub("t")], isNotified);
    consumers.register("g", client("b"), kind, [sub("t")], isNotified);
    settle();
    expect(a.connection.notices).toEqual([]);
  });

  test("that are silent too long go, and the others hear of it; the group goes with the last", () => {
    const consumers = registry();
    const [silent, lively] = [client("silent"), client("lively")];
    consumers.register("g", silent, KIND, [sub("t")], true);
    consumers.register("g", lively, KIND, [sub("t")], true);
    vi.advanceTimersByTime(100_000);
    consumers.register("g", lively, KIND, undefined, true);
    const before = lively.connection.notices.length;
    vi.advanceTimersByTime(30_000);
    expect(silent.connection.isOpen).toBe(false);
    expect(lively.connection.notices).toHaveLength(before + 1);
    lively.connection.close("lost");
    settle();
    expect(consumers.find("g")).toBeUndefined();
    expect([...consumers.groups()]).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a closed connection is in no group", () => {
    const consumers = registry();
    const gone = client("gone");
    gone.connection.close("lost");
    expect(consumers.register("g", gone, KIND, [sub("t")], true)).toBe(false);
    expect(consumers.find("g")).toBeUndefined();
  });

  test("subscriptions that came with pulls are remembered for a while", () => {
    const consumers = registry();
    consumers.compensate("g", sub("t", 1, "A"));
    expect(consumers.subscription("g", "t")?.subString).toBe("A");
    vi.advanceTimersByTime(600_001);
    expect(consumers.subscription("g", "t")).toBeUndefined();
    consumers.compensate("g", sub("t", 1, "A"));
    consumers.register("g", client("a"), KIND, [sub("t", 1, "B")], true);
    expect(consumers.subscription("g", "t")?.subString).toBe("B");
  });

  test("send their subscriptions again when the fingerprint is another one, or none is known", () => {
    const consumers = registry();
    const a = client("a");
    consumers.register("g", a, KIND, undefined, true);
    expect(consumers.isFingerprintNew("g", 7, true)).toBe(true);
    expect(consumers.isFingerprintNew("g", 7, true)).toBe(true);
    expect(consumers.isFingerprintNew("g", 7, false)).toBe(false);
    expect(consumers.isFingerprintNew("g", 7, true)).toBe(false);
    expect(consumers.isFingerprintNew("g", 8, true)).toBe(true);
    expect(consumers.isFingerprintNew("g", 8, true)).toBe(false);
    a.connection.close("lost");
    consumers.register("g", client("b"), KIND, [sub("t")], true);
    expect(consumers.isFingerprintNew("g", 8, true)).toBe(true);
    expect(consumers.isFingerprintNew("nobody", 8, false)).toBe(false);
  });

  test("nothing is left when it stops", () => {
    const consumers = registry();
    const a = client("a");
    consumers.register("g", a, KIND, [sub("t")], true);
    consumers.stop();
    expect(vi.getTimerCount()).toBe(0);
    expect(a.connection.listeners).toBe(0);
  });
});

describe("what a connection may have kept", () => {
  test("is bounded: further groups are not taken, and what it has goes with it", () => {
    const consumers = registry();
    const greedy = client("greedy");
    const tags = "x".repeat(60_000);
    for (let i = 0; i < 300; i++) consumers.register(`g${i}`, greedy, KIND, [sub("t", 1, tags)], true);
    const groups = [...consumers.groups()].length;
    expect(groups).toBeGreaterThan(30);
    expect(groups).toBeLessThan(80);
    const [known] = consumers.groups();
    // What it has had kept does not count a second time.
    expect(consumers.register(known as string, greedy, KIND, [sub("u", 2, tags)], true)).toBe(true);
    consumers.unregister(known as string, greedy.connection);
    consumers.register("new", greedy, KIND, [sub("t", 1, tags)], true);
    expect(consumers.find("new")).toBeDefined();
    greedy.connection.close("lost");
    expect([...consumers.groups()]).toEqual([]);
  });

  test("a heartbeat that is not taken changes nothing of a group that others are in", () => {
    const consumers = registry();
    const [member, stranger] = [client("member"), client("stranger")];
    consumers.register("g", member, KIND, [sub("t")], true);
    stranger.connection.close("lost");
    const kind: ConsumerKind = { ...KIND, messageModel: "BROADCASTING" };
    expect(consumers.register("g", stranger, kind, [sub("u")], false)).toBe(false);
    expect(consumers.find("g")).toMatchObject({ messageModel: "CLUSTERING" });
    expect([...(consumers.find("g")?.subscriptions.keys() ?? [])]).toEqual(["t"]);
  });

  test("an id that changes with each heartbeat leaves nothing", () => {
    const producers = new ProducerRegistry({ expiryMs: () => EXPIRY_MS });
    const connection = new FakeConnection();
    for (let i = 0; i < 100; i++) producers.register("g", client(`id-${i}`, connection));
    expect(producers.clients("g").map(({ clientId }) => clientId)).toEqual(["id-99"]);
    connection.close("lost");
    expect(producers.clients("g")).toEqual([]);
  });
});

describe("clocks", () => {
  test("that are set do not end what clients have", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const producers = new ProducerRegistry({ expiryMs: () => EXPIRY_MS });
    const one = client("one");
    producers.register("g", one);
    vi.advanceTimersByTime(EXPIRY_MS + 60_000);
    expect(one.connection.isOpen).toBe(true);
    producers.stop();
  });

  test("a very long time is waited in parts", () => {
    const producers = new ProducerRegistry({ expiryMs: () => 2 ** 40 });
    const setTimeout = vi.spyOn(globalThis, "setTimeout");
    producers.register("g", client("one"));
    expect(setTimeout.mock.calls.map(([, ms]) => ms)).toEqual([3_600_000]);
    vi.advanceTimersByTime(3_600_000);
    expect(setTimeout.mock.calls.map(([, ms]) => ms)).toEqual([3_600_000, 3_600_000]);
    producers.stop();
  });
});
