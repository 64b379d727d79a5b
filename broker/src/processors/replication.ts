/** What replicas and those who look after them ask: this broker is a master without any. */
import type { Store } from "moraine";
import { answerJson } from "../protocol/answers.ts";
import { RequestCode } from "../protocol/codes.ts";
import type { Response } from "../protocol/command.ts";
import type { Handlers } from "../transport/connection.ts";

export interface ReplicationParts {
  readonly store: Store;
}

export function replicationHandlers({ store }: ReplicationParts): Handlers {
  return [[RequestCode.GET_BROKER_HA_STATUS, () => status(store)]];
}

function status(store: Store): Response {
  return answerJson({
    // Of the side that a replica would have.
    haClientRuntimeInfo: {
      lastReadTimestamp: 0,
      lastWriteTimestamp: 0,
      masterFlushOffset: 0,
      maxOffset: 0,
      transferredByteInSecond: 0,
    },
    haConnectionInfo: [],
    inSyncSlaveNums: 0,
    master: true,
    masterCommitLogMaxOffset: store.log.endOffset,
  });
}
