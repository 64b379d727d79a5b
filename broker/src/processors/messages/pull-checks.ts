/** Whether somebody may pull, and what of a topic, in the order in which RocketMQ looks (`PullMessageProcessor`). */
import type { BrokerConfig } from "../../config/broker-config.ts";
import type { SubscriptionGroupConfig } from "../../protocol/bodies/subscription-group.ts";
import { Permission, type TopicConfig } from "../../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../../protocol/codes.ts";
import { printAddress } from "../../protocol/hosts.ts";
import { isToolGroup } from "../../protocol/names.ts";
import { RequestError } from "../../protocol/request-error.ts";
import { buildSubscription, isTagType, type SubscriptionData } from "../../protocol/subscription.ts";
import { isReadable } from "../../services/broker-permission.ts";
import type { ConsumerRegistry } from "../../services/consumers.ts";
import { Forbidden, type GroupTable } from "../../tables/group-table.ts";
import type { TopicTable } from "../../tables/topic-table.ts";
import type { Connection } from "../../transport/connection.ts";
import { PullFlag, type PullRequest } from "./pull-request.ts";
import { HELP } from "./refusals.ts";

export interface PullCheckParts {
  readonly config: BrokerConfig;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly consumers: ConsumerRegistry;
}

export interface CheckedPull {
  readonly group: SubscriptionGroupConfig;
  readonly topic: TopicConfig;
  readonly subscription: SubscriptionData;
}

/** Longest expression of tags: the store takes no longer one. */
const MAX_EXPRESSION = 65_536;

/** What is forbidden, by RocketMQ's `ForbiddenType`. */
const ForbiddenType = { broker: 1, group: 2, topic: 3, broadcasting: 4, subscription: 5 } as const;

/** A pull that is not allowed; the kind is told in a field of its own. */
export class ForbiddenPull extends RequestError {
  readonly forbiddenType: number;

  constructor(kind: keyof typeof ForbiddenType, message: string) {
    super(ResponseCode.NO_PERMISSION, message);
    this.forbiddenType = ForbiddenType[kind];
  }
}

/** Throws `RequestError` for what is not allowed. */
export function checkPull(pull: PullRequest, code: number, connection: Connection, parts: PullCheckParts): CheckedPull {
  const { config, groups, topics } = parts;
  if (!isReadable(config)) {
    throw new ForbiddenPull("broker", `the broker[${config.brokerIP1}] pulling message is forbidden`);
  }
  if (code === RequestCode.LITE_PULL_MESSAGE && !config.litePullMessageEnable) {
    const remark = `the broker[${config.brokerIP1}] for lite pull consumer pulling message is forbidden`;
    throw new ForbiddenPull("broker", remark);
  }
  const group = groups.find(pull.group);
  if (group === undefined) {
    const remark = `subscription group [${pull.group}] does not exist, ${HELP}`;
    throw new RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark);
  }
  if (!group.consumeEnable) throw new ForbiddenPull("group", `subscription group no permission, ${pull.group}`);
  const topic = topics.get(pull.topic);
  if (topic === undefined) {
    throw new RequestError(ResponseCode.TOPIC_NOT_EXIST, `topic[${pull.topic}] not exist, apply first please! ${HELP}`);
  }
  if ((topic.perm & Permission.READ) === 0) {
    throw new ForbiddenPull("topic", `the topic[${pull.topic}] pulling message is forbidden`);
  }
  if (pull.queueId < 0 || pull.queueId >= topic.readQueueNums) {
    throw new RequestError(
      ResponseCode.INVALID_PARAMETER,
      `queueId[${pull.queueId}] is illegal, topic:[${pull.topic}] topicConfig.readQueueNums:[${topic.readQueueNums}] ` +
        `consumer:[/${printAddress(connection.remote)}]`,
    );
  }
  const hasOwn = (pull.sysFlag & PullFlag.subscription) !== 0;
  const subscription = hasOwn ? givenSubscription(pull, parts) : knownSubscription(pull, group, parts);
  if (!isTagType(subscription.expressionType)) {
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `The broker does not support consumer to filter message by ${subscription.expressionType}`,
    );
  }
  if (isRejected(pull.group, connection, parts)) {
    const remark = `the consumer's group info not exist, or the pull consumer is rejected by server.${HELP}`;
    throw new RequestError(ResponseCode.SUBSCRIPTION_NOT_EXIST, remark);
  }
  return { group, topic, subscription };
}

/** Whether only consumers with listeners may pull, and neither the group nor this member of it has said that it is one. */
function isRejected(name: string, connection: Connection, { config, consumers }: PullCheckParts): boolean {
  if (!config.rejectPullConsumerEnable || isToolGroup(name)) return false;
  const group = consumers.find(name);
  if (group === undefined) return true;
  const isMember = group.clients.some((client) => client.connection === connection);
  return group.consumeType === "CONSUME_ACTIVELY" && !isMember;
}

/** That of the request itself, remembered for those who ask who consumes what. */
function givenSubscription(pull: PullRequest, { consumers }: PullCheckParts): SubscriptionData {
  let data: SubscriptionData;
  if ((pull.subscription?.length ?? 0) > MAX_EXPRESSION) {
    const remark = `the subscription is longer than ${MAX_EXPRESSION} characters`;
    throw new RequestError(ResponseCode.SUBSCRIPTION_PARSE_FAILED, remark);
  }
  try {
    data = buildSubscription(pull.topic, pull.subscription, pull.expressionType, pull.subVersion);
  } catch (cause) {
    const remark = "parse the consumer's subscription failed";
    throw new RequestError(ResponseCode.SUBSCRIPTION_PARSE_FAILED, remark, { cause });
  }
  return consumers.compensate(pull.group, data);
}

/** That of the group's heartbeats. */
function knownSubscription(
  { group: name, topic, subVersion }: PullRequest,
  group: SubscriptionGroupConfig,
  { consumers, groups }: PullCheckParts,
): SubscriptionData {
  const model = consumers.messageModel(name);
  if (model === undefined) {
    throw new RequestError(ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's group info not exist${HELP}`);
  }
  if (!group.consumeBroadcastEnable && model === "BROADCASTING") {
    throw new ForbiddenPull("broadcasting", `the consumer group[${name}] can not consume by broadcast way`);
  }
  if ((groups.forbidden(name, topic) & Forbidden.read) !== 0) {
    throw new ForbiddenPull("subscription", `the consumer group[${name}] is forbidden for topic[${topic}]`);
  }
  const found = consumers.subscription(name, topic);
  if (found === undefined) {
    throw new RequestError(ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's subscription not exist${HELP}`);
  }
  if (found.subVersion < subVersion) {
    throw new RequestError(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest");
  }
  return found;
}
