/** What tools change: settings of topics, permissions of brokers, the name server's own options. */
import { getProperties } from "properties-file";
import { answerJson, SUCCESS } from "../protocol/answers.ts";
import { Permission } from "../protocol/bodies/topic-config.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Connection, Handlers, Hook } from "../transport/connection.ts";
import type { KVConfig } from "./kv-config.ts";
import { printOptions } from "./options.ts";
import type { Registry } from "./registry.ts";
import type { Settings } from "./settings.ts";
import { withoutWrite } from "./topic-queues.ts";

export interface AdminParts {
  readonly registry: Registry;
  readonly kv: KVConfig;
  readonly settings: Settings;
}

/** What clients ask for, and tools that look. All else is administrative, so that a new request is until somebody says otherwise. */
const OF_CLIENTS: ReadonlySet<number> = new Set([
  RequestCode.GET_ROUTEINFO_BY_TOPIC,
  RequestCode.GET_BROKER_CLUSTER_INFO,
  RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
  RequestCode.GET_TOPICS_BY_CLUSTER,
  RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS,
  RequestCode.GET_UNIT_TOPIC_LIST,
  RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST,
  RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
  RequestCode.GET_KV_CONFIG,
  RequestCode.GET_KVLIST_BY_NAMESPACE,
  RequestCode.QUERY_DATA_VERSION,
  RequestCode.GET_BROKER_MEMBER_GROUP,
]);

/** What brokers send: it changes the routes that clients are given. */
const OF_BROKERS: ReadonlySet<number> = new Set([
  RequestCode.REGISTER_BROKER,
  RequestCode.UNREGISTER_BROKER,
  RequestCode.BROKER_HEARTBEAT,
  RequestCode.REGISTER_TOPIC_IN_NAMESRV,
]);

/** Administrative requests, and those of brokers, are taken from where the options say. */
export function administrativeHook(settings: Settings): Hook {
  return ({ code }, { connection }) => {
    if (OF_CLIENTS.has(code)) return;
    const option = OF_BROKERS.has(code) ? "brokerAccess" : "adminAccess";
    if (hasAccess(settings, option, connection)) return;
    const what = option === "brokerAccess" ? "one of brokers" : "administrative";
    const right = `send it from the name server's own machine, or start the name server with ${option}=any`;
    throw new RequestError(ResponseCode.NO_PERMISSION, `request ${code} is ${what}: ${right}`);
  };
}

/** Whether requests of this kind are taken from this peer. */
export function hasAccess(
  settings: Settings,
  option: "adminAccess" | "brokerAccess",
  { isSameMachine }: Connection,
): boolean {
  return isSameMachine || settings.current[option] === "any";
}

export function adminHandlers({ registry, kv, settings }: AdminParts): Handlers {
  const { topics } = registry;
  return [
    [RequestCode.PUT_KV_CONFIG, (request) => putKV(kv, request)],
    [RequestCode.GET_KV_CONFIG, (request) => getKV(kv, request)],
    [
      RequestCode.DELETE_KV_CONFIG,
      async ({ ext }) => {
        const fields = new Fields(ext);
        await kv.delete(fields.text("namespace"), fields.text("key"));
        return SUCCESS;
      },
    ],
    [RequestCode.GET_KVLIST_BY_NAMESPACE, (request) => listKV(kv, request)],
    [
      RequestCode.WIPE_WRITE_PERM_OF_BROKER,
      ({ ext }) => {
        const wiped = topics.changePermission(new Fields(ext).text("brokerName"), withoutWrite);
        return { code: ResponseCode.SUCCESS, ext: { wipeTopicCount: wiped } };
      },
    ],
    [
      RequestCode.ADD_WRITE_PERM_OF_BROKER,
      ({ ext }) => {
        const both = Permission.READ | Permission.WRITE;
        const added = topics.changePermission(new Fields(ext).text("brokerName"), () => both);
        return { code: ResponseCode.SUCCESS, ext: { addTopicCount: added } };
      },
    ],
    [
      RequestCode.DELETE_TOPIC_IN_NAMESRV,
      ({ ext }) => {
        const fields = new Fields(ext);
        registry.deleteTopic(fields.text("topic"), fields.optionalText("clusterName") || undefined);
        return SUCCESS;
      },
    ],
    [RequestCode.UPDATE_NAMESRV_CONFIG, (request) => updateOptions(settings, request)],
    [
      RequestCode.GET_NAMESRV_CONFIG,
      () => ({ code: ResponseCode.SUCCESS, body: Buffer.from(printOptions(settings.current)) }),
    ],
  ];
}

async function putKV(kv: KVConfig, { ext }: Command): Promise<Response> {
  const fields = new Fields(ext);
  const stored = await kv.put(fields.text("namespace"), fields.text("key"), fields.text("value"));
  if (!stored) throw new RequestError(ResponseCode.SYSTEM_ERROR, "this name server has as many settings as it takes");
  return SUCCESS;
}

function getKV(kv: KVConfig, { ext }: Command): Response {
  const fields = new Fields(ext);
  const namespace = fields.text("namespace");
  const key = fields.text("key");
  const value = kv.get(namespace, key);
  if (value !== undefined) return { code: ResponseCode.SUCCESS, ext: { value } };
  throw new RequestError(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace} Key: ${key}`);
}

function listKV(kv: KVConfig, { ext }: Command): Response {
  const namespace = new Fields(ext).text("namespace");
  const table = kv.namespace(namespace);
  if (table !== undefined) return answerJson({ table });
  throw new RequestError(ResponseCode.QUERY_NOT_FOUND, `No config item, Namespace: ${namespace}`);
}

function updateOptions(settings: Settings, { body }: Command): Response {
  const changes = getProperties(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  let forbidden: string[];
  try {
    forbidden = settings.update(changes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RequestError(ResponseCode.SYSTEM_ERROR, error.message, { cause: error });
  }
  if (forbidden.length === 0) return SUCCESS;
  throw new RequestError(
    ResponseCode.NO_PERMISSION,
    `Can not update config in black list. Options: ${forbidden.join(", ")}`,
  );
}
