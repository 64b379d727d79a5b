/** Requests that RocketMQ has and this broker has not yet: each is told so in a sentence. */
import type { BrokerConfig } from "../config/broker-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Handlers } from "../transport/connection.ts";

const TRANSACTIONS = "this broker has no transactions; send the message as a plain one";
const REPLIES = "this broker leads no replies to those who have asked; send to a topic that they consume";
const POP = "this broker has no POP; consume by pulling";
const USERS = "this broker has no users and permissions";
const TIMERS = "this broker has no timers; use one of the delay levels";

const REASONS: readonly (readonly [code: number, reason: string])[] = [
  [RequestCode.END_TRANSACTION, TRANSACTIONS],
  [RequestCode.RESUME_CHECK_HALF_MESSAGE, TRANSACTIONS],
  [RequestCode.SEND_REPLY_MESSAGE, REPLIES],
  [RequestCode.SEND_REPLY_MESSAGE_V2, REPLIES],
  [RequestCode.POP_MESSAGE, POP],
  [RequestCode.ACK_MESSAGE, POP],
  [RequestCode.BATCH_ACK_MESSAGE, POP],
  [RequestCode.PEEK_MESSAGE, POP],
  [RequestCode.CHANGE_MESSAGE_INVISIBLETIME, POP],
  [RequestCode.NOTIFICATION, POP],
  [RequestCode.POLLING_INFO, POP],
  [RequestCode.POP_ROLLBACK, POP],
  [RequestCode.QUERY_ASSIGNMENT, POP],
  [RequestCode.SET_MESSAGE_REQUEST_MODE, POP],
  [RequestCode.GET_ALL_MESSAGE_REQUEST_MODE, POP],
  [RequestCode.GET_TIMER_CHECK_POINT, TIMERS],
  [RequestCode.GET_TIMER_METRICS, TIMERS],
  [RequestCode.UPDATE_AND_CREATE_STATIC_TOPIC, "this broker has no topics that span brokers"],
  [RequestCode.EXCHANGE_BROKER_HA_INFO, "this broker has no replicas"],
  [RequestCode.AUTH_CREATE_USER, USERS],
  [RequestCode.AUTH_UPDATE_USER, USERS],
  [RequestCode.AUTH_DELETE_USER, USERS],
  [RequestCode.AUTH_GET_USER, USERS],
  [RequestCode.AUTH_LIST_USER, USERS],
  [RequestCode.AUTH_CREATE_ACL, USERS],
  [RequestCode.AUTH_UPDATE_ACL, USERS],
  [RequestCode.AUTH_DELETE_ACL, USERS],
  [RequestCode.AUTH_GET_ACL, USERS],
  [RequestCode.AUTH_LIST_ACL, USERS],
];

/** Where others handle one of these codes, theirs come behind. */
export function refusedHandlers({ config }: { readonly config: BrokerConfig }): Handlers {
  return [
    ...REASONS.map(([code, reason]): readonly [number, () => { code: number; remark: string }] => [
      code,
      () => ({
        code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        remark: ` request type ${code} not supported: ${reason}`,
      }),
    ]),
    // As RocketMQ where it is not switched on.
    [
      RequestCode.RECALL_MESSAGE,
      () => ({
        code: ResponseCode.NO_PERMISSION,
        remark: "recall failed, operation is forbidden",
        ext: { MSG_REGION: config.regionId },
      }),
    ],
  ];
}
