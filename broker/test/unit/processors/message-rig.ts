/** The handlers of messages over a real store, and requests as Java's client makes them. */
import type { StoredMessage } from "moraine";
import { pullHandlers } from "../../../src/processors/pull.ts";
import { queryHandlers } from "../../../src/processors/query.ts";
import { refusedHandlers } from "../../../src/processors/refused.ts";
import { sendHandlers } from "../../../src/processors/send.ts";
import { sendBackHandlers } from "../../../src/processors/send-back.ts";
import { RequestCode } from "../../../src/protocol/codes.ts";
import { printProperties } from "../../../src/protocol/message-properties.ts";
import { HeldPulls } from "../../../src/services/held-pulls.ts";
import { Statistics } from "../../../src/services/statistics.ts";
import { type Answer, type FakeConnection, Rig } from "./rig.ts";

export interface MessageRig {
  readonly rig: Rig;
  readonly heldPulls: HeldPulls;
  readonly statistics: Statistics;
}

export async function openRig(given: Readonly<Record<string, string>> = {}): Promise<MessageRig> {
  const rig = await Rig.open(given);
  const heldPulls = new HeldPulls(rig.store, 100);
  const statistics = new Statistics({ clusterName: "DefaultCluster" });
  const { store, health, config, topics, groups, offsets, consumers, locks, log, reads } = rig;
  const shared = { store, health, config, topics, groups, offsets, consumers, locks, log, reads };
  const parts = { ...shared, heldPulls, statistics };
  rig.serve([
    ...refusedHandlers(parts),
    ...sendHandlers(parts),
    ...pullHandlers(parts),
    ...sendBackHandlers(parts),
    ...queryHandlers(parts),
  ]);
  return { rig, heldPulls, statistics };
}

export type Properties = Readonly<Record<string, string>>;

export const textOf = (properties: Properties): string => printProperties(Object.entries(properties));

/** Fields of a send of the second version. */
export const sendFields = (given: Readonly<Record<string, unknown>> = {}, properties: Properties = {}): object => ({
  a: "producers",
  b: "orders",
  c: "TBW102",
  d: "4",
  e: "0",
  f: "0",
  g: "1700000000000",
  h: "7",
  i: textOf({ UNIQ_KEY: "7F000001000018B4AAC2000000000001", ...properties }),
  j: "0",
  k: "false",
  m: "false",
  ...given,
});

export function send(
  { rig }: MessageRig,
  given: Readonly<Record<string, unknown>> = {},
  properties: Properties = {},
  body: Uint8Array = Buffer.from("hello"),
): Promise<Answer> {
  return rig.ask(RequestCode.SEND_MESSAGE_V2, { ext: sendFields(given, properties) as Record<string, unknown>, body });
}

/** What a pull asks for that nothing else is said of: the queue 0 from its front, with its own subscription, not held. */
export const PULL_FIELDS: Readonly<Record<string, unknown>> = {
  consumerGroup: "readers",
  topic: "orders",
  queueId: "0",
  queueOffset: "0",
  maxMsgNums: "32",
  sysFlag: "4",
  commitOffset: "0",
  suspendTimeoutMillis: "0",
  subVersion: "0",
  subscription: "*",
};

export function pull(
  { rig }: MessageRig,
  given: Readonly<Record<string, unknown>> = {},
  connection: FakeConnection = rig.connection,
): Promise<Answer> {
  return rig.ask(RequestCode.PULL_MESSAGE, { ext: { ...PULL_FIELDS, ...given }, connection });
}

/** All messages of a queue. */
export function messages({ rig }: MessageRig, topic: string, queueId = 0): readonly StoredMessage[] {
  return rig.store.get(topic, queueId, 0).messages;
}

/** Where answers put the place in the log. */
export const offsetOf = (id: unknown): number => Number.parseInt(String(id).slice(-16), 16);

export const propertiesOf = (message: StoredMessage | undefined): Record<string, string> =>
  Object.fromEntries(message?.properties ?? []);

/** A message of a batch, as clients encode it. */
export function wireMessage(body: string, properties: Properties = {}): Buffer {
  const text = Buffer.from(textOf(properties));
  const bytes = Buffer.from(body);
  const message = Buffer.alloc(22 + bytes.length + text.length);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(bytes.length, 16);
  bytes.copy(message, 20);
  message.writeInt16BE(text.length, 20 + bytes.length);
  text.copy(message, 22 + bytes.length);
  return message;
}
