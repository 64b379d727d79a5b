/** The whole broker in this process, over sockets. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Broker } from "../../src/broker.ts";
import { Configuration } from "../../src/config/configuration.ts";
import type { Log } from "../../src/log.ts";
import { RequestCode, ResponseCode } from "../../src/protocol/codes.ts";
import type { Command, FieldValues } from "../../src/protocol/command.ts";
import { parseBody } from "../../src/protocol/json.ts";
import { RemotingClient } from "../../src/transport/client.ts";
import { freePort } from "../clients/ports.ts";
import { startBroker } from "./broker-rig.ts";
import { sendFields } from "./processors/message-rig.ts";

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

let folder: string;
let port: number;
let broker: Broker | undefined;
let client: RemotingClient;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "moraine-broker-"));
  port = await freePort([-2]);
  client = new RemotingClient({ log: silent });
});

afterEach(async () => {
  client.close();
  await broker?.stop();
  broker = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function start(given: Readonly<Record<string, string>> = {}): Promise<Broker> {
  broker = await startBroker({ folder, port }, silent, given);
  return broker;
}

function ask(code: number, ext: object = {}, body?: Uint8Array, at: number = port): Promise<Command> {
  return client.invoke(`127.0.0.1:${at}`, code, ext as FieldValues, body, 10_000);
}

const send = (given: Record<string, unknown> = {}, at?: number) =>
  ask(RequestCode.SEND_MESSAGE_V2, sendFields(given), Buffer.from("hello"), at);
const pull = (given: object = {}, at?: number) =>
  ask(
    RequestCode.PULL_MESSAGE,
    {
      consumerGroup: "readers",
      topic: "orders",
      queueId: 0,
      queueOffset: 0,
      maxMsgNums: 32,
      sysFlag: 6,
      commitOffset: 0,
      suspendTimeoutMillis: 15_000,
      subVersion: 0,
      subscription: "*",
      ...given,
    },
    undefined,
    at,
  );

test("who knows the name server finds the broker, sends and pulls, and goes on after a restart", async () => {
  const { nameServer } = await start();
  const route = async () => {
    const answer = await client.invoke(
      nameServer ?? "",
      RequestCode.GET_ROUTEINFO_BY_TOPIC,
      { topic: "orders" },
      undefined,
      3000,
    );
    return answer.code === ResponseCode.SUCCESS ? parseBody(answer.body) : answer.code;
  };
  expect(await route()).toBe(ResponseCode.TOPIC_NOT_EXIST);
  expect(await send()).toMatchObject({ code: ResponseCode.SUCCESS, ext: { queueId: "0", queueOffset: "0" } });
  // Whoever was answered finds the topic.
  expect(await route()).toMatchObject({
    brokerDatas: [{ brokerName: "broker-a", cluster: "DefaultCluster" }],
    queueDatas: [{ brokerName: "broker-a", readQueueNums: 4, writeQueueNums: 4, perm: 6 }],
  });
  expect(await pull()).toMatchObject({ code: ResponseCode.SUCCESS, ext: { nextBeginOffset: "1" } });
  await broker?.stop();
  await start();
  expect(await send()).toMatchObject({ code: ResponseCode.SUCCESS, ext: { queueOffset: "1" } });
  expect((await pull({ queueOffset: 1 })).code).toBe(ResponseCode.SUCCESS);
});

test("a pull is woken by a send over another connection", async () => {
  await start();
  await send();
  const held = pull({ queueOffset: 1 });
  const other = new RemotingClient({ log: silent });
  const answer = await other.invoke(
    `127.0.0.1:${port}`,
    RequestCode.SEND_MESSAGE_V2,
    sendFields() as FieldValues,
    Buffer.from("x"),
    3000,
  );
  expect(answer.code).toBe(ResponseCode.SUCCESS);
  expect(await held).toMatchObject({ code: ResponseCode.SUCCESS, ext: { nextBeginOffset: "2" } });
  other.close();
});

test("the second port takes sends, and no pulls", async () => {
  await start();
  expect((await send({}, port - 2)).code).toBe(ResponseCode.SUCCESS);
  expect((await pull({}, port - 2)).code).toBe(ResponseCode.REQUEST_CODE_NOT_SUPPORTED);
});

test("a delayed message comes when it is due", async () => {
  await start({ messageDelayLevel: "1s 2s" });
  const sent = await send({ i: "DELAY\u00011\u0002" });
  expect(sent.code).toBe(ResponseCode.SUCCESS);
  const answer = await pull();
  expect(answer.code).toBe(ResponseCode.SUCCESS);
  expect(Buffer.from(answer.body).toString("latin1")).toContain("REAL_TOPIC\u0001orders");
});

test("stopping answers those who wait, and takes the broker out of the name server", async () => {
  const first = await start();
  await send({ e: "1" });
  const held = pull();
  await send({ e: "1" });
  await first.stop();
  expect((await held).code).toBe(ResponseCode.SYSTEM_BUSY);
  broker = undefined;
  await start();
});

test("what cannot start leaves nothing behind", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(port - 2, "127.0.0.1", resolve));
  await expect(start()).rejects.toMatchObject({ code: "EADDRINUSE" });
  await new Promise((resolve) => taken.close(resolve));
  await start();
  expect((await send()).code).toBe(ResponseCode.SUCCESS);
});

test("a store that is open elsewhere is refused", async () => {
  await start();
  const options = {
    storePathRootDir: join(folder, "store"),
    listenPort: String(await freePort([-2])),
    nameServerListenPort: "0",
  };
  await expect(Broker.start(Configuration.load({ given: options }, silent), silent)).rejects.toMatchObject({
    code: "STORE_LOCKED",
  });
});

test("a group whose offset is on the disk, and not the message in front of it, misses none that comes instead", async () => {
  await start();
  const who = { consumerGroup: "readers", topic: "orders", queueId: 0 };
  await send();
  await pull();
  expect(await ask(RequestCode.UPDATE_CONSUMER_OFFSET, { ...who, commitOffset: 1 })).toMatchObject({ code: 0 });
  await broker?.stop();
  // As a power cut leaves it that takes four messages from the end of the log.
  const file = join(folder, "store/config/consumerOffset.json");
  const text = await readFile(file, "utf8");
  expect(text).toMatch(/\b0:1\b/);
  await writeFile(file, text.replace(/\b0:1\b/, "0:5"));
  await start();
  expect(await send()).toMatchObject({ ext: { queueOffset: "1" } });
  const { ext } = await ask(RequestCode.QUERY_CONSUMER_OFFSET, who);
  expect(ext).toMatchObject({ offset: "1" });
  expect(await pull({ queueOffset: ext.offset })).toMatchObject({ code: ResponseCode.SUCCESS });
});

test("permissions that change are told to name servers", async () => {
  const { nameServer } = await start({ adminAccess: "loopback" });
  await send();
  const body = Buffer.from("brokerPermission=4");
  expect((await ask(RequestCode.UPDATE_BROKER_CONFIG, {}, body)).code).toBe(ResponseCode.SUCCESS);
  await vi.waitFor(async () => {
    const { body: route } = await client.invoke(
      nameServer ?? "",
      RequestCode.GET_ROUTEINFO_BY_TOPIC,
      { topic: "orders" },
      undefined,
      3000,
    );
    expect(parseBody(route)).toMatchObject({ queueDatas: [{ perm: 4 }] });
  });
});

test("its own name server knows it, whatever address clients are told", async () => {
  const advertised = "203.0.113.5";
  for (const bindAddress of ["127.0.0.1", "0.0.0.0"]) {
    const { nameServer } = await start({ bindAddress, brokerIP1: advertised });
    const [host, nameServerPort] = nameServer?.split(":") ?? [];
    expect(host).toBe(advertised);
    await send();
    const code = RequestCode.GET_ROUTEINFO_BY_TOPIC;
    const answer = await client.invoke(`127.0.0.1:${nameServerPort}`, code, { topic: "orders" }, undefined, 3000);
    expect(parseBody(answer.body)).toMatchObject({ brokerDatas: [{ brokerAddrs: { 0: `${advertised}:${port}` } }] });
    await broker?.stop();
    broker = undefined;
  }
});

test("more topics than a frame takes have routes at its own name server", async () => {
  let { nameServer } = await start({ autoCreateTopicEnable: "false" });
  const long = "n".repeat(110);
  const topicConfigList = Array.from({ length: 50_000 }, (_, n) => ({ topicName: `${long}-${n}`, readQueueNums: 1 }));
  for (let from = 0; from < topicConfigList.length; from += 10_000) {
    const body = Buffer.from(JSON.stringify({ topicConfigList: topicConfigList.slice(from, from + 10_000) }));
    expect(await ask(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, body)).toMatchObject({ code: 0 });
  }
  const topics = async () => {
    const code = RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER;
    const { body } = await client.invoke(nameServer ?? "", code, {}, undefined, 10_000);
    return (parseBody(body) as { topicList: string[] }).topicList.filter((name) => name.startsWith("nnn"));
  };
  expect(await topics()).toHaveLength(50_000);
  await broker?.stop();
  ({ nameServer } = await start());
  expect(await topics()).toHaveLength(50_000);
}, 60_000);
