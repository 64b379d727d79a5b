/** A name server with peers that register as brokers and ask as clients, over real sockets. */

import { NameServer } from "../../../src/name-server/name-server.ts";
import { bodyChecksum, printRegisterBroker } from "../../../src/protocol/bodies/register-broker.ts";
import type { TopicConfig } from "../../../src/protocol/bodies/topic-config.ts";
import { RequestCode } from "../../../src/protocol/codes.ts";
import type { Command, FieldValues } from "../../../src/protocol/command.ts";
import { jsonFrame } from "../protocol/bytes.ts";
import { printCompressedRegisterBroker } from "../protocol/compressed-registration.ts";
import { KeptLog, Peer } from "../transport/peer.ts";

export interface BrokerOptions {
  readonly cluster?: string;
  readonly brokerName?: string;
  readonly brokerId?: number;
  readonly brokerAddr?: string;
  readonly haServerAddr?: string;
  readonly topics?: readonly (string | TopicConfig)[];
  readonly counter?: number;
  readonly stateVersion?: number;
  readonly ext?: FieldValues;
  readonly compressed?: boolean;
  readonly filterServerList?: readonly string[];
}

export function topic(topicName: string, more: Partial<TopicConfig> = {}): TopicConfig {
  return {
    topicName,
    readQueueNums: 8,
    writeQueueNums: 8,
    perm: 6,
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: 0,
    order: false,
    attributes: {},
    ...more,
  };
}

export class Asking {
  readonly peer: Peer;
  #opaque = 0;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  /** Sends a request as a client of this version, and waits for its answer. */
  async ask(code: number, ext: FieldValues = {}, body?: Uint8Array, version = 479): Promise<Command> {
    const opaque = ++this.#opaque;
    const extFields = Object.fromEntries(Object.entries(ext).map(([name, value]) => [name, String(value)]));
    this.peer.socket.write(jsonFrame({ code, opaque, version, extFields, flag: 0, language: "JAVA" }, body));
    await this.peer.has(opaque);
    const answer = this.peer.received.find((command) => command.opaque === opaque);
    if (answer === undefined) throw new Error(`no answer to request ${code}`);
    return answer;
  }

  async text(code: number, ext: FieldValues = {}, version = 479): Promise<string> {
    const { code: result, remark, body } = await this.ask(code, ext, undefined, version);
    if (result !== 0) throw new Error(`${result}: ${remark}`);
    return Buffer.from(body).toString();
  }

  async json(code: number, ext: FieldValues = {}): Promise<unknown> {
    return JSON.parse(await this.text(code, ext));
  }

  register(options: BrokerOptions = {}): Promise<Command> {
    const {
      cluster = "c",
      brokerName = "b",
      brokerId = 0,
      brokerAddr = `10.0.0.1:${10_911 + brokerId}`,
      haServerAddr = "10.0.0.1:10912",
      topics = ["t", "u"],
      counter = 1,
      stateVersion = 0,
      compressed = false,
      filterServerList = [],
    } = options;
    const configs = topics.map((each) => (typeof each === "string" ? topic(each) : each));
    const registration = {
      dataVersion: { counter, stateVersion, timestamp: 1_700_000_000_000 },
      topicConfigTable: new Map(configs.map((config) => [config.topicName, config])),
      filterServerList,
    };
    const body = compressed ? printCompressedRegisterBroker(registration) : printRegisterBroker(registration);
    const header = { brokerName, brokerAddr, clusterName: cluster, haServerAddr, brokerId, compressed };
    const ext = { ...header, bodyCrc32: bodyChecksum(body), ...options.ext };
    return this.ask(RequestCode.REGISTER_BROKER, ext, body);
  }
}

/** A name server, and peers that end with it. */
export class Cluster {
  readonly server: NameServer;
  readonly log: KeptLog;
  readonly #peers: Peer[] = [];

  private constructor(server: NameServer, log: KeptLog) {
    this.server = server;
    this.log = log;
  }

  static async start(options: Readonly<Record<string, unknown>> = {}, now?: () => number): Promise<Cluster> {
    const log = new KeptLog();
    const parts = { options: { listenPort: 0, ...options }, log };
    return new Cluster(await NameServer.listen(now === undefined ? parts : { ...parts, now }), log);
  }

  async connect(): Promise<Asking> {
    const peer = await Peer.connect(this.server.port);
    this.#peers.push(peer);
    return new Asking(peer);
  }

  async stop(): Promise<void> {
    for (const peer of this.#peers) peer.end();
    await this.server.close(0);
  }
}
