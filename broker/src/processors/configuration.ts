/** The broker's options, shown and changed. */
import type { ConfigurationView } from "../config/broker-config.ts";
import { optionTexts } from "../config/configuration.ts";
import { ConfigurationError } from "../config/configuration-error.ts";
import type { Log } from "../log.ts";
import { SUCCESS } from "../protocol/answers.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { printBody } from "../protocol/json.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Handlers } from "../transport/connection.ts";

export interface ConfigurationParts {
  readonly configuration: ConfigurationView;
  readonly log: Log;
}

export function configurationHandlers({ configuration, log }: ConfigurationParts): Handlers {
  return [
    [RequestCode.GET_BROKER_CONFIG, () => show(configuration)],
    [RequestCode.UPDATE_BROKER_CONFIG, (request) => update(configuration, log, request)],
  ];
}

function show(configuration: ConfigurationView): Response {
  const version = printBody(configuration.version).toString("utf8");
  return { code: ResponseCode.SUCCESS, ext: { version }, body: Buffer.from(configuration.text(), "utf8") };
}

/** Unlike RocketMQ's broker, one that has no such option says so. */
function update(configuration: ConfigurationView, log: Log, { body }: Command): Response {
  const options = optionTexts(Buffer.from(body).toString("utf8"));
  try {
    const changed = configuration.update(options);
    log.info({ options, changed }, "the configuration was changed");
    return SUCCESS;
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const code = error.reason === "forbidden" ? ResponseCode.NO_PERMISSION : ResponseCode.INVALID_PARAMETER;
    throw new RequestError(code, error.message, { cause: error });
  }
}
