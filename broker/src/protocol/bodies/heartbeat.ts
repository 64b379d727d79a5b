/** HEART_BEAT (34) and CHECK_CLIENT_CONFIG (46): what clients say about themselves. */
import { buildSubscription, hashCode, isTagType, type SubscriptionData } from "../subscription.ts";
import {
  type Members,
  readBody,
  readBoolean,
  readEnum,
  readInt,
  readList,
  readLong,
  readMembers,
  readOptionalText,
  readText,
  readTexts,
} from "./reading.ts";

const CONSUME_TYPES = ["CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP"] as const;
const MESSAGE_MODELS = ["BROADCASTING", "CLUSTERING"] as const;
const CONSUME_FROM = [
  "CONSUME_FROM_LAST_OFFSET",
  "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
  "CONSUME_FROM_MIN_OFFSET",
  "CONSUME_FROM_MAX_OFFSET",
  "CONSUME_FROM_FIRST_OFFSET",
  "CONSUME_FROM_TIMESTAMP",
] as const;

export type ConsumeType = (typeof CONSUME_TYPES)[number];
export type MessageModel = (typeof MESSAGE_MODELS)[number];
export type ConsumeFromWhere = (typeof CONSUME_FROM)[number];

export interface ConsumerData {
  readonly groupName: string;
  readonly consumeType: ConsumeType;
  readonly messageModel: MessageModel;
  readonly consumeFromWhere: ConsumeFromWhere;
  readonly unitMode: boolean;
  readonly subscriptionDataSet: readonly SubscriptionData[];
}

export interface HeartbeatData {
  readonly clientID: string;
  readonly producerDataSet: readonly { readonly groupName: string }[];
  readonly consumerDataSet: readonly ConsumerData[];
  /** Not 0: a heartbeat V2. */
  readonly heartbeatFingerprint: number;
  /** The subscriptions are those of the heartbeat before. */
  readonly withoutSub: boolean;
}

export function readHeartbeat(bytes: Uint8Array): HeartbeatData {
  const body = readBody(bytes);
  return {
    clientID: readText(body, "clientID"),
    producerDataSet: readList(body, "producerDataSet", (value) => ({
      groupName: readText(readMembers(value, "a producer"), "groupName"),
    })),
    consumerDataSet: readList(body, "consumerDataSet", (value) => readConsumer(readMembers(value, "a consumer"))),
    heartbeatFingerprint: readInt(body, "heartbeatFingerprint"),
    withoutSub: readBoolean(body, "withoutSub"),
  };
}

function readConsumer(consumer: Members): ConsumerData {
  return {
    groupName: readText(consumer, "groupName"),
    consumeType: readEnum(consumer, "consumeType", CONSUME_TYPES, "CONSUME_PASSIVELY"),
    messageModel: readEnum(consumer, "messageModel", MESSAGE_MODELS, "CLUSTERING"),
    consumeFromWhere: readEnum(consumer, "consumeFromWhere", CONSUME_FROM, "CONSUME_FROM_LAST_OFFSET"),
    unitMode: readBoolean(consumer, "unitMode"),
    subscriptionDataSet: readList(consumer, "subscriptionDataSet", readSubscription),
  };
}

/** Tags and their codes as sent; where a client sends none, those of the expression. */
export function readSubscription(value: unknown): SubscriptionData {
  const subscription = readMembers(value, "a subscription");
  const topic = readText(subscription, "topic");
  const subString = readOptionalText(subscription, "subString");
  const expressionType = readOptionalText(subscription, "expressionType");
  const subVersion = readLong(subscription, "subVersion");
  const classFilterMode = readBoolean(subscription, "classFilterMode");
  const tags = readTexts(subscription, "tagsSet");
  if (tags.length === 0 || !isTagType(expressionType)) {
    return { ...buildSubscription(topic, subString, expressionType || undefined, subVersion), classFilterMode };
  }
  return {
    topic,
    subString: subString ?? "*",
    expressionType: "TAG",
    tagsSet: new Set(tags),
    codeSet: new Set(tags.map(hashCode)),
    classFilterMode,
    subVersion,
  };
}
