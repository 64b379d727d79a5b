import { ResponseCode } from "../protocol/codes.ts";
import type { FieldValues, Response } from "../protocol/command.ts";
import { printFastjson } from "../protocol/json.ts";

export function success(ext?: FieldValues, body?: Uint8Array): Response {
  return { code: ResponseCode.SUCCESS, ext, body };
}

/** A `TopicList`. */
export function topicList(topics: Iterable<string>, brokerAddr?: string): Response {
  return success(undefined, printFastjson({ topicList: [...topics], brokerAddr }));
}
