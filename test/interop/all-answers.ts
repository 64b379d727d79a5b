/** Everything that a store answers, so that two of it can be held against each other. */
import type { Store } from "../../src/index.ts";
import { sha256 } from "./written.ts";

export interface AllAnswers {
  log: unknown[];
  queues: unknown[];
  keys: Record<string, number[]>;
}

/** Log, queues, times and keys; index entries are asked for by the key of every message. */
export function allAnswers(store: Store): AllAnswers {
  const keys: Record<string, number[]> = {};
  const log = [...store.scan({})].map((item) => {
    if (item.kind !== "message") return [item.kind, item.physicalOffset, item.size];
    const { message } = item;
    for (const key of message.keys) {
      const name = `${message.topic} ${key}`;
      keys[name] ??= store.lookup(message.topic, key, { max: 10_000 }).map(({ physicalOffset }) => physicalOffset);
    }
    return ["message", message.physicalOffset, message.size, sha256(message.raw)];
  });
  const queues = store
    .topics()
    .flatMap((topic) => store.queues(topic).map((queueId) => queueAnswers(store, topic, queueId)));
  return { log, queues, keys };
}

function queueAnswers(store: Store, topic: string, queueId: number): unknown {
  const { min, max, next } = store.offsets(topic, queueId);
  const entries = [...store.entries(topic, queueId, { from: min, max: max - min + 1 })];
  const found = max > min ? store.get(topic, queueId, min, { max: max - min, maxBytes: 64 * 1024 * 1024 }) : undefined;
  const places = found?.messages.map(({ physicalOffset, queueOffset }) => [queueOffset, physicalOffset]);
  const times = [min, Math.floor((min + max) / 2), max - 1].map((offset) => {
    const time = offset < max ? store.timeOf(topic, queueId, offset) : undefined;
    return time === undefined ? undefined : [time, store.offsetByTime(topic, queueId, time, "lower")];
  });
  return { topic, queueId, min, max, next, entries, status: found?.status, places, times };
}
