/** What brokers send: registration, heartbeats, their topics. */
import { answerJson, SUCCESS } from "../protocol/answers.ts";
import { readDataVersion } from "../protocol/bodies/data-version.ts";
import { bodyChecksum, readRegisterBroker } from "../protocol/bodies/register-broker.ts";
import { readRoute } from "../protocol/bodies/route.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { Fields } from "../protocol/fields.ts";
import { parseBody } from "../protocol/json.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Handlers, RequestContext } from "../transport/connection.ts";
import { hasAccess } from "./admin-handlers.ts";
import { type KVConfig, ORDER_TOPIC_NAMESPACE } from "./kv-config.ts";
import type { BrokerIdentity, Registry } from "./registry.ts";
import type { Settings } from "./settings.ts";

export interface RegistrationParts {
  readonly registry: Registry;
  readonly kv: KVConfig;
  readonly settings: Settings;
}

export function registrationHandlers(parts: RegistrationParts): Handlers {
  const { registry } = parts;
  return [
    [RequestCode.REGISTER_BROKER, (request, context) => register(parts, request, context)],
    [
      RequestCode.UNREGISTER_BROKER,
      ({ ext }) => {
        registry.unregister(identity(new Fields(ext)));
        return SUCCESS;
      },
    ],
    [
      RequestCode.BROKER_HEARTBEAT,
      ({ ext }, { connection }) => {
        const fields = new Fields(ext);
        registry.live.touch(fields.text("clusterName"), fields.text("brokerAddr"), connection);
        return SUCCESS;
      },
    ],
    [RequestCode.QUERY_DATA_VERSION, (request, context) => queryDataVersion(parts, request, context)],
    [
      RequestCode.REGISTER_TOPIC_IN_NAMESRV,
      ({ ext, body }) => {
        const topic = new Fields(ext).text("topic");
        if (body.length > 0) registry.registerTopic(topic, readRoute(body).queueDatas);
        return SUCCESS;
      },
    ],
    [
      RequestCode.GET_BROKER_MEMBER_GROUP,
      ({ ext }) => {
        const fields = new Fields(ext);
        const group = registry.memberGroup(fields.text("clusterName"), fields.text("brokerName"));
        return answerJson({ brokerMemberGroup: group });
      },
    ],
  ];
}

function identity(fields: Fields): BrokerIdentity {
  return {
    cluster: fields.text("clusterName"),
    brokerName: fields.text("brokerName"),
    brokerId: fields.long("brokerId"),
    address: fields.text("brokerAddr"),
  };
}

function register({ registry, kv, settings }: RegistrationParts, request: Command, context: RequestContext): Response {
  const fields = new Fields(request.ext);
  const who = identity(fields);
  const checksum = fields.optionalInt("bodyCrc32") ?? 0;
  if (checksum !== 0 && checksum !== bodyChecksum(request.body)) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, "crc32 not match");
  }
  const result = registry.register({
    ...who,
    haServerAddr: fields.optionalText("haServerAddr") ?? "",
    zoneName: fields.optionalText("__ZONE_NAME"),
    timeoutMs: fields.optionalLong("heartbeatTimeoutMillis"),
    enableActingMaster: fields.has("enableActingMaster") ? fields.boolean("enableActingMaster") : undefined,
    body: readRegisterBroker(request.body, fields.boolean("compressed"), request.version),
    connection: context.connection,
  });
  const ordered = settings.current.returnOrderTopicConfigToBroker ? kv.namespace(ORDER_TOPIC_NAMESPACE) : undefined;
  const ext = { ...result };
  return ordered === undefined ? { code: ResponseCode.SUCCESS, ext } : answerJson({ table: ordered }, ext);
}

function queryDataVersion(
  { registry, settings }: RegistrationParts,
  { ext, body }: Command,
  { connection }: RequestContext,
): Response {
  const { cluster, address } = identity(new Fields(ext));
  const changed = registry.isChanged(
    cluster,
    address,
    readDataVersion(body.length === 0 ? undefined : parseBody(body)),
  );
  // Who has nothing new to tell does not register: asking is its sign of life. Everybody may ask, and not everybody be a broker.
  const mayBeBroker = hasAccess(settings, "brokerAccess", connection);
  if (!changed) registry.live.touch(cluster, address, mayBeBroker ? connection : undefined);
  const known = registry.live.get(cluster, address)?.dataVersion;
  return known === undefined ? { code: ResponseCode.SUCCESS, ext: { changed } } : answerJson(known, { changed });
}
