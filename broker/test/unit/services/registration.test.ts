import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Configuration } from "../../../src/config/configuration.ts";
import { bodyChecksum, readRegisterBroker } from "../../../src/protocol/bodies/register-broker.ts";
import { RequestCode, ResponseCode } from "../../../src/protocol/codes.ts";
import type { FieldValues } from "../../../src/protocol/command.ts";
import { printBody } from "../../../src/protocol/json.ts";
import { isReadable, isWritable, permissionWithin } from "../../../src/services/broker-permission.ts";
import { type Invoker, Registration } from "../../../src/services/registration.ts";
import { topicConfig } from "../../../src/tables/topic-config.ts";
import { TopicTable } from "../../../src/tables/topic-table.ts";
import type { Answer } from "../../../src/transport/client.ts";
import { Logged, open } from "./rig.ts";

interface Asked {
  readonly server: string;
  readonly code: number;
  readonly ext: FieldValues;
  readonly body: Uint8Array | undefined;
  readonly timeoutMs: number;
}

const answer = (code: number, body: Uint8Array = new Uint8Array(0)): AnswerOfServer => ({
  code,
  language: "JAVA",
  version: 479,
  opaque: 1,
  flag: 1,
  remark: "register broker failed",
  ext: {},
  body,
  serialization: "json",
});

type AnswerOfServer = Omit<Answer, "connection">;

/** Name servers that answer as a test says. */
class NameServers implements Invoker {
  readonly asked: Asked[] = [];
  /** The one that answers come over. */
  connection = 1;
  answer: (asked: Asked) => AnswerOfServer = () => answer(ResponseCode.SUCCESS);

  async invoke(
    server: string,
    code: number,
    ext: FieldValues,
    body: Uint8Array | undefined,
    timeoutMs: number,
  ): Promise<Answer> {
    const asked = { server, code, ext, body, timeoutMs };
    this.asked.push(asked);
    const given = this.answer(asked);
    return { ...given, connection: this.connection };
  }

  /** Codes since so many requests. */
  since(count: number): number[] {
    return this.asked.slice(count).map(({ code }) => code);
  }

  /** Topics of each registration. */
  get topics(): string[][] {
    const registrations = this.asked.filter(({ code }) => code === RequestCode.REGISTER_BROKER);
    return registrations.map((asked) => [...tableOf(asked).keys()]);
  }
}

const tableOf = ({ body }: Asked) => readRegisterBroker(body as Uint8Array, false, 479).topicConfigTable;

/** Of one that knows all. */
const unchanged = () => ({ ...answer(ResponseCode.SUCCESS), ext: { changed: "false" } });

async function rig(given: Record<string, string> = {}, servers: readonly string[] = ["a:1", "b:2"]) {
  const log = new Logged();
  const options = { brokerName: "broker-a", ...given };
  const configuration = Configuration.load({ given: options }, log);
  const topics = new TopicTable(await open(), { config: configuration.values });
  await topics.ready;
  const client = new NameServers();
  const registration = new Registration({
    client,
    nameServers: () => servers,
    address: "127.0.0.1:10911",
    config: configuration.values,
    topics,
    log,
  });
  return { client, topics, registration, log, configuration };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("registration", () => {
  test("tells all name servers who the broker is and what it has", async () => {
    const { client, topics, registration } = await rig();
    await registration.start();
    expect(client.asked.map(({ server, code, timeoutMs }) => [server, code, timeoutMs])).toEqual([
      ["a:1", RequestCode.REGISTER_BROKER, 24_000],
      ["b:2", RequestCode.REGISTER_BROKER, 24_000],
    ]);
    const [first] = client.asked;
    expect(first?.ext).toEqual({
      brokerName: "broker-a",
      brokerAddr: "127.0.0.1:10911",
      clusterName: "DefaultCluster",
      haServerAddr: "127.0.0.1:10912",
      brokerId: 0,
      enableActingMaster: false,
      compressed: false,
      bodyCrc32: bodyChecksum(first?.body as Uint8Array),
    });
    const body = readRegisterBroker(first?.body as Uint8Array, false, 479);
    expect(body.dataVersion).toEqual(topics.version);
    expect(body.topicConfigTable.get("TBW102")).toEqual(topics.get("TBW102"));
    const names = [...topics.all()].map(({ topicName }) => topicName);
    expect([...body.topicConfigTable.keys()].sort()).toEqual(names.sort());
    await registration.stop();
  });

  test("changes of one time have a version each: a name server passes over a version that it knows", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    await registration.start();
    const names = ["one", "two", "three"];
    await Promise.all(names.map((name) => topics.put(topicConfig(name, 2))));
    await Promise.all(names.map((name) => topics.put(topicConfig(name, 6))));
    await registration.changed();
    const counters = client.asked.map(
      ({ body }) => readRegisterBroker(body as Uint8Array, false, 479).dataVersion.counter,
    );
    expect(counters).toHaveLength(8);
    expect(new Set(counters).size).toBe(8);
    await registration.stop();
  });

  test("comes again every half minute, and takes the broker out at the end", async () => {
    const { client, registration } = await rig({}, ["a:1"]);
    await registration.start();
    // The name server knows nothing of it, as after it was started again.
    await vi.advanceTimersByTimeAsync(60_000);
    expect(client.topics).toHaveLength(3);
    await registration.stop();
    const last = client.asked.at(-1);
    expect(last).toMatchObject({
      code: RequestCode.UNREGISTER_BROKER,
      ext: { brokerName: "broker-a", brokerAddr: "127.0.0.1:10911", clusterName: "DefaultCluster", brokerId: 0 },
      body: undefined,
    });
    expect(vi.getTimerCount()).toBe(0);
    await registration.changed();
    expect(client.asked.at(-1)).toBe(last);
  });

  test("is a question where there is nothing new to tell, and made in full now and then all the same", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    await registration.start();
    client.answer = unchanged;
    await vi.advanceTimersByTimeAsync(9 * 30_000);
    expect(client.since(1)).toEqual(Array(9).fill(RequestCode.QUERY_DATA_VERSION));
    expect(JSON.parse(Buffer.from(client.asked[1]?.body ?? "").toString())).toEqual({ ...topics.version });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(client.since(10)).toEqual([RequestCode.REGISTER_BROKER]);
    client.answer = () => ({ ...answer(ResponseCode.SUCCESS), ext: { changed: "true" } });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(client.since(11)).toEqual([RequestCode.QUERY_DATA_VERSION, RequestCode.REGISTER_BROKER]);
    expect(client.topics.map(({ length }) => length)).toEqual([12, 12, 12]);
    await registration.stop();
  });

  test("is made in full over a new connection, whatever the name server knows: the end of the old one is the broker's there", async () => {
    const { client, registration } = await rig({}, ["a:1"]);
    await registration.start();
    client.answer = unchanged;
    client.connection++;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(client.since(1)).toEqual([RequestCode.QUERY_DATA_VERSION, RequestCode.REGISTER_BROKER]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(client.since(3)).toEqual([RequestCode.QUERY_DATA_VERSION]);
    expect(client.topics.map(({ length }) => length)).toEqual([12, 12]);
    await registration.stop();
  });

  test("of topics that have changed is followed by one in full over a new connection", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    await registration.start();
    client.connection++;
    await topics.create(topicConfig("orders", 4));
    await topics.create(topicConfig("more", 4));
    expect(client.topics.map(({ length }) => length)).toEqual([12, 1, 13, 1]);
    await registration.stop();
  });

  test("of a new topic has that topic alone, and who made it waits for that", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    await registration.start();
    await topics.create(topicConfig("orders", 4));
    expect(client.topics[1]).toEqual(["orders"]);
    const [, change] = client.asked;
    expect(readRegisterBroker(change?.body as Uint8Array, false, 479).dataVersion).toEqual(topics.version);
    expect(change?.timeoutMs).toBe(3000);
    await topics.delete("orders");
    expect(client.asked).toHaveLength(2);
    await registration.stop();
  });

  test("with all topics follows where a name server does not take a part", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    await registration.start();
    client.answer = (asked) => answer(tableOf(asked).size === 1 ? ResponseCode.SYSTEM_ERROR : ResponseCode.SUCCESS);
    await topics.create(topicConfig("orders", 4));
    expect(client.topics.map(({ length }) => length)).toEqual([12, 1, 13]);
    await registration.stop();
  });

  test("that fails is told once, does no harm, and is told again once it works", async () => {
    const { client, topics, registration, log } = await rig();
    client.answer = ({ server }) => {
      if (server === "a:1") throw new Error("no connection");
      return answer(ResponseCode.SUCCESS);
    };
    await registration.start();
    await topics.create(topicConfig("orders", 4));
    await vi.advanceTimersByTimeAsync(30_000);
    const failed = "warn: the broker could not be registered at the name server; it is tried again";
    expect(log.lines).toEqual([failed]);
    client.answer = () => answer(ResponseCode.SUCCESS);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(log.lines).toEqual([failed, "info: registered at the name server again"]);
    client.answer = () => answer(ResponseCode.SYSTEM_ERROR);
    await registration.changed();
    expect(log.lines.slice(2)).toEqual([failed, failed]);
    await registration.stop();
  });

  test("takes the order of topics from a name server", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    await topics.create(topicConfig("orders", 4));
    client.answer = () => answer(ResponseCode.SUCCESS, printBody({ table: { orders: "broker-a:4", nobody: "x:1" } }));
    await registration.start();
    await vi.waitFor(() => expect(topics.get("orders")?.order).toBe(true));
    await topics.flush();
    await registration.stop();
  });

  test("tells what the broker as a whole allows", async () => {
    const { client, topics, registration, configuration } = await rig({}, ["a:1"]);
    configuration.update({ brokerPermission: "4" });
    await registration.start();
    expect(tableOf(client.asked[0] as Asked).get("TBW102")?.perm).toBe(4);
    expect(topics.get("TBW102")?.perm).toBe(7);
    const { version } = topics;
    configuration.update({ brokerPermission: "6" });
    await registration.changed();
    const last = readRegisterBroker(client.asked.at(-1)?.body as Uint8Array, false, 479);
    expect(last.topicConfigTable.get("TBW102")?.perm).toBe(7);
    expect(last.dataVersion.counter).toBe(version.counter + 1);
    await registration.stop();
  });

  test("that fails is made again in full after 1, 2, 4 … seconds, at that name server alone", async () => {
    const { client, topics, registration } = await rig();
    await registration.start();
    expect(registration.failure("a:1")).toBeUndefined();
    client.answer = ({ server }) => {
      if (server === "a:1") throw new Error("not answered in 3000 ms");
      return answer(ResponseCode.SUCCESS);
    };
    const before = client.asked.length;
    await topics.create(topicConfig("orders", 4));
    expect(registration.failure("a:1")).toBe("not answered in 3000 ms");
    const asked = () => client.asked.slice(before).map((one) => [one.server, tableOf(one).size]);
    expect(asked()).toEqual([
      ["a:1", 1],
      ["b:2", 1],
    ]);
    const after: number[] = [];
    for (let second = 1; second <= 8; second++) {
      const known = client.asked.length;
      await vi.advanceTimersByTimeAsync(1000);
      if (client.asked.length > known) after.push(second);
    }
    expect(after).toEqual([1, 3, 7]);
    expect(asked().slice(2)).toEqual(Array(3).fill(["a:1", 13]));
    // Whoever makes a topic meanwhile does not wait for it.
    await topics.create(topicConfig("more", 4));
    expect(asked().slice(5)).toEqual([["b:2", 1]]);
    client.answer = () => answer(ResponseCode.SUCCESS);
    await vi.advanceTimersByTimeAsync(8000);
    expect(asked().slice(6)).toEqual([["a:1", 14]]);
    expect(registration.failure("a:1")).toBeUndefined();
    await registration.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("that fails when the broker stops is not made again", async () => {
    const { client, registration } = await rig({}, ["a:1"]);
    client.answer = () => answer(ResponseCode.SYSTEM_ERROR);
    await registration.start();
    await registration.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(client.asked.map(({ code }) => code)).toEqual([RequestCode.REGISTER_BROKER, RequestCode.UNREGISTER_BROKER]);
  });

  test("of more topics than a frame takes is made in parts, each with another version", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    const long = "n".repeat(100);
    const names = Array.from({ length: 30_000 }, (_, n) => `${long}-${n}`);
    const all = [...topics.all(), ...names.map((name) => topicConfig(name, 4))];
    vi.spyOn(topics, "all").mockImplementation(() => all.values());
    await registration.start();
    expect(client.asked.length).toBeGreaterThan(2);
    expect(client.asked.every(({ body }) => (body?.length ?? 0) < 5_000_000)).toBe(true);
    expect(client.topics.flat()).toHaveLength(30_012);
    const bodies = client.asked.map(({ body }) => readRegisterBroker(body as Uint8Array, false, 479));
    expect(new Set(bodies.map(({ dataVersion }) => dataVersion.counter)).size).toBe(bodies.length);
    expect(bodies.at(-1)?.dataVersion).toEqual(topics.version);
    // Later on a question does, while the name server knows it all.
    const known = client.asked.length;
    client.answer = unchanged;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(client.asked.slice(known).map(({ code }) => code)).toEqual([RequestCode.QUERY_DATA_VERSION]);
    client.answer = () => ({ ...answer(ResponseCode.SUCCESS), ext: { changed: "true" } });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(client.asked.slice(known + 1)).toHaveLength(1 + known);
    await registration.stop();
  });

  test("in parts is begun anew where the connection is lost in between", async () => {
    const { client, topics, registration } = await rig({}, ["a:1"]);
    const long = "n".repeat(100);
    const names = Array.from({ length: 30_000 }, (_, n) => `${long}-${n}`);
    vi.spyOn(topics, "all").mockImplementation(() => names.map((name) => topicConfig(name, 4)).values());
    client.answer = () => {
      if (client.asked.length === 2) client.connection++;
      return answer(ResponseCode.SUCCESS);
    };
    await registration.start();
    expect(client.asked).toHaveLength(2);
    expect(registration.failure("a:1")).toMatch(/connection/);
    await vi.advanceTimersByTimeAsync(1000);
    expect(client.topics.slice(2).flat()).toHaveLength(30_000);
    expect(registration.failure("a:1")).toBeUndefined();
    await registration.stop();
  });

  test("has nothing to do without name servers", async () => {
    const { client, registration } = await rig({}, []);
    await registration.start();
    await registration.stop();
    expect(client.asked).toEqual([]);
  });
});

test("the broker's permission is on top of that of its topics", () => {
  const config = (brokerPermission: string) => Configuration.load({ given: { brokerPermission } }, new Logged()).values;
  expect([config("6"), config("4"), config("2")].map((one) => [isReadable(one), isWritable(one)])).toEqual([
    [true, true],
    [true, false],
    [false, true],
  ]);
  expect(["6", "4", "2"].map((broker) => permissionWithin(config(broker), 7))).toEqual([7, 4, 2]);
});
