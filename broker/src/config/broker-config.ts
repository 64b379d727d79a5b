/** The options of a broker. Names, meanings and defaults are RocketMQ's, but for those that say so. */
import type { DataVersion } from "../protocol/bodies/data-version.ts";

export interface BrokerConfig {
  // Who it is.
  readonly brokerClusterName: string;
  /** Default: the name of the host, as far as a topic may be called so. */
  readonly brokerName: string;
  /** 0: a master, which is all that there is. */
  readonly brokerId: number;
  /** A master that waits for no replicas, which is all that there is. */
  readonly brokerRole: "ASYNC_MASTER";
  /** Address that clients are told, and that is in message ids. Default, unlike RocketMQ's: 127.0.0.1. */
  readonly brokerIP1: string;
  /** Address that replicas are told; nothing listens there. Default: `brokerIP1`. */
  readonly brokerIP2: string;
  readonly haListenPort: number;
  /** Text of what is sent back with messages, for their traces. */
  readonly regionId: string;

  // Where it listens.
  /** Default, unlike RocketMQ's: 127.0.0.1. */
  readonly bindAddress: string;
  /** Two below it is listened to as well. Default, as in RocketMQ's own files: 10911; at least 3. */
  readonly listenPort: number;
  readonly serverChannelMaxIdleTimeSeconds: number;
  /** Ours: who may send administrative requests. */
  readonly adminAccess: "loopback" | "any";
  /** Ours: who may register with the name server of its own: processes of this machine, or brokers of others, too. */
  readonly brokerAccess: "loopback" | "any";

  // Name servers.
  /** `host:port;host:port`; empty: only the one of its own, where there is one. */
  readonly namesrvAddr: string;
  readonly registerNameServerPeriod: number;
  readonly registerBrokerTimeoutMills: number;
  /** Ours: whether the process has a name server of its own, and where it listens. */
  readonly nameServerEnable: boolean;
  readonly nameServerListenPort: number;

  // What it allows: 2 write, 4 read, 6 both.
  readonly brokerPermission: number;
  /** Milliseconds since the epoch from which on messages are taken. */
  readonly startAcceptSendRequestTimeStamp: number;

  // Topics and groups.
  readonly autoCreateTopicEnable: boolean;
  readonly defaultTopicQueueNums: number;
  readonly clusterTopicEnable: boolean;
  readonly brokerTopicEnable: boolean;
  readonly traceOn: boolean;
  readonly traceTopicEnable: boolean;
  readonly msgTraceTopicName: string;
  readonly reviveQueueNum: number;
  readonly validateSystemTopicWhenUpdateTopic: boolean;
  readonly enableMixedMessageType: boolean;
  readonly clearRetryTopicWhenDeleteTopic: boolean;
  readonly autoCreateSubscriptionGroup: boolean;
  /** Ours: topics, and groups, that there may be, with those made otherwise, for one more to be made as a client asks for it. */
  readonly maxAutoCreated: number;
  /** Ours: how many of each are made at once for clients, and in a second on and on. */
  readonly autoCreateBurst: number;
  readonly autoCreatePerSecond: number;
  readonly enableCreateSysGroup: boolean;
  readonly enableSplitMetadata: boolean;
  readonly splitMetadataSize: number;

  // Clients.
  readonly notifyConsumerIdsChangedEnable: boolean;
  readonly channelExpiredTimeout: number;
  readonly subscriptionExpiredTimeout: number;
  readonly rejectPullConsumerEnable: boolean;
  readonly useServerSideResetOffset: boolean;

  // Pulls and queries.
  readonly longPollingEnable: boolean;
  readonly shortPollingTimeMills: number;
  readonly litePullMessageEnable: boolean;
  readonly maxTransferBytesOnMessageInMemory: number;
  readonly maxTransferCountOnMessageInMemory: number;
  readonly defaultQueryMaxNum: number;
  /** Ours: pulls that are held at most, over all queues. */
  readonly maxHeldPulls: number;

  // Messages.
  readonly maxMessageSize: number;
  readonly messageDelayLevel: string;

  // The store.
  readonly storePathRootDir: string;
  readonly flushDiskType: "ASYNC_FLUSH" | "SYNC_FLUSH";
  readonly flushIntervalCommitLog: number;
  readonly syncFlushTimeout: number;
  readonly mappedFileSizeCommitLog: number;
  readonly mappedFileSizeConsumeQueue: number;
  readonly maxHashSlotNum: number;
  readonly maxIndexNum: number;
  readonly messageIndexEnable: boolean;
  readonly enabledAppendPropCRC: boolean;
  /** Hours. */
  readonly fileReservedTime: number;
  /** Hours of the day, divided by `;`, of which the first counts. */
  readonly deleteWhen: string;
  /** Percent of the disk in use, above which old files of the log go at any hour. */
  readonly diskMaxUsedSpaceRatio: number;
  /** Percent above which files go whatever their age, unless `cleanFileForciblyEnable` is false. */
  readonly diskSpaceCleanForciblyRatio: number;
  readonly cleanFileForciblyEnable: boolean;

  /** Options that cannot be changed while it runs, divided by `;`. */
  readonly configBlackList: string;
  /** Ours: the least level of what is logged. */
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** What a configuration tells those who show or change it. */
export interface ConfigurationView {
  /** The options as they are now: the same object, whatever is changed. */
  readonly values: BrokerConfig;
  readonly version: DataVersion;
  /** All options as `name=value`, a line each, in order of the names. */
  text(): string;
  /**
   * Changes options while the broker runs, all or none, and keeps them in the file that the configuration came from.
   * Returns the names of those that have another value now. Throws ConfigurationError.
   */
  update(properties: Readonly<Record<string, string>>): readonly (keyof BrokerConfig)[];
}
