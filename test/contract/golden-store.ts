/** The store of the vector `store.run.25msgs`: the 25 messages that a running RocketMQ was given. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Message, Store, StoreOptions } from "../../src/index.ts";
import { golden } from "../unit/golden.ts";
import { bytes, openStore } from "./temporary-store.ts";

export interface Put {
  i: number;
  topic: string;
  queueId: number;
  storeTimestamp: number;
  wroteOffset: number;
  wroteBytes: number;
  logicsOffset: number;
  msgId: string;
}

const run = golden("store.run.25msgs").expected as unknown as { puts: Put[] };

/** The sizes of the vector's configuration; RocketMQ writes no record CRC by default. */
export const CONFIGURATION: StoreOptions = {
  segmentBytes: 4096,
  queueFileEntries: 10,
  indexSlots: 16,
  indexEntries: 32,
  recordCrc: false,
};
/** The lock, what is ours alone, and the tables of a broker: not compared. */
export const ASIDE: ReadonlySet<string> = new Set(["lock", "moraine", "config"]);

function messageOf({ i, topic, queueId }: Put): Message {
  const uniqueKey = `7F00000100002A9F18B4AAC2E5D1${i.toString(16).toUpperCase().padStart(4, "0")}`;
  return {
    topic,
    queueId,
    body: bytes(`body-${i}`),
    tags: i % 3 === 0 ? "TagA" : "TagB",
    keys: [`K${i}`],
    properties: { UNIQ_KEY: uniqueKey },
    bornTimestamp: 1_700_000_000_000,
    bornHost: { address: "10.0.0.1", port: 40_001 },
    storeHost: { address: "127.0.0.1", port: 10_911 },
  };
}

/** The 25 messages, put at the times of the vector. */
export async function replayed(path: string): Promise<Store> {
  let now = 0;
  const store = await openStore({ ...CONFIGURATION, clock: () => now }, path);
  for (const put of run.puts) {
    now = put.storeTimestamp;
    expect(store.put(messageOf(put)), `put ${put.i}`).toMatchObject({
      physicalOffset: put.wroteOffset,
      size: put.wroteBytes,
      queueOffset: put.logicsOffset,
      storeTimestamp: put.storeTimestamp,
      offsetMsgId: put.msgId,
    });
  }
  return store;
}

/** Every file of a store with its content; index files are numbered in the order of their names. */
export function filesOf(path: string): Map<string, Uint8Array> {
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => !ASIDE.has(name.split("/")[0] as string) && statSync(join(path, name)).isFile());
  let indexFiles = 0;
  return new Map(
    files.map((name) => {
      const isIndex = name.startsWith("index/");
      if (isIndex) indexFiles += 1;
      const shown = isIndex ? `index/<timestamp name, file #${indexFiles} in name order>` : name;
      return [shown, readFileSync(join(path, name))];
    }),
  );
}
