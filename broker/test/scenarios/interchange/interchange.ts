/** A store that was filled through our broker is opened by Apache's, whose clients go on where they were; and back. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { parseBody } from "../../../src/protocol/json.ts";
import type { Received } from "../../clients/driver.ts";
import type { Facts } from "../facts.ts";
import type { Scenario } from "../scenario.ts";
import { registered, type Scene } from "../scene.ts";
import { HalfWay, Hasty, Live } from "./groups.ts";
import { Bulk, Configured, Found } from "./kept.ts";
import type { Part } from "./part.ts";
import { Turns } from "./turns.ts";
import { DeadLetters, Delayed, Retried } from "./waiting.ts";

const GET_ALL_TOPIC_CONFIG = 21;
const GET_ALL_SUBSCRIPTIONGROUP_CONFIG = 201;

interface How {
  readonly signal: "SIGTERM" | "SIGKILL";
  /** Level of what waits while the store changes hands: longer than the one broker takes to end, and the other to start. */
  readonly level: number;
  /** More than files of the settings take. */
  readonly bulk: boolean;
}

async function interchange(scene: Scene, { signal, level, bulk }: How): Promise<Facts> {
  const turns = scene.subject;
  assert.ok(turns instanceof Turns);
  const parts: Part[] = await Promise.all([
    HalfWay.make(scene, "half", false),
    HalfWay.make(scene, "ordered", true),
    Live.make(scene),
    Retried.make(scene, level),
    Delayed.make(scene, level),
    Hasty.make(scene),
    DeadLetters.make(scene),
    Configured.make(scene),
    Found.make(scene),
    ...(bulk ? [Bulk.make(scene)] : []),
  ]);
  const all = (act: (part: Part) => Promise<void> | undefined): Promise<unknown> => Promise.all(parts.map(act));
  for (const round of [1, 2]) {
    await all((part) => part.fill(round));
    // A clean end notes everything; before a kill it is waited for, so that it is known what may come again.
    if (signal === "SIGKILL") await noted(turns, parts);
    const before = await contents(scene);
    const names = await configurations(scene);
    // The one that is about the very last moment comes last.
    for (const part of parts) await part.beforeEnd?.(round);
    const progress = await turns.end(signal);
    await all((part) => part.afterEnd?.());
    await turns.pass();
    await registered(turns, scene.hand);
    await scene.routed(scene.name("half"));
    sameConfigurations(names, await configurations(scene));
    sameMessages(before, await contents(scene), turns.kind);
    await all((part) => part.check(round, progress, signal === "SIGKILL"));
  }
  return null;
}

/** Waits until the broker has noted all that was done. */
async function noted(turns: Turns, parts: readonly Part[]): Promise<void> {
  const until = Date.now() + 60_000;
  for (;;) {
    const progress = turns.noted();
    const all = await Promise.all(parts.map((part) => part.isNoted?.(progress) ?? true));
    if (all.every(Boolean)) return;
    const late = parts.filter((_, i) => !all[i]).map((part) => part.constructor.name);
    assert.ok(Date.now() < until, `${turns.kind} does not note what was done: ${late}`);
    await sleep(100);
  }
}

type Configurations = Readonly<Record<"topics" | "groups", Readonly<Record<string, unknown>>>>;

/** Of topics and groups of the scenario, those made by brokers for retries and dead letters among them. */
async function configurations(scene: Scene): Promise<Configurations> {
  const table = async (code: number, part: string): Promise<Record<string, unknown>> => {
    const { body } = await scene.raw(code);
    const all = (parseBody(Buffer.from(body ?? "{}")) as Record<string, Record<string, unknown>>)[part];
    return Object.fromEntries(Object.entries({ ...all }).filter(([name]) => name.includes(scene.name(""))));
  };
  return {
    topics: await table(GET_ALL_TOPIC_CONFIG, "topicConfigTable"),
    groups: await table(GET_ALL_SUBSCRIPTIONGROUP_CONFIG, "subscriptionGroupTable"),
  };
}

/** The next broker may have made more by now, but none other. */
function sameConfigurations(before: Configurations, after: Configurations): void {
  for (const kind of ["topics", "groups"] as const) {
    assert.ok(Object.keys(before[kind]).length > 5, `only ${Object.keys(before[kind])}`);
    for (const [name, configuration] of Object.entries(before[kind])) {
      assert.deepEqual(after[kind][name], configuration, `${kind} ${name}`);
    }
  }
}

/** All messages of the scenario by topic, as Java's client pulls them. */
async function contents(scene: Scene): Promise<ReadonlyMap<string, readonly Received[]>> {
  const { topics } = await configurations(scene);
  const found = new Map<string, readonly Received[]>();
  for (const [topic, configuration] of Object.entries(topics)) {
    const { readQueueNums } = configuration as { readQueueNums: number };
    found.set(topic, (await scene.stored(topic, readQueueNums)).map(asStored));
  }
  return found;
}

/** Without what depends on the time of reading. */
function asStored(message: Received): Received {
  const { MIN_OFFSET, MAX_OFFSET, ...properties } = message.properties;
  return { ...message, properties };
}

/** Every message is where it was, as it was; new ones stand behind. */
function sameMessages(
  before: ReadonlyMap<string, readonly Received[]>,
  after: ReadonlyMap<string, readonly Received[]>,
  holder: string,
): void {
  for (const [topic, messages] of before) {
    const there = new Map(after.get(topic)?.map((message) => [`${message.queueId}/${message.queueOffset}`, message]));
    for (const message of messages) {
      const place = `${message.queueId}/${message.queueOffset}`;
      assert.deepEqual(there.get(place), message, `${topic} ${place} as ${holder} gives it`);
    }
  }
}

/** Small files, of which both make several. */
const SMALL = {
  mappedFileSizeCommitLog: 16_777_216,
  mappedFileSizeConsumeQueue: 6000,
  maxHashSlotNum: 200,
  maxIndexNum: 1000,
};
/** So that what Apache's broker has noted before it is killed is known soon. Ours notes after a second. */
const NOTED_SOON = { flushConsumerOffsetInterval: 1000, flushDelayOffsetInterval: 1000 };

export const interchanges: readonly Scenario[] = [
  {
    name: "interchange-killed",
    core: true,
    clients: ["java-5.4.0"],
    own: NOTED_SOON,
    // Files of the sizes that both have by themselves.
    start: (settings = {}) => Turns.begin("moraine", settings),
    run: (scene) => interchange(scene, { signal: "SIGKILL", level: 3, bulk: false }),
  },
  {
    name: "interchange-killed-small",
    core: false,
    clients: ["java-5.4.0"],
    own: { ...SMALL, ...NOTED_SOON },
    start: (settings = {}) => Turns.begin("apache", settings),
    run: (scene) => interchange(scene, { signal: "SIGKILL", level: 3, bulk: true }),
  },
  {
    name: "interchange-stopped",
    core: false,
    clients: ["java-5.4.0"],
    own: SMALL,
    start: (settings = {}) => Turns.begin("apache", settings),
    run: (scene) => interchange(scene, { signal: "SIGTERM", level: 4, bulk: true }),
  },
];
