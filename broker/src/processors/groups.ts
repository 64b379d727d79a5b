/** Groups of consumers: made and changed, shown and deleted. */

import type { BrokerConfig } from "../config/broker-config.ts";
import { answerJson, SUCCESS } from "../protocol/answers.ts";
import { readBody, readList } from "../protocol/bodies/reading.ts";
import type { GroupForbidden } from "../protocol/bodies/statistics.ts";
import { readSubscriptionGroupConfig, type SubscriptionGroupConfig } from "../protocol/bodies/subscription-group.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { parseBody } from "../protocol/json.ts";
import { checkGroupName } from "../protocol/names.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Statistics } from "../services/statistics.ts";
import { groupConfig } from "../tables/group-config.ts";
import { Forbidden, type GroupTable } from "../tables/group-table.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import type { Handlers } from "../transport/connection.ts";
import { pageOf } from "./pages.ts";
import { alterAttributes, NO_ATTRIBUTES } from "./topic-attributes.ts";

export interface GroupParts {
  readonly config: BrokerConfig;
  readonly groups: GroupTable;
  readonly offsets: OffsetTable;
  readonly statistics: Statistics;
}

export function groupHandlers(parts: GroupParts): Handlers {
  const { groups } = parts;
  return [
    [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, (request) => updateGroup(groups, request)],
    [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, (request) => updateGroups(groups, request)],
    [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, (request) => allGroups(parts, request)],
    [RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, (request) => showGroup(groups, request)],
    [RequestCode.DELETE_SUBSCRIPTIONGROUP, (request) => deleteGroup(parts, request)],
    [RequestCode.UPDATE_AND_GET_GROUP_FORBIDDEN, (request) => forbidGroup(groups, request)],
  ];
}

async function updateGroup(groups: GroupTable, request: Command): Promise<Response> {
  // RocketMQ's answer to nothing.
  if (request.body.length === 0) return SUCCESS;
  await groups.put(groupIn(groups, parseBody(request.body)));
  return SUCCESS;
}

/** All are checked before the first is made. */
async function updateGroups(groups: GroupTable, request: Command): Promise<Response> {
  await groups.putAll(readList(readBody(request.body), "groupConfigList", (entry) => groupIn(groups, entry)));
  return SUCCESS;
}

function groupIn(groups: GroupTable, entry: unknown): SubscriptionGroupConfig {
  const config = readSubscriptionGroupConfig(entry);
  const { groupName, attributes: changes } = config;
  checkGroupName(groupName);
  const attributes = alterAttributes(groups.get(groupName)?.attributes, changes, NO_ATTRIBUTES);
  // What is not there is as in any new group.
  const groupRetryPolicy = config.groupRetryPolicy ?? groupConfig(groupName).groupRetryPolicy;
  return { ...config, attributes, groupRetryPolicy };
}

function allGroups({ config, groups }: GroupParts, request: Command): Response {
  const all = [...groups.all()];
  const page = pageOf(all, ({ groupName }) => groupName, request, {
    isPaged: config.enableSplitMetadata,
    from: "groupSeq",
    max: "maxGroupNum",
    largest: config.splitMetadataSize,
    version: groups.version,
  });
  const subscriptionGroupTable = new Map(page.map((group) => [group.groupName, group]));
  const forbidden = Object.entries(groups.forbiddenTable()).filter(([group]) => subscriptionGroupTable.has(group));
  const body = { dataVersion: groups.version, forbiddenTable: Object.fromEntries(forbidden), subscriptionGroupTable };
  return answerJson(body, { totalGroupNum: all.length });
}

function showGroup(groups: GroupTable, request: Command): Response {
  const config = groups.find(new Fields(request.ext).text("group"));
  if (config !== undefined) return answerJson(config);
  throw new RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker");
}

/** The topics for its retries and dead letters stay, as in RocketMQ, whose tools delete them themselves. */
async function deleteGroup({ groups, offsets, statistics }: GroupParts, request: Command): Promise<Response> {
  const fields = new Fields(request.ext);
  const group = fields.text("groupName");
  await groups.delete(group);
  if (fields.boolean("cleanOffset")) offsets.deleteGroup(group);
  statistics.deleteGroup(group);
  return SUCCESS;
}

async function forbidGroup(groups: GroupTable, request: Command): Promise<Response> {
  const fields = new Fields(request.ext);
  const group = fields.text("group");
  const topic = fields.text("topic");
  if (fields.has("readable")) {
    const others = groups.forbidden(group, topic) & ~Forbidden.read;
    await groups.setForbidden(group, topic, fields.boolean("readable") ? others : others | Forbidden.read);
  }
  const readable = (groups.forbidden(group, topic) & Forbidden.read) === 0;
  return answerJson({ group, readable, topic } satisfies GroupForbidden);
}
