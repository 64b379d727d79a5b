/** How far groups have come in the queues of their topics. */
import type { Store } from "moraine";
import type { BrokerConfig } from "../config/broker-config.ts";
import { answerJson } from "../protocol/answers.ts";
import type { MessageQueue } from "../protocol/bodies/message-queue.ts";
import type { ConsumeStats, ConsumeStatsList, OffsetWrapper, QueueTimeSpan } from "../protocol/bodies/statistics.ts";
import type { TopicConfig } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { Statistics } from "../services/statistics.ts";
import type { GroupTable } from "../tables/group-table.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers } from "../transport/connection.ts";
import { brokerAddress, earliestTimeOf, timeOrNone } from "./queues.ts";
import { Slices } from "./slices.ts";

export interface ConsumeStatsParts {
  readonly store: Store;
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly offsets: OffsetTable;
  readonly consumers: ConsumerRegistry;
  readonly statistics: Statistics;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

/** Of so many queues the answer fits into a frame; more would be gathered, with megabytes of memory, for nothing. */
const MAX_QUEUES = 90_000;

export function consumeStatsHandlers(parts: ConsumeStatsParts): Handlers {
  return [
    [RequestCode.GET_CONSUME_STATS, (request) => groupStats(parts, request)],
    [RequestCode.GET_BROKER_CONSUME_STATS, (request) => brokerStats(parts, request)],
    [RequestCode.QUERY_CONSUME_TIME_SPAN, (request) => timeSpans(parts, request)],
  ];
}

async function groupStats(parts: ConsumeStatsParts, request: Command): Promise<Response> {
  const fields = new Fields(request.ext);
  const group = fields.text("consumerGroup");
  const listed = (fields.optionalText("topicList") ?? "").split(";").filter((topic) => topic.trim() !== "");
  const topic = fields.optionalText("topic") ?? "";
  const asked = listed.length > 0 ? new Set(listed) : subscribedOf(parts, group, topic);
  const offsetTable = new Map<MessageQueue, OffsetWrapper>();
  const slices = new Slices();
  let [consumeTps, queues] = [0, 0];
  for (const name of asked) {
    const config = parts.topics.get(name);
    if (config === undefined) continue;
    queues += config.readQueueNums;
    checkQueues(queues, "ask for its topics one by one (topicList)");
    for (const [queue, progress] of await progressIn(parts, group, config, config.readQueueNums, slices)) {
      offsetTable.set(queue, progress);
    }
    consumeTps += parts.statistics.tps("GROUP_GET_NUMS", `${name}@${group}`);
  }
  return answerJson({ consumeTps, offsetTable } satisfies ConsumeStats);
}

function checkQueues(queues: number, right: string): void {
  if (queues <= MAX_QUEUES) return;
  const sentence = `there are more than ${MAX_QUEUES} queues, which no answer takes; ${right}`;
  throw new RequestError(ResponseCode.SYSTEM_ERROR, sentence);
}

/** Of an online group, only what it subscribes to now. */
function subscribedOf({ offsets, consumers }: ConsumeStatsParts, group: string, topic: string): readonly string[] {
  const topics = topic.trim() === "" ? offsets.topicsOf(group) : [topic];
  const subscriptions = consumers.find(group)?.subscriptions;
  if (subscriptions === undefined || subscriptions.size === 0) return topics;
  return topics.filter((name) => subscriptions.has(name));
}

async function progressIn(
  parts: ConsumeStatsParts,
  group: string,
  { topicName: topic }: TopicConfig,
  queues: number,
  slices: Slices,
): Promise<[MessageQueue, OffsetWrapper][]> {
  const progress: [MessageQueue, OffsetWrapper][] = [];
  for (let queueId = 0; queueId < queues; queueId++) {
    progress.push([{ brokerName: parts.config.brokerName, queueId, topic }, progressOf(parts, group, topic, queueId)]);
    const pause = slices.pause();
    if (pause !== undefined) await pause;
  }
  return progress;
}

function progressOf(
  { store, config, offsets }: ConsumeStatsParts,
  group: string,
  topic: string,
  queueId: number,
): OffsetWrapper {
  const consumerOffset = committedIn(config, offsets, group, topic, queueId) ?? 0;
  const time = timeOrNone(store, topic, queueId, consumerOffset - 1);
  return {
    brokerOffset: store.offsets(topic, queueId).max,
    consumerOffset,
    lastTimestamp: Math.max(time, 0),
    pullOffset: Math.max(consumerOffset, offsets.pulled(group, topic, queueId) ?? 0),
  };
}

/** What was set back counts as committed at once. */
function committedIn(
  { useServerSideResetOffset }: BrokerConfig,
  offsets: OffsetTable,
  group: string,
  topic: string,
  queueId: number,
): number | undefined {
  const pending = useServerSideResetOffset ? offsets.pendingReset(group, topic, queueId) : undefined;
  return pending ?? offsets.committed(group, topic, queueId);
}

/** Of all groups, by write queues. RocketMQ leaves out here how far was pulled. */
async function brokerStats(parts: ConsumeStatsParts, request: Command): Promise<Response> {
  const isOrder = new Fields(request.ext).boolean("isOrder");
  const consumeStatsList: Record<string, ConsumeStats[]>[] = [];
  const slices = new Slices();
  let [totalDiff, totalInflightDiff, queues] = [0, 0, 0];
  for (const { groupName } of parts.groups.all()) {
    const stats: ConsumeStats[] = [];
    for (const name of subscribedOf(parts, groupName, "")) {
      const config = parts.topics.get(name);
      if (config === undefined || (isOrder && !config.order)) continue;
      queues += config.writeQueueNums;
      checkQueues(queues, "ask for the groups one by one");
      const offsetTable = new Map(await progressIn(parts, groupName, config, config.writeQueueNums, slices));
      for (const { brokerOffset, consumerOffset, pullOffset } of offsetTable.values()) {
        totalDiff += brokerOffset - consumerOffset;
        totalInflightDiff += pullOffset - consumerOffset;
      }
      stats.push({ consumeTps: parts.statistics.tps("GROUP_GET_NUMS", `${name}@${groupName}`), offsetTable });
    }
    consumeStatsList.push({ [groupName]: stats });
  }
  const brokerAddr = brokerAddress(parts.config);
  return answerJson({ brokerAddr, consumeStatsList, totalDiff, totalInflightDiff } satisfies ConsumeStatsList);
}

async function timeSpans(parts: ConsumeStatsParts, request: Command): Promise<Response> {
  const { store, config, topics, offsets, now = Date.now } = parts;
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const group = fields.text("group");
  const found = topics.get(topic);
  if (found === undefined) throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`);
  const consumeTimeSpanSet: QueueTimeSpan[] = [];
  const slices = new Slices();
  for (let queueId = 0; queueId < found.writeQueueNums; queueId++) {
    const { min, max } = store.offsets(topic, queueId);
    const minTimeStamp = earliestTimeOf(store, topic, queueId);
    // RocketMQ reckons from 1970 where nothing was consumed; here it is the first message that waits.
    const offset = Math.max(committedIn(config, offsets, group, topic, queueId) ?? min, min);
    consumeTimeSpanSet.push({
      consumeTimeStamp: offset > min ? timeOrNone(store, topic, queueId, offset - 1) : minTimeStamp,
      delayTime: offset < max ? now() - timeOrNone(store, topic, queueId, offset) : 0,
      maxTimeStamp: timeOrNone(store, topic, queueId, max - 1),
      messageQueue: { brokerName: config.brokerName, queueId, topic },
      minTimeStamp,
    });
    const pause = slices.pause();
    if (pause !== undefined) await pause;
  }
  return answerJson({ consumeTimeSpanSet });
}
