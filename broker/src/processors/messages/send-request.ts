/** What a request to send asks for. The short names are of the second version, which most clients speak. */
import { RequestCode } from "../../protocol/codes.ts";
import type { Command } from "../../protocol/command.ts";
import { Fields } from "../../protocol/fields.ts";

export interface SendRequest {
  readonly producerGroup: string;
  readonly topic: string;
  readonly defaultTopic: string;
  readonly defaultTopicQueueNums: number;
  /** Below 0: any. */
  readonly queueId: number;
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly flag: number;
  /** The property string. */
  readonly properties: string;
  readonly reconsumeTimes: number;
  readonly unitMode: boolean;
  /** Undefined where the client does not say. */
  readonly maxReconsumeTimes: number | undefined;
  readonly batch: boolean;
}

/** Throws `RequestError` where a field is missing or cannot be read. */
export function readSendRequest(request: Command): SendRequest {
  const fields = new Fields(request.ext);
  return request.code === RequestCode.SEND_MESSAGE || request.code === RequestCode.SEND_REPLY_MESSAGE
    ? readLong(fields)
    : readShort(fields);
}

function readShort(fields: Fields): SendRequest {
  return {
    producerGroup: fields.text("a"),
    topic: fields.text("b"),
    defaultTopic: fields.text("c"),
    defaultTopicQueueNums: fields.int("d"),
    queueId: fields.int("e"),
    sysFlag: fields.int("f"),
    bornTimestamp: fields.long("g"),
    flag: fields.int("h"),
    properties: fields.optionalText("i") ?? "",
    reconsumeTimes: fields.optionalInt("j") ?? 0,
    unitMode: fields.boolean("k"),
    maxReconsumeTimes: fields.optionalInt("l"),
    batch: fields.boolean("m"),
  };
}

function readLong(fields: Fields): SendRequest {
  return {
    producerGroup: fields.text("producerGroup"),
    topic: fields.text("topic"),
    defaultTopic: fields.text("defaultTopic"),
    defaultTopicQueueNums: fields.int("defaultTopicQueueNums"),
    queueId: fields.int("queueId"),
    sysFlag: fields.int("sysFlag"),
    bornTimestamp: fields.long("bornTimestamp"),
    flag: fields.int("flag"),
    properties: fields.optionalText("properties") ?? "",
    reconsumeTimes: fields.optionalInt("reconsumeTimes") ?? 0,
    unitMode: fields.boolean("unitMode"),
    maxReconsumeTimes: fields.optionalInt("maxReconsumeTimes"),
    batch: fields.boolean("batch"),
  };
}
