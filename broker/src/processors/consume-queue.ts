/** Entries of a consume queue, as tools look at them. */
import type { Store } from "moraine";
import { answerJson } from "../protocol/answers.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers } from "../transport/connection.ts";
import { knownQueue } from "./queues.ts";

export interface ConsumeQueueParts {
  readonly store: Store;
  readonly topics: TopicTable;
  readonly consumers: ConsumerRegistry;
}

/** Most entries of one answer. */
const MAX_ENTRIES = 16_384;

export function consumeQueueHandlers(parts: ConsumeQueueParts): Handlers {
  return [[RequestCode.QUERY_CONSUME_QUEUE, (request) => queryConsumeQueue(parts, request)]];
}

function queryConsumeQueue(parts: ConsumeQueueParts, request: Command): Response {
  const { store, consumers } = parts;
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const queueId = fields.int("queueId");
  const index = fields.long("index");
  const count = fields.int("count");
  const group = fields.optionalText("consumerGroup");
  if (!isQueue(parts, topic, queueId)) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `${queueId}@${topic} is not exist!`);
  }
  const { min: minQueueIndex, max: maxQueueIndex } = store.offsets(topic, queueId);
  if (index < minQueueIndex || index >= maxQueueIndex) {
    return { code: ResponseCode.SUCCESS, remark: `Index ${index} of ${queueId}@${topic} is not exist!` };
  }
  const max = Math.min(count, MAX_ENTRIES);
  const entries = max > 0 ? store.entries(topic, queueId, { from: index, max }) : [];
  return answerJson({
    ...subscriptionOf(consumers, group, topic),
    maxQueueIndex,
    minQueueIndex,
    queueData: entries.map(({ physicalOffset, size, tagsCode }) => ({
      eval: false,
      physicOffset: physicalOffset,
      physicSize: size,
      tagsCode,
    })),
  });
}

/** One that messages are in, or may come to. */
function isQueue({ store, topics }: ConsumeQueueParts, topic: string, queueId: number): boolean {
  if (!knownQueue(topic, queueId)) return false;
  const { readQueueNums = 0, writeQueueNums = 0 } = topics.get(topic) ?? {};
  return queueId < Math.max(readQueueNums, writeQueueNums) || store.queues(topic).includes(queueId);
}

/** The group's subscription, and its filter: there are none of properties, which RocketMQ writes as the text `null`. */
function subscriptionOf(consumers: ConsumerRegistry, group: string | undefined, topic: string): object {
  if (group === undefined) return {};
  const subscriptionData = consumers.subscription(group, topic);
  if (subscriptionData === undefined) return { filterData: `${group}@${topic} is not online!` };
  return { subscriptionData, filterData: "null" };
}
