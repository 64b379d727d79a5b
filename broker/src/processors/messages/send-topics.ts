/** The topic of a message that comes in: checked, and made where that is allowed. */
import type { BrokerConfig } from "../../config/broker-config.ts";
import { Permission, type TopicConfig } from "../../protocol/bodies/topic-config.ts";
import { ResponseCode } from "../../protocol/codes.ts";
import { type HostPort, printAddress } from "../../protocol/hosts.ts";
import { checkTopicName, isNotSendable, isRetryTopic } from "../../protocol/names.ts";
import { RequestError } from "../../protocol/request-error.ts";
import { TopicFlag } from "../../tables/topic-config.ts";
import type { TopicTable } from "../../tables/topic-table.ts";
import { lightTopicRefusal, missingTopic } from "./refusals.ts";
import type { SendRequest } from "./send-request.ts";

const LIGHT_PREFIX = "%LMQ%";

/** In RocketMQ's order: what is refused first is what a client is told. */
export function topicForSend(
  send: SendRequest,
  remote: HostPort,
  { topics, config }: { readonly topics: TopicTable; readonly config: BrokerConfig },
): TopicConfig | Promise<TopicConfig> {
  const { topic } = send;
  const found = topics.get(topic);
  if (found?.order === true && (config.brokerPermission & Permission.WRITE) === 0) {
    throw new RequestError(ResponseCode.NO_PERMISSION, `the broker[${config.brokerIP1}] sending message is forbidden`);
  }
  // A topic of the table has a name that was checked, and is allowed or not by this alone.
  if (found === undefined) checkTopicName(topic);
  if (isNotSendable(topic)) {
    throw new RequestError(ResponseCode.NO_PERMISSION, `Sending message to topic[${topic}] is forbidden.`);
  }
  if (topic.startsWith(LIGHT_PREFIX)) throw lightTopicRefusal(topic);
  if (found === undefined) return madeTopic(send, remote, topics);
  checkQueue(send, found, remote);
  return found;
}

async function madeTopic(send: SendRequest, remote: HostPort, topics: TopicTable): Promise<TopicConfig> {
  const { topic, defaultTopic, defaultTopicQueueNums, unitMode } = send;
  const isRetry = isRetryTopic(topic);
  const sysFlag = unitMode ? (isRetry ? TopicFlag.unitSubscribed : TopicFlag.unit) : 0;
  const made =
    (await topics.createForSend(topic, defaultTopic, defaultTopicQueueNums, sysFlag)) ??
    (isRetry ? await topics.createForRetry(topic, 1, false, sysFlag) : undefined);
  if (made === undefined) throw missingTopic(topic);
  checkQueue(send, made, remote);
  return made;
}

function checkQueue({ queueId }: SendRequest, topic: TopicConfig, remote: HostPort): void {
  if (queueId < Math.max(topic.readQueueNums, topic.writeQueueNums)) return;
  throw new RequestError(
    ResponseCode.INVALID_PARAMETER,
    `request queueId[${queueId}] is illegal, ${describeTopic(topic)} Producer: ${printAddress(remote)}`,
  );
}

/** As RocketMQ prints a topic's configuration into its remarks. */
export function describeTopic(topic: TopicConfig): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, topicSysFlag, order, attributes } = topic;
  const bits = (["READ", "WRITE", "INHERIT"] as const).map((name, i) =>
    (perm & Permission[name]) === 0 ? "-" : "RWX"[i],
  );
  const pairs = Object.entries(attributes).map(([name, value]) => `${name}=${value}`);
  return (
    `TopicConfig [topicName=${topicName}, readQueueNums=${readQueueNums}, writeQueueNums=${writeQueueNums}, ` +
    `perm=${bits.join("")}, topicFilterType=${topicFilterType}, topicSysFlag=${topicSysFlag}, order=${order}, ` +
    `attributes={${pairs.join(", ")}}]`
  );
}

/** A queue of a topic, any. */
export function randomQueue(queues: number): number {
  if (queues > 0) return Math.floor(Math.random() * queues);
  throw new RequestError(ResponseCode.SYSTEM_ERROR, "the topic has no queue that could be written to");
}
