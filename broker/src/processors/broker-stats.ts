/** What the broker has counted, by RocketMQ's names of it. */
import { answerJson } from "../protocol/answers.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Statistics } from "../services/statistics.ts";
import type { Handlers } from "../transport/connection.ts";

export interface BrokerStatsParts {
  readonly statistics: Statistics;
}

export function brokerStatsHandlers({ statistics }: BrokerStatsParts): Handlers {
  return [[RequestCode.VIEW_BROKER_STATS_DATA, (request) => viewStats(statistics, request)]];
}

function viewStats(statistics: Statistics, request: Command): Response {
  const fields = new Fields(request.ext);
  const name = fields.text("statsName");
  const key = fields.text("statsKey");
  const found = statistics.snapshot(name, key);
  if (found === undefined) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `The stats <${name}> <${key}> not exist`);
  }
  return answerJson(found);
}
