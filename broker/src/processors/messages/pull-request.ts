/** What a consumer that pulls asks for. */
import type { Command } from "../../protocol/command.ts";
import { Fields } from "../../protocol/fields.ts";

export interface PullRequest {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly maxMessages: number;
  /** Bits of `PullFlag`. */
  readonly sysFlag: number;
  readonly commitOffset: number;
  readonly suspendMs: number;
  readonly subscription: string | undefined;
  readonly subVersion: number;
  readonly expressionType: string | undefined;
}

export const PullFlag = {
  commitOffset: 1,
  suspend: 2,
  subscription: 4,
} as const;

/** Throws `RequestError` where a field is missing or cannot be read. */
export function readPullRequest(request: Command): PullRequest {
  const fields = new Fields(request.ext);
  return {
    group: fields.text("consumerGroup"),
    topic: fields.text("topic"),
    queueId: fields.int("queueId"),
    queueOffset: fields.long("queueOffset"),
    maxMessages: fields.int("maxMsgNums"),
    sysFlag: fields.int("sysFlag"),
    commitOffset: fields.long("commitOffset"),
    suspendMs: fields.long("suspendTimeoutMillis"),
    subscription: fields.optionalText("subscription"),
    subVersion: fields.long("subVersion"),
    expressionType: fields.optionalText("expressionType"),
  };
}
