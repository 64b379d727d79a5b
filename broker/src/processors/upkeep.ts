/** Files and topics that nobody needs any more, removed at once when an administrator says so. */
import type { Store } from "moraine";
import type { Log } from "../log.ts";
import { SUCCESS } from "../protocol/answers.ts";
import { RequestCode } from "../protocol/codes.ts";
import type { Response } from "../protocol/command.ts";
import { isSystemTopic } from "../protocol/names.ts";
import type { LogExpiry } from "../services/log-expiry.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers } from "../transport/connection.ts";

export interface UpkeepParts {
  readonly store: Store;
  readonly expiry: Pick<LogExpiry, "removeOld">;
  readonly topics: TopicTable;
  readonly log: Log;
}

/** Beginning of the names of light queues, which are no topics of the table. */
const LIGHT_QUEUE_PREFIX = "%LMQ%";

export function upkeepHandlers(parts: UpkeepParts): Handlers {
  return [
    [RequestCode.DELETE_EXPIRED_COMMITLOG, () => expireLog(parts)],
    // The store removes files of queues with those of the log that they point into: there is nothing left to do.
    [RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE, () => SUCCESS],
    [RequestCode.CLEAN_UNUSED_TOPIC, () => deleteUnused(parts)],
  ];
}

/** What is older than `fileReservedTime` says, whatever the hour. */
async function expireLog({ expiry }: UpkeepParts): Promise<Response> {
  await expiry.removeOld();
  return SUCCESS;
}

/** Queues of topics that are in the table no more, as after a deletion that did not come to its end. */
async function deleteUnused({ store, topics, log }: UpkeepParts): Promise<Response> {
  const unused = store
    .topics()
    .filter((topic) => topics.get(topic) === undefined && !isSystemTopic(topic, topics.system))
    .filter((topic) => !topic.startsWith(LIGHT_QUEUE_PREFIX));
  const removed: string[] = [];
  // Some of them may have been made since.
  for (const topic of unused) if (await topics.whileMissing(topic, () => store.deleteTopic(topic))) removed.push(topic);
  log.info({ topics: removed }, "queues without a topic were removed");
  return SUCCESS;
}
