/** Apache's name server and broker, as processes in a folder of their own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { javaOptions, libraries } from "../clients/java.ts";
import { freePort } from "../clients/ports.ts";
import { Process } from "../clients/process.ts";
import type { Settings, Subject } from "../scenarios/subject.ts";

const READY_MS = 90_000;

/** How Apache's programs are started. */
export interface Way {
  /** Options of the broker that differ from RocketMQ's defaults. */
  readonly settings: Settings;
  /** Options of the JVM, for a process whose folder is this. */
  nameServer(folder: string): readonly string[];
  broker(folder: string): readonly string[];
}

/** A start makes none of them at their full size. */
const SMALL_FILES: Settings = {
  mappedFileSizeCommitLog: 16_777_216,
  mappedFileSizeConsumeQueue: 6000,
  maxHashSlotNum: 5000,
  maxIndexNum: 20_000,
  mappedFileSizeTimerLog: 1_048_576,
};

const PATIENT: Settings = {
  warmMapedFileEnable: false,
  transientStorePoolEnable: false,
  diskMaxUsedSpaceRatio: 95,
  // On a busy machine a send may wait longer than 200 ms for its turn, and is not refused for that here.
  waitTimeMillsInSendQueue: 10_000,
};

/** With little memory. */
const FOR_TESTS: Way = {
  settings: PATIENT,
  nameServer: (folder) => ["-Xms32m", "-Xmx128m", ...javaOptions(folder, "INFO")],
  broker: (folder) => ["-Xms128m", "-Xmx512m", "-XX:MaxDirectMemorySize=512m", ...javaOptions(folder, "INFO")],
};

/** A name server of 5.4.0. */
export class ApacheNameServer {
  readonly address: string;
  readonly #folder: string;
  readonly #way: Way;
  #process: Process | undefined;

  private constructor(folder: string, port: number, way: Way) {
    this.#folder = folder;
    this.#way = way;
    this.address = `127.0.0.1:${port}`;
  }

  static async start(folder: string, way: Way = FOR_TESTS): Promise<ApacheNameServer> {
    mkdirSync(folder, { recursive: true });
    const port = await freePort();
    writeFileSync(join(folder, "namesrv.conf"), `listenPort=${port}\nbindAddress=127.0.0.1\n`);
    const server = new ApacheNameServer(folder, port, way);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const words = ["org.apache.rocketmq.namesrv.NamesrvStartup", "-c", join(this.#folder, "namesrv.conf")];
    this.#process = await jvm("Apache's name server", this.#folder, this.#way.nameServer(this.#folder), words);
  }

  end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    return this.#process?.end(signal) ?? Promise.resolve();
  }
}

/** A broker of 5.4.0 with a name server of its own. */
export async function startApache(settings: Settings = {}): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), "moraine-apache-"));
  const nameServer = await ApacheNameServer.start(join(folder, "namesrv"));
  const all = { ...SMALL_FILES, ...settings };
  const broker = await ApacheBroker.make(join(folder, "broker"), nameServer.address, { settings: all });
  await broker.start();
  return {
    kind: "apache",
    nameServer: nameServer.address,
    brokerAddress: broker.address,
    brokerName: "broker-a",
    cluster: "DefaultCluster",
    folder,
    start: () => broker.start(),
    stop: () => broker.end("SIGTERM"),
    kill: () => broker.end("SIGKILL"),
    async close() {
      // A clean end takes this broker fourteen seconds, and nobody looks at the store any more.
      await Promise.all([broker.end("SIGKILL"), nameServer.end("SIGKILL")]);
      if (process.env.MORAINE_KEEP_FOLDERS === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface ApacheBrokerOptions {
  readonly settings?: Settings | undefined;
  /** By default any that is free. */
  readonly port?: number | undefined;
  /** An existing store directory to open; by default an empty one is made in the folder. */
  readonly store?: string | undefined;
  readonly way?: Way | undefined;
}

/** A broker alone: registers wherever it is told to. Files have RocketMQ's own sizes unless the settings say otherwise. */
export class ApacheBroker {
  readonly address: string;
  readonly #folder: string;
  readonly #way: Way;
  #process: Process | undefined;

  private constructor(folder: string, port: number, way: Way) {
    this.#folder = folder;
    this.#way = way;
    this.address = `127.0.0.1:${port}`;
  }

  static async make(folder: string, nameServer: string, options: ApacheBrokerOptions = {}): Promise<ApacheBroker> {
    mkdirSync(folder, { recursive: true });
    const { settings = {}, store = join(folder, "store"), way = FOR_TESTS } = options;
    const port = options.port ?? (await freePort([-2, 1]));
    const all: Settings = {
      brokerClusterName: "DefaultCluster",
      brokerName: "broker-a",
      brokerId: 0,
      brokerRole: "ASYNC_MASTER",
      flushDiskType: "ASYNC_FLUSH",
      namesrvAddr: nameServer,
      brokerIP1: "127.0.0.1",
      brokerIP2: "127.0.0.1",
      listenPort: port,
      haListenPort: port + 1,
      autoCreateTopicEnable: true,
      storePathRootDir: store,
      storePathCommitLog: join(store, "commitlog"),
      ...way.settings,
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(join(folder, "broker.conf"), lines.join(""));
    return new ApacheBroker(folder, port, way);
  }

  async start(): Promise<void> {
    const words = ["org.apache.rocketmq.broker.BrokerStartup", "-c", join(this.#folder, "broker.conf")];
    this.#process = await jvm("Apache's broker", this.#folder, this.#way.broker(this.#folder), words);
  }

  /** Once it was started. */
  get pid(): number | undefined {
    return this.#process?.child.pid;
  }

  end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    return this.#process?.end(signal) ?? Promise.resolve();
  }
}

let starts = 0;

async function jvm(
  name: string,
  folder: string,
  options: readonly string[],
  words: readonly string[],
): Promise<Process> {
  const jars = await libraries("5.4.0");
  starts += 1;
  // A JVM that is killed leaves its copy of RocksDB's library behind (15 MB); here it goes with the folder.
  const temporary = join(folder, "temporary");
  mkdirSync(temporary, { recursive: true });
  const command = ["java", `-Djava.io.tmpdir=${temporary}`, ...options, "-cp", `${jars}/*`, ...words];
  // ROCKETMQ_HOME must be set; the folder may be empty.
  const started = Process.start(name, command, join(folder, `output-${starts}.txt`), {
    ...process.env,
    ROCKETMQ_HOME: folder,
  });
  await started.printed(/boot success/, READY_MS);
  return started;
}
