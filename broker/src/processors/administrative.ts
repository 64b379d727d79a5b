/** Who may send administrative requests, and who has. */
import type { BrokerConfig } from "../config/broker-config.ts";
import type { Log } from "../log.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import { printAddress } from "../protocol/hosts.ts";
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

/** Administrative requests that change something, by their names. */
const CHANGES: ReadonlyMap<number, string> = new Map(
  (
    [
      "UPDATE_AND_CREATE_TOPIC",
      "UPDATE_AND_CREATE_TOPIC_LIST",
      "DELETE_TOPIC_IN_BROKER",
      "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP",
      "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST",
      "DELETE_SUBSCRIPTIONGROUP",
      "UPDATE_AND_GET_GROUP_FORBIDDEN",
      "UPDATE_BROKER_CONFIG",
      "INVOKE_BROKER_TO_RESET_OFFSET",
      "CLONE_GROUP_OFFSET",
      "CLEAN_EXPIRED_CONSUMEQUEUE",
      "CLEAN_UNUSED_TOPIC",
      "DELETE_EXPIRED_COMMITLOG",
    ] as const
  ).map((name) => [RequestCode[name], name]),
);
/** What is logged of a request's fields. */
const LOGGED_FIELDS = 16;
const LOGGED_CHARACTERS = 200;

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

/** Logs administrative requests that change something, before they are carried out. */
export function changesHook(log: Log): Hook {
  return ({ code, ext }, { connection }) => {
    const request = CHANGES.get(code);
    if (request === undefined) return;
    const fields = Object.entries(ext).slice(0, LOGGED_FIELDS);
    const shown = fields.map(([name, value]) => [
      name.slice(0, LOGGED_CHARACTERS),
      String(value).slice(0, LOGGED_CHARACTERS),
    ]);
    const facts = { request, client: printAddress(connection.remote), fields: Object.fromEntries(shown) };
    log.info(facts, "an administrator asks for a change");
  };
}
