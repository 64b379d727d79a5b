/** Answers as many handlers give them. */
import { ResponseCode } from "./codes.ts";
import type { FieldValues, Response } from "./command.ts";
import { printFastjson } from "./json.ts";

export const SUCCESS: Response = { code: ResponseCode.SUCCESS };

/** A value as RocketMQ prints it: keys of a `Map` that are numbers or objects stand there as such. */
export function answerJson(value: unknown, ext?: FieldValues): Response {
  return { code: ResponseCode.SUCCESS, ext, body: printFastjson(value) };
}
