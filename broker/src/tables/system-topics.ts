/** Topics that a broker has from its first start on. */
import type { BrokerConfig } from "../config/broker-config.ts";
import { Permission, type TopicConfig } from "../protocol/bodies/topic-config.ts";
import { SystemTopic } from "../protocol/names.ts";
import { READ_WRITE, topicConfig } from "./topic-config.ts";

const SCHEDULE_QUEUES = 18;
const BENCHMARK_QUEUES = 1024;
const CLUSTER_QUEUES = 16;

export function systemTopics(config: BrokerConfig): TopicConfig[] {
  const { brokerClusterName, brokerName } = config;
  const inherited = (enabled: boolean) => ({ perm: Permission.INHERIT | (enabled ? READ_WRITE : 0) });
  return [
    topicConfig(SystemTopic.SELF_TEST, 1),
    ...(config.autoCreateTopicEnable
      ? [topicConfig(SystemTopic.DEFAULT, config.defaultTopicQueueNums, inherited(true))]
      : []),
    topicConfig(SystemTopic.BENCHMARK, BENCHMARK_QUEUES),
    topicConfig(brokerClusterName, CLUSTER_QUEUES, inherited(config.clusterTopicEnable)),
    topicConfig(brokerName, 1, inherited(config.brokerTopicEnable)),
    topicConfig(SystemTopic.OFFSET_MOVED, 1),
    topicConfig(SystemTopic.SCHEDULE, SCHEDULE_QUEUES),
    ...(config.traceTopicEnable ? [topicConfig(config.msgTraceTopicName, 1)] : []),
    topicConfig(`${brokerClusterName}_REPLY_TOPIC`, 1),
    topicConfig(`rmq_sys_REVIVE_LOG_${brokerClusterName}`, config.reviveQueueNum),
    topicConfig(`rmq_sys_SYNC_BROKER_MEMBER_${brokerName}`, 1, { perm: Permission.INHERIT }),
    topicConfig(SystemTopic.TRANSACTION_HALF, 1),
    topicConfig(SystemTopic.TRANSACTION_OP, 1),
  ];
}
