/** Offsets of groups as tools and replicas see them: all of them, compared, and given to another group. */

import type { JsonValue, Store } from "moraine";
import { answerJson, SUCCESS } from "../protocol/answers.ts";
import { firstVersion } from "../protocol/bodies/data-version.ts";
import { RequestCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { checkGroupName } from "../protocol/names.ts";
import type { ConsumerRegistry } from "../services/consumers.ts";
import type { DelayOffsets } from "../tables/delay-offsets.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import { objectAt } from "../tables/table-value.ts";
import type { TopicTable } from "../tables/topic-table.ts";
import type { Handlers } from "../transport/connection.ts";

export interface GroupOffsetParts {
  readonly store: Store;
  readonly topics: TopicTable;
  readonly offsets: OffsetTable;
  readonly delayOffsets: DelayOffsets;
  readonly consumers: ConsumerRegistry;
}

/** What a queue is answered with in which the compared group has come further than another one. */
const AHEAD = 9_223_372_036_854_775_807n;

export function groupOffsetHandlers(parts: GroupOffsetParts): Handlers {
  return [
    [RequestCode.GET_ALL_CONSUMER_OFFSET, () => answerTable(parts.offsets.toJSON())],
    [RequestCode.GET_ALL_DELAY_OFFSET, () => answerTable(parts.delayOffsets.toJSON())],
    [RequestCode.CLONE_GROUP_OFFSET, (request) => cloneOffsets(parts, request)],
    [RequestCode.QUERY_CORRECTION_OFFSET, (request) => correctionOffsets(parts, request)],
  ];
}

/** A table of which nothing was written yet is an empty one of the first version. */
function answerTable(table: JsonValue): Response {
  return answerJson({ dataVersion: firstVersion(0), offsetTable: {}, ...objectAt("the table", table) });
}

/** Of one topic, or of all that the group has offsets of; of an online group only of those that it subscribes to. */
function cloneOffsets({ topics, offsets, consumers }: GroupOffsetParts, request: Command): Response {
  const fields = new Fields(request.ext);
  const from = fields.text("srcGroup");
  const to = fields.text("destGroup");
  checkGroupName(to);
  const topic = fields.optionalText("topic") ?? "";
  const subscriptions = fields.boolean("offline") ? undefined : consumers.find(from)?.subscriptions;
  for (const name of topic.trim() === "" ? offsets.topicsOf(from) : [topic]) {
    if (topics.get(name) === undefined) continue;
    if (subscriptions !== undefined && subscriptions.size > 0 && !subscriptions.has(name)) continue;
    offsets.clone(from, to, name);
  }
  return SUCCESS;
}

/** By queue: how far the slowest of all groups has come. RocketMQ also forgets the groups that are left out; they stay here. */
function correctionOffsets({ store, offsets }: GroupOffsetParts, request: Command): Response {
  const fields = new Fields(request.ext);
  const topic = fields.text("topic");
  const compared = fields.text("compareGroup");
  const leftOut = new Set((fields.optionalText("filterGroups") ?? "").split(","));
  const slowest = new Map<number, number | bigint>();
  for (const group of offsets.groupsOf(topic)) {
    if (leftOut.has(group)) continue;
    for (const { queueId, offset } of offsetsOf(offsets, group, topic)) {
      if (offset < store.offsets(topic, queueId).min) continue;
      slowest.set(queueId, Math.min(Number(slowest.get(queueId) ?? offset), offset));
    }
  }
  for (const { queueId, offset } of offsetsOf(offsets, compared, topic)) {
    if ((slowest.get(queueId) ?? 0) > offset) slowest.set(queueId, AHEAD);
  }
  return answerJson({ correctionOffsets: slowest });
}

function offsetsOf(offsets: OffsetTable, group: string, topic: string): ReturnType<OffsetTable["all"]> {
  return offsets.all(group).filter((offset) => offset.topic === topic);
}
