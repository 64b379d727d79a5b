/** What was put and got, by RocketMQ's names and keys (code 315), and how fast (code 28). */
import type { BrokerStatsData } from "../protocol/bodies/statistics.ts";
import { isSystemTopic } from "../protocol/names.ts";
import { monotonicNow } from "./clock.ts";
import { DayCount, Meter, Rate } from "./meter.ts";

export interface StatisticsOptions {
  /** Key of what is counted over the whole broker. */
  readonly clusterName: string;
  /** Topics that the broker has made for itself. */
  readonly systemTopics?: ReadonlySet<string> | undefined;
  /** Milliseconds of a clock that nobody sets. Days are counted by the one that is set. */
  readonly now?: (() => number) | undefined;
  /**
   * Names and keys that are counted for. With more, counting begins anew but for the whole broker; that of queues apart, of which
   * further ones are not counted for, until others have stood still for an hour. Default 100,000 of either.
   */
  readonly maximum?: number | undefined;
}

const MAXIMUM = 100_000;
/** Queues in which nothing was counted for so long make room for others. */
const IDLE_MS = 3_600_000;
/** Looking for these takes milliseconds. */
const LOOK_MS = 60_000;

/** Numbers and bytes of messages. */
interface Traffic {
  readonly messages: Meter;
  readonly bytes: Meter;
}

interface QueueTraffic extends Traffic {
  /** When something was counted last. */
  at: number;
}

interface TopicTraffic extends Traffic {
  readonly isSystem: boolean;
  /** By queue id. */
  readonly queues: Map<number, QueueTraffic>;
}

/** Numbers of messages over the whole broker. */
interface BrokerTraffic {
  readonly all: Meter;
  /** Without those of RocketMQ's own topics. */
  readonly ofClients: Meter;
}

/** Numbers as code 28 tells them. */
export interface RuntimeStatistics {
  /** Messages a second in the last 10, 60 and 600, divided by spaces, as the following ones. */
  readonly putTps: string;
  /** Pulls that found messages, those that found none, and both. */
  readonly getFoundTps: string;
  readonly getMissTps: string;
  readonly getTotalTps: string;
  /** Messages that were got. */
  readonly getTransferredTps: string;
  readonly msgPutTotalTodayNow: number;
  readonly msgPutTotalTodayMorning: number;
  readonly msgPutTotalYesterdayMorning: number;
  readonly msgGetTotalTodayNow: number;
  readonly msgGetTotalTodayMorning: number;
  readonly msgGetTotalYesterdayMorning: number;
}

export class Statistics {
  readonly #options: StatisticsOptions;
  readonly #now: () => number;
  /** By name, then key. */
  readonly #meters: Map<string, Map<string, Meter>> = new Map();
  /** The meters of a topic, and of a topic and group (`topic@group`), so that no key is made for each message. */
  readonly #put: Map<string, TopicTraffic> = new Map();
  readonly #got: Map<string, TopicTraffic> = new Map();
  /** Meters of queues, and all others. */
  #queues = 0;
  #size = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  readonly #putRate: Rate = new Rate();
  readonly #foundRate: Rate = new Rate();
  readonly #missRate: Rate = new Rate();
  readonly #pullRate: Rate = new Rate();
  readonly #gotRate: Rate = new Rate();
  readonly #putCount: DayCount;
  readonly #gotCount: DayCount;
  readonly #brokerPut: BrokerTraffic;
  readonly #brokerGot: BrokerTraffic;

  constructor(options: StatisticsOptions) {
    this.#options = options;
    this.#now = options.now ?? monotonicNow;
    this.#putCount = new DayCount(Date.now());
    this.#gotCount = new DayCount(Date.now());
    this.#brokerPut = this.#brokerTraffic("BROKER_PUT_NUMS");
    this.#brokerGot = this.#brokerTraffic("BROKER_GET_NUMS");
  }

  /** Messages were put to a queue in one call. */
  put(topic: string, messages: number, bytes: number, queueId?: number): void {
    this.#makeRoom();
    const now = this.#now();
    const traffic = this.#put.get(topic) ?? this.#topicPut(topic);
    traffic.messages.add(now, messages);
    traffic.bytes.add(now, bytes);
    if (queueId !== undefined) {
      const queue =
        traffic.queues.get(queueId) ?? this.#queueTraffic(traffic, "QUEUE_PUT", queuePutKey(topic, queueId), queueId);
      addToQueue(queue, now, messages, bytes);
    }
    addTo(this.#brokerPut, traffic, now, messages);
    this.#putRate.add(now, messages);
    this.#putCount.add(Date.now(), messages);
  }

  /** Messages were got from a queue by a group in one call. */
  got(group: string, topic: string, queueId: number, messages: number, bytes: number): void {
    this.#makeRoom();
    const now = this.#now();
    const key = `${topic}@${group}`;
    const traffic = this.#got.get(key) ?? this.#groupGot(key, topic);
    traffic.messages.add(now, messages);
    traffic.bytes.add(now, bytes);
    const queue =
      traffic.queues.get(queueId) ?? this.#queueTraffic(traffic, "QUEUE_GET", queueGotKey(key, queueId), queueId);
    addToQueue(queue, now, messages, bytes);
    addTo(this.#brokerGot, traffic, now, messages);
    this.#foundRate.add(now, 1);
    this.#pullRate.add(now, 1);
    this.#gotRate.add(now, messages);
    this.#gotCount.add(Date.now(), messages);
  }

  /** A call found no message. */
  missed(): void {
    const now = this.#now();
    this.#missRate.add(now, 1);
    this.#pullRate.add(now, 1);
  }

  /** A consumer has sent a message back. */
  sentBack(group: string, topic: string): void {
    this.add("SNDBCK_PUT_NUMS", `${topic}@${group}`, 1);
  }

  /** A message was put with the dead letters. */
  deadLetter(group: string, topic: string): void {
    this.add("DLQ_PUT_NUMS", `${topic}@${group}`, 1);
  }

  /** Counts under any name and key. */
  add(name: string, key: string, value: number, times = 1): void {
    this.#makeRoom();
    this.#meter(name, key).add(this.#now(), value, times);
  }

  /** Undefined where nothing was counted under the name and key. */
  snapshot(name: string, key: string): BrokerStatsData | undefined {
    return this.#meters.get(name)?.get(key)?.read(this.#now());
  }

  /** Per second, over the last minute. */
  tps(name: string, key: string): number {
    return this.snapshot(name, key)?.statsMinute.tps ?? 0;
  }

  runtime(): RuntimeStatistics {
    const now = this.#now();
    const put = this.#putCount.read(Date.now());
    const got = this.#gotCount.read(Date.now());
    return {
      putTps: this.#putRate.text(now),
      getFoundTps: this.#foundRate.text(now),
      getMissTps: this.#missRate.text(now),
      getTotalTps: this.#pullRate.text(now),
      getTransferredTps: this.#gotRate.text(now),
      msgPutTotalTodayNow: put.now,
      msgPutTotalTodayMorning: put.todayMorning,
      msgPutTotalYesterdayMorning: put.yesterdayMorning,
      msgGetTotalTodayNow: got.now,
      msgGetTotalTodayMorning: got.todayMorning,
      msgGetTotalYesterdayMorning: got.yesterdayMorning,
    };
  }

  /** Forgets what was counted of a topic. */
  deleteTopic(topic: string): void {
    this.#delete(([first]) => first === topic);
  }

  /** Forgets what was counted of a group. */
  deleteGroup(group: string): void {
    this.#delete((parts) => parts.length > 1 && parts.at(-1) === group);
  }

  #meter(name: string, key: string): Meter {
    let meters = this.#meters.get(name);
    if (meters === undefined) {
      meters = new Map();
      this.#meters.set(name, meters);
    }
    let meter = meters.get(key);
    if (meter === undefined) {
      meter = new Meter(this.#now());
      meters.set(key, meter);
      if (isOfQueues(name)) this.#queues++;
      else this.#size++;
    }
    return meter;
  }

  /** Who counts next makes its meters again. */
  #makeRoom(): void {
    if (this.#size < this.#maximum) return;
    this.#delete(() => true);
  }

  get #maximum(): number {
    return this.#options.maximum ?? MAXIMUM;
  }

  #traffic(name: string, key: string): Traffic {
    return { messages: this.#meter(`${name}_NUMS`, key), bytes: this.#meter(`${name}_SIZE`, key) };
  }

  #topicTraffic(name: string, key: string, topic: string): TopicTraffic {
    const isSystem = isSystemTopic(topic, this.#options.systemTopics);
    return { ...this.#traffic(name, key), isSystem, queues: new Map() };
  }

  #topicPut(topic: string): TopicTraffic {
    const traffic = this.#topicTraffic("TOPIC_PUT", topic, topic);
    this.#put.set(topic, traffic);
    return traffic;
  }

  #groupGot(key: string, topic: string): TopicTraffic {
    const traffic = this.#topicTraffic("GROUP_GET", key, topic);
    this.#got.set(key, traffic);
    return traffic;
  }

  /** Undefined where there are too many. */
  #queueTraffic({ queues }: TopicTraffic, name: string, key: string, queueId: number): QueueTraffic | undefined {
    if (this.#queues >= this.#maximum) this.#dropIdleQueues();
    if (this.#queues >= this.#maximum) return undefined;
    const traffic = { ...this.#traffic(name, key), at: 0 };
    queues.set(queueId, traffic);
    return traffic;
  }

  #dropIdleQueues(): void {
    const now = this.#now();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    const drop = (
      traffics: Map<string, TopicTraffic>,
      name: string,
      keyOf: (key: string, queueId: number) => string,
    ) => {
      for (const [key, { queues }] of traffics) {
        for (const [queueId, { at }] of queues) {
          if (now - at < IDLE_MS) continue;
          queues.delete(queueId);
          for (const kind of ["NUMS", "SIZE"]) this.#forget(`${name}_${kind}`, keyOf(key, queueId));
        }
      }
    };
    drop(this.#put, "QUEUE_PUT", queuePutKey);
    drop(this.#got, "QUEUE_GET", queueGotKey);
  }

  #brokerTraffic(name: string): BrokerTraffic {
    const { clusterName } = this.#options;
    return {
      all: this.#meter(name, clusterName),
      ofClients: this.#meter(`${name}_WITHOUT_SYSTEM_TOPIC`, clusterName),
    };
  }

  #forget(name: string, key: string): void {
    if (this.#meters.get(name)?.delete(key) !== true) return;
    if (isOfQueues(name)) this.#queues--;
    else this.#size--;
  }

  #delete(isGone: (parts: readonly string[]) => boolean): void {
    for (const [name, meters] of this.#meters) {
      if (name.startsWith("BROKER_")) continue;
      for (const key of [...meters.keys()]) if (isGone(key.split("@"))) this.#forget(name, key);
    }
    for (const traffic of [this.#put, this.#got]) {
      for (const key of [...traffic.keys()]) if (isGone(key.split("@"))) traffic.delete(key);
    }
  }
}

function isOfQueues(name: string): boolean {
  return name.startsWith("QUEUE_");
}

function queuePutKey(topic: string, queueId: number): string {
  return `${topic}@${queueId}`;
}

/** `key`: topic and group. */
function queueGotKey(key: string, queueId: number): string {
  const [topic, group] = key.split("@");
  return `${topic}@${queueId}@${group}`;
}

function addToQueue(queue: QueueTraffic | undefined, now: number, messages: number, bytes: number): void {
  if (queue === undefined) return;
  queue.messages.add(now, messages);
  queue.bytes.add(now, bytes);
  queue.at = now;
}

function addTo({ all, ofClients }: BrokerTraffic, { isSystem }: TopicTraffic, now: number, messages: number): void {
  all.add(now, messages);
  if (!isSystem) ofClients.add(now, messages);
}
