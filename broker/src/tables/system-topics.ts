/** Topics that a broker has from its first start on. */
import type { BrokerConfig } from "../config/broker-config.ts";
import { Permission, type TopicConfig, topicConfig } from "./topic-config.ts";

/** Topics that are made by sending to them are like this one. */
export const AUTO_CREATE_TOPIC = "TBW102";
/** Messages that wait for their time, a queue for each delay level. */
export const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX";

const SCHEDULE_QUEUES = 18;
const BENCHMARK_QUEUES = 1024;
const CLUSTER_QUEUES = 16;
const READ_WRITE = Permission.read | Permission.write;

export function systemTopics(config: BrokerConfig): TopicConfig[] {
  const { brokerClusterName, brokerName } = config;
  const inherited = (enabled: boolean) => ({ perm: Permission.inherit | (enabled ? READ_WRITE : 0) });
  return [
    topicConfig("SELF_TEST_TOPIC", 1),
    ...(config.autoCreateTopicEnable
      ? [topicConfig(AUTO_CREATE_TOPIC, config.defaultTopicQueueNums, inherited(true))]
      : []),
    topicConfig("BenchmarkTest", BENCHMARK_QUEUES),
    topicConfig(brokerClusterName, CLUSTER_QUEUES, inherited(config.clusterTopicEnable)),
    topicConfig(brokerName, 1, inherited(config.brokerTopicEnable)),
    topicConfig("OFFSET_MOVED_EVENT", 1),
    topicConfig(SCHEDULE_TOPIC, SCHEDULE_QUEUES),
    ...(config.traceTopicEnable ? [topicConfig(config.msgTraceTopicName, 1)] : []),
    topicConfig(`${brokerClusterName}_REPLY_TOPIC`, 1),
    topicConfig(`rmq_sys_REVIVE_LOG_${brokerClusterName}`, config.reviveQueueNum),
    topicConfig(`rmq_sys_SYNC_BROKER_MEMBER_${brokerName}`, 1, { perm: Permission.inherit }),
    topicConfig("RMQ_SYS_TRANS_HALF_TOPIC", 1),
    topicConfig("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1),
  ];
}
