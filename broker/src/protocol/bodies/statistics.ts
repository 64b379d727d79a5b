/** Shapes of answers about queues, offsets and connections. They are printed as they are; maps with queues as keys are `Map`s. */
import type { SubscriptionData } from "../subscription.ts";
import type { ConsumeFromWhere, ConsumeType, MessageModel } from "./heartbeat.ts";
import type { MessageQueue } from "./message-queue.ts";

export interface TopicOffset {
  readonly minOffset: number;
  readonly maxOffset: number;
  /** Milliseconds since 1970; 0 where the queue is empty. */
  readonly lastUpdateTimestamp: number;
}

export interface TopicStatsTable {
  readonly offsetTable: ReadonlyMap<MessageQueue, TopicOffset>;
  readonly topicPutTps: number;
}

export interface OffsetWrapper {
  readonly brokerOffset: number;
  readonly consumerOffset: number;
  readonly pullOffset: number;
  readonly lastTimestamp: number;
}

export interface ConsumeStats {
  readonly offsetTable: ReadonlyMap<MessageQueue, OffsetWrapper>;
  readonly consumeTps: number;
}

export interface ConsumeStatsList {
  readonly brokerAddr: string;
  /** Each with a group as the only key. */
  readonly consumeStatsList: readonly Readonly<Record<string, readonly ConsumeStats[]>>[];
  readonly totalDiff: number;
  readonly totalInflightDiff: number;
}

export interface ResetOffsetBody {
  readonly offsetTable: ReadonlyMap<MessageQueue, number>;
}

/** For clients that are written in C++. */
export interface ResetOffsetBodyForC {
  readonly offsetTable: readonly (MessageQueue & { readonly offset: number })[];
}

export interface QueueTimeSpan {
  readonly messageQueue: MessageQueue;
  readonly minTimeStamp: number;
  readonly maxTimeStamp: number;
  readonly consumeTimeStamp: number;
  readonly delayTime: number;
}

export interface ClientConnection {
  readonly clientId: string;
  /** `ip:port`. */
  readonly clientAddr: string;
  readonly language: string;
  readonly version: number;
}

export interface ConsumerConnection {
  readonly connectionSet: readonly ClientConnection[];
  readonly subscriptionTable: Readonly<Record<string, SubscriptionData>> | ReadonlyMap<string, SubscriptionData>;
  readonly consumeType: ConsumeType;
  readonly messageModel: MessageModel;
  readonly consumeFromWhere: ConsumeFromWhere;
}

export interface ProducerConnection {
  readonly connectionSet: readonly ClientConnection[];
}

export interface ProducerInfo {
  readonly clientId: string;
  readonly remoteIP: string;
  readonly language: string;
  readonly version: number;
  readonly lastUpdateTimestamp: number;
}

export interface BrokerStatsItem {
  readonly sum: number;
  readonly tps: number;
  readonly avgpt: number;
}

export interface BrokerStatsData {
  readonly statsMinute: BrokerStatsItem;
  readonly statsHour: BrokerStatsItem;
  readonly statsDay: BrokerStatsItem;
}

export interface GroupForbidden {
  readonly group: string;
  readonly topic: string;
  readonly readable: boolean;
}
