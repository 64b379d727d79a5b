/** How the broker does, as tools show it: RocketMQ's names. What is not measured here is left out. */
import { join } from "node:path";
import { type Store, StoreError } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { answerJson } from "../protocol/answers.ts";
import { RequestCode } from "../protocol/codes.ts";
import type { Response } from "../protocol/command.ts";
import { OWN_VERSION, versionName } from "../protocol/versions.ts";
import type { DelayService } from "../services/delay-service.ts";
import { diskUse } from "../services/disk-use.ts";
import type { Statistics } from "../services/statistics.ts";
import type { Handlers } from "../transport/connection.ts";
import { NO_TIME } from "./queues.ts";

export interface RuntimeInfoParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly statistics: Statistics;
  readonly delays: Pick<DelayService, "progress">;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly now?: (() => number) | undefined;
}

type Table = Readonly<Record<string, string>>;

/** Requests are answered as they come: there are no pools of threads in front of which they would wait. */
const POOLS: readonly string[] = ["send", "pull", "litePull", "query", "ack"];

export function runtimeInfoHandlers(parts: RuntimeInfoParts): Handlers {
  return [[RequestCode.GET_BROKER_RUNTIME_INFO, () => runtimeInfo(parts)]];
}

async function runtimeInfo(parts: RuntimeInfoParts): Promise<Response> {
  const { config, statistics } = parts;
  const counted = Object.entries(statistics.runtime()).map(([name, value]): [string, string] => [name, String(value)]);
  const table: Table = {
    ...Object.fromEntries(counted),
    ...(await disk(parts.store)),
    ...(await log(parts.store)),
    ...running(parts),
    // In RocketMQ: that delayed messages are delivered. A full disk ends that here as little as there; `commitLogDiskRatio`
    // tells of it, and the log.
    brokerActive: String(parts.store.state === "open"),
    ...pools(),
    ...timers(),
    ...delays(parts),
    // RocketMQ's answer where there is no such pool.
    remainTransientStoreBufferNumbs: "2147483647",
    startAcceptSendRequestTimeStamp: String(config.startAcceptSendRequestTimeStamp),
  };
  return answerJson({ table });
}

function running({ startedAt, now = Date.now }: RuntimeInfoParts): Table {
  const seconds = Math.max(Math.floor((now() - startedAt) / 1000), 0);
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  return {
    bootTimestamp: String(startedAt),
    brokerVersionDesc: versionName(OWN_VERSION),
    runtime: `[ ${days} days, ${hours} hours, ${minutes} minutes, ${seconds % 60} seconds ]`,
  };
}

async function log(store: Store): Promise<Table> {
  const { minOffset, endOffset, durableOffset, visibleOffset } = store.log;
  const { messagesPut = 0, bytesPut = 0 } = store.stats();
  return {
    commitLogMinOffset: String(minOffset),
    commitLogMaxOffset: String(endOffset),
    // Whoever can read a message finds it in its queue, too.
    dispatchBehindBytes: String(endOffset - visibleOffset),
    earliestMessageTimeStamp: String(await earliestTime(store)),
    pageCacheLockTimeMills: "0",
    putMessageAverageSize: String(messagesPut > 0 ? bytesPut / messagesPut : 0),
    putMessageSizeTotal: String(bytesPut),
    putMessageTimesTotal: String(messagesPut),
    remainHowManyDataToFlush: humanBytes(endOffset - durableOffset),
  };
}

/** Of the first message in the log. */
async function earliestTime(store: Store): Promise<number> {
  try {
    return (await store.fetchAt(store.log.minOffset))?.storeTimestamp ?? NO_TIME;
  } catch (error) {
    // That it is damaged is told to those who read it, and by the store's health.
    if (error instanceof StoreError && error.code === "STORE_CORRUPT") return NO_TIME;
    throw error;
  }
}

async function disk(store: Store): Promise<Table> {
  const { capacity, free, usedPercent } = await diskUse(store.path);
  const ratio = String(usedPercent / 100);
  return {
    commitLogDirCapacity: `Total : ${humanBytes(capacity)}, Free : ${humanBytes(free)}.`,
    commitLogDiskRatio: ratio,
    [`commitLogDiskRatio_${join(store.path, "commitlog")}`]: ratio,
    consumeQueueDiskRatio: ratio,
  };
}

function pools(): Table {
  const table: Record<string, string> = { EndTransactionQueueSize: "0" };
  for (const pool of POOLS) {
    table[`${pool}ThreadPoolQueueSize`] = "0";
    table[`${pool}ThreadPoolQueueHeadWaitTimeMills`] = "0";
  }
  return table;
}

/** As RocketMQ answers where its timers are off. */
function timers(): Table {
  return {
    timerReadBehind: "0",
    timerOffsetBehind: "0",
    timerCongestNum: "0",
    timerEnqueueTps: "0.0",
    timerDequeueTps: "0.0",
  };
}

function delays({ delays: service }: RuntimeInfoParts): Table {
  const levels = service
    .progress()
    .map(({ level, delivered, max }) => [`scheduleMessageOffset_${level}`, `${delivered},${max}`]);
  return Object.fromEntries(levels) as Table;
}

const UNITS = "KMGTPE";

/** As RocketMQ writes amounts: `1.5 GiB`. */
export function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const exponent = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length);
  return `${(bytes / 1024 ** exponent).toFixed(1)} ${UNITS[exponent - 1]}iB`;
}
