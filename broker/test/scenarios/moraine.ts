/** Our broker, with its own name server or another one, as a process. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../clients/ports.ts";
import { Process } from "../clients/process.ts";
import type { Settings, Subject } from "./subject.ts";

const READY_MS = 30_000;
const DIST = join(import.meta.dirname, "../../dist");

/** As Apache's broker in these tests has them. */
const SMALL_FILES: Settings = {
  mappedFileSizeCommitLog: 16_777_216,
  mappedFileSizeConsumeQueue: 6000,
  maxHashSlotNum: 5000,
  maxIndexNum: 20_000,
};

/** The compiled broker over a store of its own, with a name server in the same process. */
export async function startMoraine(settings: Settings = {}): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), "moraine-broker-"));
  const nameServerPort = await freePort();
  const own = { nameServerEnable: true, nameServerListenPort: nameServerPort };
  const broker = await MoraineBroker.make(folder, { settings: { ...SMALL_FILES, ...own, ...settings } });
  await broker.start();
  return {
    kind: "moraine",
    nameServer: `127.0.0.1:${nameServerPort}`,
    brokerAddress: broker.address,
    brokerName: "broker-a",
    cluster: "DefaultCluster",
    folder,
    get pid() {
      return broker.pid;
    },
    start: () => broker.start(),
    stop: () => broker.end("SIGTERM"),
    kill: () => broker.end("SIGKILL"),
    async close() {
      await broker.end("SIGTERM");
      if (process.env.MORAINE_KEEP_FOLDERS === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface MoraineBrokerOptions {
  readonly settings?: Settings | undefined;
  /** Of the broker; by default any that is free. */
  readonly port?: number | undefined;
  /** Of the store, which is made where there is none; default: in the folder. */
  readonly store?: string | undefined;
}

/** A broker alone, or with the name server that its settings ask for. */
export class MoraineBroker {
  readonly address: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #store: string;
  readonly #nameServerPort: number | undefined;
  #process: Process | undefined;
  #starts = 0;

  private constructor(folder: string, port: number, store: string, nameServerPort: number | undefined) {
    this.#folder = folder;
    this.#port = port;
    this.#store = store;
    this.#nameServerPort = nameServerPort;
    this.address = `127.0.0.1:${port}`;
  }

  static async make(folder: string, options: MoraineBrokerOptions = {}): Promise<MoraineBroker> {
    mkdirSync(folder, { recursive: true });
    const { settings = {}, port = await freePort([-2, 1]), store = join(folder, "store") } = options;
    const all: Settings = {
      brokerClusterName: "DefaultCluster",
      brokerName: "broker-a",
      brokerIP1: "127.0.0.1",
      listenPort: port,
      haListenPort: port + 1,
      diskMaxUsedSpaceRatio: 95,
      diskSpaceCleanForciblyRatio: 95,
      ...settings,
    };
    writeFileSync(join(folder, "broker.conf"), textOf(all));
    const nameServerPort = all.nameServerEnable === true ? Number(all.nameServerListenPort) : undefined;
    return new MoraineBroker(folder, port, store, nameServerPort);
  }

  async start(): Promise<void> {
    this.#starts += 1;
    const words = ["--store", this.#store, "--config", join(this.#folder, "broker.conf")];
    const started = run("the broker", "main.js", words, join(this.#folder, `output-${this.#starts}.txt`));
    this.#process = started;
    if (this.#nameServerPort !== undefined) await listening(started, this.#nameServerPort);
    await listening(started, this.#port);
  }

  get pid(): number | undefined {
    return this.#process?.child.pid;
  }

  end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    return this.#process?.end(signal) ?? Promise.resolve();
  }
}

/** A name server alone. */
export async function startMoraineNameServer(
  folder: string,
): Promise<{ address: string; end: (signal: "SIGTERM" | "SIGKILL") => Promise<void> }> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const started = run("the name server", "name-server-main.js", ["--port", String(port)], join(folder, "output.txt"));
  await listening(started, port);
  return { address: `127.0.0.1:${port}`, end: (signal) => started.end(signal) };
}

function run(name: string, file: string, words: readonly string[], log: string): Process {
  const main = join(DIST, file);
  if (!existsSync(main)) throw new Error(`${main} is missing: npm run build`);
  return Process.start(name, [process.execPath, main, ...words], log);
}

/** As a file of RocketMQ's options. */
export function textOf(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

async function listening(broker: Process, port: number): Promise<void> {
  const until = Date.now() + READY_MS;
  while (!(await accepts(port))) {
    if (broker.child.exitCode !== null || Date.now() > until) await broker.printed(/$^/, 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
