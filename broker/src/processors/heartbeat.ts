/** Heartbeats as clients send them: names or ordinals of enums, and fields that older ones leave out. */
import { parseBody } from "../protocol/json.ts";
import { buildSubscription, type SubscriptionData, TAG_TYPE } from "../protocol/subscription.ts";
import type { ConsumerKind, ConsumeType, MessageModel } from "../services/consumers.ts";
import { listIn, membersOf, textIn } from "./entries.ts";

export interface ConsumerData {
  readonly group: string;
  readonly kind: ConsumerKind;
  readonly unitMode: boolean;
  readonly subscriptions: readonly SubscriptionData[];
}

export interface Heartbeat {
  readonly clientId: string;
  /** 0 in those of the first kind. */
  readonly fingerprint: number;
  /** The client has told its subscriptions before, and they are as they were. */
  readonly withoutSub: boolean;
  readonly producerGroups: readonly string[];
  readonly consumers: readonly ConsumerData[];
}

/** In the order of RocketMQ's enums. */
const CONSUME_TYPES: readonly ConsumeType[] = ["CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP"];
const MESSAGE_MODELS: readonly MessageModel[] = ["BROADCASTING", "CLUSTERING"];
const PLACES: readonly string[] = [
  "CONSUME_FROM_LAST_OFFSET",
  "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
  "CONSUME_FROM_MIN_OFFSET",
  "CONSUME_FROM_MAX_OFFSET",
  "CONSUME_FROM_FIRST_OFFSET",
  "CONSUME_FROM_TIMESTAMP",
];

/** Throws a `RequestError` where a body is none. */
export function readHeartbeat(body: Uint8Array): Heartbeat {
  const json = parseBody(body);
  const { heartbeatFingerprint, withoutSub } = membersOf(json);
  return {
    clientId: textIn(json, "clientID"),
    fingerprint: typeof heartbeatFingerprint === "number" ? heartbeatFingerprint : 0,
    withoutSub: withoutSub === true,
    producerGroups: listIn(json, "producerDataSet").map((producer) => textIn(producer, "groupName")),
    consumers: listIn(json, "consumerDataSet").map(readConsumer),
  };
}

function readConsumer(json: unknown): ConsumerData {
  const { consumeType, messageModel, consumeFromWhere, unitMode } = membersOf(json);
  return {
    group: textIn(json, "groupName"),
    kind: {
      consumeType: choice(CONSUME_TYPES, consumeType) ?? "CONSUME_PASSIVELY",
      messageModel: choice(MESSAGE_MODELS, messageModel) ?? "CLUSTERING",
      consumeFromWhere: choice(PLACES, consumeFromWhere) ?? "CONSUME_FROM_LAST_OFFSET",
    },
    unitMode: unitMode === true,
    subscriptions: listIn(json, "subscriptionDataSet").map(readSubscription),
  };
}

/** A subscription; where a client has left its tags out, they are those of the expression. */
export function readSubscription(json: unknown): SubscriptionData {
  const { tagsSet, codeSet, classFilterMode, subVersion } = membersOf(json);
  const type = textIn(json, "expressionType");
  const built = buildSubscription(
    textIn(json, "topic"),
    textIn(json, "subString"),
    type === "" ? TAG_TYPE : type,
    typeof subVersion === "number" ? subVersion : Number(subVersion ?? 0),
  );
  return {
    ...built,
    tagsSet: Array.isArray(tagsSet) ? new Set(tagsSet.map(String)) : built.tagsSet,
    codeSet: Array.isArray(codeSet) ? new Set(codeSet.map(Number)) : built.codeSet,
    classFilterMode: classFilterMode === true,
  };
}

function choice<T extends string>(names: readonly T[], value: unknown): T | undefined {
  return typeof value === "number" ? names[value] : names.find((name) => name === value);
}
