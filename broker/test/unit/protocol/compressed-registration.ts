/** Compressed registrations, as Apache's brokers send them where their configuration says so. Ours never does. */
import { deflateSync } from "node:zlib";
import type { Registration } from "../../../src/protocol/bodies/register-broker.ts";
import type { TopicConfig } from "../../../src/protocol/bodies/topic-config.ts";
import { printBody } from "../../../src/protocol/json.ts";
import { int32 } from "./bytes.ts";

/** Counts as they are, texts behind their lengths. */
export function packed(...parts: (string | number)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) =>
      typeof part === "number" ? [int32(part)] : [int32(Buffer.byteLength(part)), Buffer.from(part)],
    ),
  );
}

export function printCompressedRegisterBroker(registration: Registration): Buffer {
  const { dataVersion, topicConfigTable, filterServerList = [] } = registration;
  const lines = [...topicConfigTable.values()].map(topicLine);
  const text = (value: unknown) => printBody(value).toString();
  return deflateSync(packed(text(dataVersion), lines.length, ...lines, text(filterServerList), 0));
}

function topicLine(config: TopicConfig): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, attributes } = config;
  return `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicFilterType} ${printBody(attributes)}`;
}
