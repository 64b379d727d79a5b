/** What users have in a broker: filled over one, and looked for over the next. */
import type { Consumed, Received, Sent } from "../../clients/driver.ts";
import { eventually, type Outgoing, type Scene } from "../scene.ts";
import { allSent } from "../sends.ts";
import type { Progress } from "./turns.ts";

export interface Part {
  /** Fills something in, or adds to it. */
  fill(round: number): Promise<void>;
  /** Whether the broker has noted in its tables what was done. */
  isNoted?(progress: Progress): boolean | Promise<boolean>;
  /** What is done at the last moment before the broker ends. */
  beforeEnd?(round: number): Promise<void>;
  /** While no broker runs. */
  afterEnd?(): Promise<void>;
  /** The next broker has the store. `progress` is what the one before had noted; `isUnclean`: it was killed. */
  check(round: number, progress: Progress, isUnclean: boolean): Promise<void>;
}

export const messagesOf = (consumed: readonly Consumed[]): Received[] => consumed.map(({ message }) => message);

/** Where a group goes on in a queue. */
export async function committed(scene: Scene, group: string, topic: string, queueId: number): Promise<number> {
  const { fields } = await scene.raw(14, { consumerGroup: group, topic, queueId });
  return Number(fields?.offset ?? 0);
}

/** Queue offset of the next message of a queue. */
export async function maxOffset(scene: Scene, topic: string, queueId: number): Promise<number> {
  const { fields } = await scene.raw(30, { topic, queueId });
  return Number(fields?.offset);
}

/** Waits until a group has taken and committed all that there is. */
export async function caughtUp(scene: Scene, group: string, topic: string, queues: number): Promise<void> {
  const behind = async (queueId: number): Promise<number> =>
    (await maxOffset(scene, topic, queueId)) - (await committed(scene, group, topic, queueId));
  await eventually(
    () => Promise.all(Array.from({ length: queues }, (_, queueId) => behind(queueId))),
    (all) => all.every((left) => left === 0),
    60_000,
  );
}

/** Sends, and every message must be taken. */
export async function sendAll(
  scene: Scene,
  producer: string,
  topic: string,
  messages: readonly Outgoing[],
  how: Readonly<Record<string, unknown>> = {},
): Promise<Sent[]> {
  const sent = await scene.send(producer, topic, messages, how);
  allSent(sent);
  return sent;
}

/** A group's only consumer leaves. Its broker knows soon; the client's own threads end seconds later, and nobody waits for them. */
export async function leave(scene: Scene, group: string, consumer: string): Promise<void> {
  scene.stop(consumer).catch(() => {
    // What cannot be shut down goes with the process.
  });
  // "no consumer for this group"
  await eventually(
    () => scene.raw(38, { consumerGroup: group }),
    ({ code }) => code === 1,
  );
}
