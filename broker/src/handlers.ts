/** All requests that a broker answers. */
import type { Store } from "moraine";
import type { ConfigurationView } from "./config/broker-config.ts";
import type { Log } from "./log.ts";
import { brokerStatsHandlers } from "./processors/broker-stats.ts";
import { clientHandlers } from "./processors/clients.ts";
import { configurationHandlers } from "./processors/configuration.ts";
import { consumeQueueHandlers } from "./processors/consume-queue.ts";
import { consumeStatsHandlers } from "./processors/consume-stats.ts";
import { consumerHandlers } from "./processors/consumers.ts";
import { groupOffsetHandlers } from "./processors/group-offsets.ts";
import { groupHandlers } from "./processors/groups.ts";
import { offsetHandlers } from "./processors/offsets.ts";
import { pullHandlers } from "./processors/pull.ts";
import { queryHandlers } from "./processors/query.ts";
import { queueLockHandlers } from "./processors/queue-locks.ts";
import { refusedHandlers } from "./processors/refused.ts";
import { relayHandlers } from "./processors/relay.ts";
import { replicationHandlers } from "./processors/replication.ts";
import { resetHandlers } from "./processors/reset.ts";
import { runtimeInfoHandlers } from "./processors/runtime-info.ts";
import { sendHandlers } from "./processors/send.ts";
import { sendBackHandlers } from "./processors/send-back.ts";
import { topicHandlers } from "./processors/topics.ts";
import { upkeepHandlers } from "./processors/upkeep.ts";
import type { ConsumerRegistry } from "./services/consumers.ts";
import type { DelayService } from "./services/delay-service.ts";
import type { HeldPulls } from "./services/held-pulls.ts";
import type { LogExpiry } from "./services/log-expiry.ts";
import type { ProducerRegistry } from "./services/producers.ts";
import type { QueueLocks } from "./services/queue-locks.ts";
import { ReadGate } from "./services/read-gate.ts";
import type { Statistics } from "./services/statistics.ts";
import type { StoreHealth } from "./services/store-health.ts";
import type { DelayOffsets } from "./tables/delay-offsets.ts";
import type { GroupTable } from "./tables/group-table.ts";
import type { OffsetTable } from "./tables/offset-table.ts";
import type { TopicTable } from "./tables/topic-table.ts";
import type { Handlers } from "./transport/connection.ts";
import { limitedLog } from "./transport/limited-log.ts";

export interface HandlerParts {
  readonly store: Store;
  readonly health: StoreHealth;
  readonly configuration: ConfigurationView;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly offsets: OffsetTable;
  readonly delayOffsets: DelayOffsets;
  readonly producers: ProducerRegistry;
  readonly consumers: ConsumerRegistry;
  readonly locks: QueueLocks;
  readonly heldPulls: HeldPulls;
  readonly delays: DelayService;
  readonly expiry: LogExpiry;
  readonly statistics: Statistics;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly log: Log;
}

export function brokerHandlers(given: HandlerParts): Handlers {
  const { configuration, log } = given;
  const parts = { ...given, config: configuration.values, reads: new ReadGate(), log: limitedLog(log) };
  return [
    // First, as later ones of the same code come in their place.
    ...refusedHandlers(parts),
    ...sendHandlers(parts),
    ...sendBackHandlers(parts),
    ...pullHandlers(parts),
    ...queryHandlers(parts),
    ...clientHandlers(parts),
    ...consumerHandlers(parts),
    ...offsetHandlers(parts),
    ...groupOffsetHandlers(parts),
    ...resetHandlers(parts),
    ...queueLockHandlers(parts),
    ...topicHandlers(parts),
    ...groupHandlers(parts),
    ...consumeStatsHandlers(parts),
    ...consumeQueueHandlers(parts),
    ...brokerStatsHandlers(parts),
    ...configurationHandlers(parts),
    ...runtimeInfoHandlers(parts),
    ...relayHandlers(parts),
    ...replicationHandlers(parts),
    ...upkeepHandlers(parts),
  ];
}
