/**
 * One store that our broker and Apache's open by turns: the same name and the same address each time, and one name server that
 * stays, so that clients find the one where the other one was.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseBody } from "../../../src/protocol/json.ts";
import { ApacheBroker, ApacheNameServer } from "../../apache/apache.ts";
import { freePort } from "../../clients/ports.ts";
import { MoraineBroker, startMoraineNameServer } from "../moraine.ts";
import type { Settings, Subject } from "../subject.ts";

export type Holder = Subject["kind"];

interface Parts {
  readonly folder: string;
  readonly nameServer: { readonly address: string; end(signal: "SIGTERM" | "SIGKILL"): Promise<void> };
  readonly brokers: Readonly<Record<Holder, MoraineBroker | ApacheBroker>>;
}

/** What a broker has noted in its tables about how far all have come, by the time it ended. */
export interface Progress {
  /** Where a group goes on in a queue; 0 where nothing is noted. */
  offset(group: string, topic: string, queueId: number): number;
  /** The first message of a delay level that is not noted as delivered, by its place among those that wait. */
  delivered(level: number): number;
}

export class Turns implements Subject {
  readonly brokerName = "broker-a";
  readonly cluster = "DefaultCluster";
  readonly #parts: Parts;
  #holder: Holder = "moraine";

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Our broker opens the store first. `nameServer` is whose stays. */
  static async begin(nameServer: Holder, settings: Settings): Promise<Turns> {
    const folder = mkdtempSync(join(tmpdir(), "moraine-turns-"));
    const names = join(folder, "namesrv");
    const server = await (nameServer === "apache" ? ApacheNameServer.start(names) : startMoraineNameServer(names));
    const port = await freePort([-2, 1]);
    const store = join(folder, "store");
    const { address } = server;
    const ours = { ...settings, nameServerEnable: false, namesrvAddr: address };
    const brokers = {
      moraine: await MoraineBroker.make(join(folder, "moraine"), { settings: ours, port, store }),
      apache: await ApacheBroker.make(join(folder, "apache"), address, { settings, port, store }),
    };
    await brokers.moraine.start();
    return new Turns({ folder, nameServer: server, brokers });
  }

  /** Whose broker has the store. */
  get kind(): Holder {
    return this.#holder;
  }

  get nameServer(): string {
    return this.#parts.nameServer.address;
  }

  get brokerAddress(): string {
    return this.#parts.brokers.moraine.address;
  }

  get folder(): string {
    return this.#parts.folder;
  }

  get store(): string {
    return join(this.folder, "store");
  }

  /** Ends the one broker. Returns what it has noted. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<Progress> {
    await this.#parts.brokers[this.#holder].end(signal);
    return this.noted();
  }

  /** Starts the other one. */
  async pass(): Promise<void> {
    this.#holder = this.#holder === "moraine" ? "apache" : "moraine";
    await this.start();
  }

  start(): Promise<void> {
    return this.#parts.brokers[this.#holder].start();
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
  }

  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** What the tables say now. */
  noted(): Progress {
    const offsets = this.#table("consumerOffset");
    const delivered = this.#table("delayOffset");
    return {
      offset: (group, topic, queueId) => Number((offsets[`${topic}@${group}`] as Numbers)?.[queueId] ?? 0),
      delivered: (level) => Number(delivered[level] ?? 0),
    };
  }

  async close(): Promise<void> {
    const { brokers, nameServer, folder } = this.#parts;
    await Promise.all([brokers.moraine.end("SIGKILL"), brokers.apache.end("SIGKILL"), nameServer.end("SIGKILL")]);
    if (process.env.MORAINE_KEEP_FOLDERS === undefined) rmSync(folder, { recursive: true, force: true });
  }

  /** Both read the file before it where the file itself is missing or not whole. */
  #table(name: string): Record<string, unknown> {
    for (const file of [`${name}.json`, `${name}.json.bak`]) {
      try {
        const table = parseBody(readFileSync(join(this.store, "config", file))) as { offsetTable?: object };
        return { ...table.offsetTable };
      } catch {
        // The next one, or none.
      }
    }
    return {};
  }
}

type Numbers = Readonly<Record<number, number>> | undefined;
