/** What the parts of a broker tell each other: the whole of it in this process, over sockets, by a clock of the test's own. */
import { mkdir, mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Store, StoreError } from "moraine";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Broker } from "../../src/broker.ts";
import { RequestCode, ResponseCode } from "../../src/protocol/codes.ts";
import type { Command } from "../../src/protocol/command.ts";
import { parseBody } from "../../src/protocol/json.ts";
import { systemClock } from "../../src/services/clock.ts";
import { RemotingClient } from "../../src/transport/client.ts";
import { DEFAULT_LIMITS, type TransportLimits } from "../../src/transport/limits.ts";
import { freePort } from "../clients/ports.ts";
import { startBroker } from "./broker-rig.ts";
import { sendFields } from "./processors/message-rig.ts";
import { int32 } from "./protocol/bytes.ts";
import { ManualClock } from "./services/rig.ts";
import { KeptLog, Peer } from "./transport/peer.ts";

const MINUTE_MS = 60_000;

let folder: string;
let port: number;
let log: KeptLog;
let clock: ManualClock;
let client: RemotingClient;
let broker: Broker | undefined;
/** The one that the broker has opened last. */
let store: Store;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "moraine-broker-"));
  port = await freePort([-2]);
  log = new KeptLog();
  clock = new ManualClock();
  vi.spyOn(systemClock, "sleep").mockImplementation((ms, signal) => clock.sleep(ms, signal));
  const open = Store.open.bind(Store);
  vi.spyOn(Store, "open").mockImplementation(async (...options) => {
    store = await open(...options);
    return store;
  });
  client = new RemotingClient({ log });
});

afterEach(async () => {
  client.close();
  const running = broker;
  broker = undefined;
  await running?.stop();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

async function start(given: Readonly<Record<string, string>> = {}): Promise<Broker> {
  broker = await startBroker({ folder, port }, log, { mappedFileSizeCommitLog: "1048576", ...given });
  return broker;
}

function ask(code: number, ext: object = {}, body?: object): Promise<Command> {
  const bytes = body instanceof Uint8Array || body === undefined ? body : Buffer.from(JSON.stringify(body));
  return client.invoke(`127.0.0.1:${port}`, code, { ...ext }, bytes, 10_000);
}

const send = (body = Buffer.from("hello")) => ask(RequestCode.SEND_MESSAGE_V2, sendFields(), body);
const told = (sentence: RegExp) => log.lines.filter((line) => sentence.test(line.sentence));

/** Goes on by a minute, when all that waits for one does; until all looks were made. */
async function minute(): Promise<void> {
  const asleep = () => vi.waitFor(() => expect(clock.wanted).not.toEqual([]), { interval: 2, timeout: 30_000 });
  await asleep();
  clock.advance(MINUTE_MS);
  await asleep();
  await turn();
}

test("what goes wrong with the store is told within a minute, and what was removed from it", async () => {
  await start();
  await send();
  const obstacle = join(folder, "store/config/consumerOffset.json.tmp");
  await mkdir(join(obstacle, "x"), { recursive: true });
  store.groups.commit("readers", "orders", 0, 1);
  await expect(store.groups.flush()).rejects.toMatchObject({ code: "STORE_IO" });
  for (let count = 0; count < 4; count++) await send(Buffer.alloc(600_000));
  await store.expire({ maxBytes: 2_000_000 });
  expect(store.log.minOffset).toBeGreaterThan(0);
  const tellings = /^the store is not well: changes could not be written|^(old )?files of the log were removed/;
  expect(told(tellings)).toEqual([]);
  await minute();
  await rm(obstacle, { recursive: true });
  expect(told(tellings)).toHaveLength(2);
});

test("what is wrong with the file of a table is told when the broker starts", async () => {
  await start();
  for (const offset of [1, 2]) {
    store.groups.commit("readers", "orders", 0, offset);
    await store.groups.flush();
  }
  await broker?.stop();
  broker = undefined;
  await truncate(join(folder, "store/config/consumerOffset.json"), 10);
  await start();
  expect(told(/^the store is not well: .*consumerOffset\.json\.bak is used/)).toHaveLength(1);
});

test("a group that there is has its topic for retries, though no more topics are made for clients", async () => {
  await start({ maxAutoCreated: "0" });
  expect((await send()).code).not.toBe(ResponseCode.SUCCESS);
  const group = { groupName: "readers", retryQueueNums: 1 };
  expect(await ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, group)).toMatchObject({ code: 0 });
  const heartbeat = (groupName: string) => ({
    clientID: "one",
    consumerDataSet: [
      {
        groupName,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        subscriptionDataSet: [],
      },
    ],
  });
  for (const name of ["readers", "strangers"]) await ask(RequestCode.HEART_BEAT, {}, heartbeat(name));
  const codeOf = async (topic: string) => (await ask(RequestCode.GET_TOPIC_CONFIG, { topic })).code;
  expect(await codeOf("%RETRY%readers")).toBe(ResponseCode.SUCCESS);
  expect(await codeOf("%RETRY%strangers")).toBe(ResponseCode.TOPIC_NOT_EXIST);
});

test("what administrators change is logged, over either port", async () => {
  await start();
  for (const at of [port, port - 2]) {
    await client.invoke(`127.0.0.1:${at}`, RequestCode.DELETE_TOPIC_IN_BROKER, { topic: "x" }, undefined, 10_000);
  }
  const asked = { request: "DELETE_TOPIC_IN_BROKER", fields: { topic: "x" } };
  expect(told(/^an administrator asks for a change/).map(({ facts }) => facts)).toMatchObject([asked, asked]);
});

test("what an administrator removes is told as that, and as nothing else", async () => {
  const now = Date.now;
  let later = 0;
  vi.spyOn(Date, "now").mockImplementation(() => now() + later);
  await start();
  for (let count = 0; count < 4; count++) await send(Buffer.alloc(600_000));
  later = 73 * 60 * MINUTE_MS;
  expect(await ask(RequestCode.DELETE_EXPIRED_COMMITLOG)).toMatchObject({ code: 0 });
  expect(store.log.minOffset).toBeGreaterThan(0);
  await minute();
  expect(told(/files of the log were removed/).map(({ sentence }) => sentence)).toEqual([
    "expired files of the log were removed",
  ]);
});

test("a broker is active though its disk is full, as RocketMQ's is, and not when its store has failed", async () => {
  await start();
  const isActive = async () => {
    const { body } = await ask(RequestCode.GET_BROKER_RUNTIME_INFO);
    return (parseBody(body) as { table: Record<string, string> }).table.brokerActive;
  };
  expect(await isActive()).toBe("true");
  vi.spyOn(store, "put").mockImplementation(() => {
    throw new StoreError("STORE_FULL", "for a test");
  });
  for (let count = 0; count < 2; count++) expect((await send()).code).toBe(ResponseCode.SERVICE_NOT_AVAILABLE);
  expect(await isActive()).toBe("true");
  expect(told(/^the store does not take messages/)).toHaveLength(1);
  const state = vi.spyOn(store, "state", "get").mockReturnValue("poisoned");
  expect(await isActive()).toBe("false");
  state.mockRestore();
});

test("all ports have one account of what connections hold, and the limit of the process by default", async () => {
  const limits = DEFAULT_LIMITS as { -readonly [name in keyof TransportLimits]: TransportLimits[name] };
  const { maxHeldBytes } = limits;
  limits.maxHeldBytes = 5_000_000;
  try {
    const { nameServer } = await start();
    const nameServerPort = Number(nameServer?.split(":").at(-1));
    const peers = await Promise.all([port, port - 2, nameServerPort].map((at) => Peer.connect(at)));
    // Of a frame that is not whole: two of the three together are not too much.
    const part = Buffer.concat([int32(10_000_000), int32(10), Buffer.alloc(2_000_000)]);
    for (const { socket } of peers) socket.write(part);
    await Promise.race(peers.map(({ closed }) => closed));
    expect(told(/^a connection is closed: all of them hold too much/)).toHaveLength(1);
    expect(peers.filter(({ isClosed }) => isClosed)).toHaveLength(1);
    for (const peer of peers) peer.end();
  } finally {
    limits.maxHeldBytes = maxHeldBytes;
  }
});
