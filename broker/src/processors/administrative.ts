/** Who may send administrative requests. */
import type { BrokerConfig } from "../config/broker-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Hook } from "../transport/connection.ts";

/** What producers and consumers ask for. All else is administrative, so that a new request is until somebody says otherwise. */
const OF_CLIENTS: ReadonlySet<number> = new Set([
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE,
  RequestCode.SEND_REPLY_MESSAGE,
  RequestCode.SEND_REPLY_MESSAGE_V2,
  RequestCode.END_TRANSACTION,
  RequestCode.RECALL_MESSAGE,
  RequestCode.PULL_MESSAGE,
  RequestCode.LITE_PULL_MESSAGE,
  RequestCode.CONSUMER_SEND_MSG_BACK,
  RequestCode.QUERY_MESSAGE,
  RequestCode.VIEW_MESSAGE_BY_ID,
  RequestCode.QUERY_CONSUMER_OFFSET,
  RequestCode.UPDATE_CONSUMER_OFFSET,
  RequestCode.SEARCH_OFFSET_BY_TIMESTAMP,
  RequestCode.GET_MAX_OFFSET,
  RequestCode.GET_MIN_OFFSET,
  RequestCode.GET_EARLIEST_MSG_STORETIME,
  RequestCode.HEART_BEAT,
  RequestCode.UNREGISTER_CLIENT,
  RequestCode.CHECK_CLIENT_CONFIG,
  RequestCode.GET_CONSUMER_LIST_BY_GROUP,
  RequestCode.LOCK_BATCH_MQ,
  RequestCode.UNLOCK_BATCH_MQ,
  RequestCode.QUERY_ASSIGNMENT,
  RequestCode.POP_MESSAGE,
  RequestCode.ACK_MESSAGE,
  RequestCode.BATCH_ACK_MESSAGE,
  RequestCode.PEEK_MESSAGE,
  RequestCode.CHANGE_MESSAGE_INVISIBLETIME,
  RequestCode.NOTIFICATION,
  RequestCode.POLLING_INFO,
]);

export function isAdministrative(code: number): boolean {
  return !OF_CLIENTS.has(code);
}

/** Refuses administrative requests from other machines, unless the configuration takes them. */
export function administrativeHook({ adminAccess }: Pick<BrokerConfig, "adminAccess">): Hook {
  return ({ code }, { connection }) => {
    if (adminAccess === "any" || connection.isSameMachine || !isAdministrative(code)) return;
    const right = "send it from the broker's own machine, or start the broker with adminAccess=any";
    throw new RequestError(ResponseCode.NO_PERMISSION, `request ${code} is administrative: ${right}`);
  };
}
