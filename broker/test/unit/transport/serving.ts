/** A server with handlers of a test's own, and peers that end with it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach } from "vitest";
import type { Command } from "../../../src/protocol/command.ts";
import type { Handler } from "../../../src/transport/connection.ts";
import { Dispatcher } from "../../../src/transport/dispatcher.ts";
import type { HeldBytes } from "../../../src/transport/held-bytes.ts";
import type { TransportLimits } from "../../../src/transport/limits.ts";
import { RemotingServer } from "../../../src/transport/server.ts";
import { KeptLog, Peer } from "./peer.ts";

export interface Serving {
  readonly handlers: Readonly<Record<number, Handler>>;
  readonly limits?: Partial<TransportLimits>;
  readonly held?: HeldBytes;
  readonly before?: readonly ((request: Command) => void | Promise<void>)[];
  readonly maxBodyBytes?: (code: number) => number;
}

export const ok: Handler = () => ({ code: 0 });

export class Bench {
  log: KeptLog = new KeptLog();
  readonly #servers: RemotingServer[] = [];
  readonly #peers: Peer[] = [];

  /** One for all tests of a file, new before each. */
  static forEach(): Bench {
    const bench = new Bench();
    beforeEach(() => {
      bench.log = new KeptLog();
    });
    afterEach(() => bench.#end());
    return bench;
  }

  readonly serve = async ({ handlers, limits, held, before = [], maxBodyBytes }: Serving): Promise<RemotingServer> => {
    const entries = Object.entries(handlers).map(([code, handler]) => [Number(code), handler] as const);
    const { log } = this;
    const dispatcher = new Dispatcher({ handlers: entries, before, log, ...(maxBodyBytes && { maxBodyBytes }) });
    const server = await RemotingServer.listen({ host: "127.0.0.1", ports: [0, 0], dispatcher, limits, held, log });
    this.#servers.push(server);
    return server;
  };

  readonly connect = async (to: RemotingServer, index = 0): Promise<Peer> => {
    const peer = await Peer.connect(to.ports[index] ?? 0);
    this.#peers.push(peer);
    return peer;
  };

  async #end(): Promise<void> {
    for (const peer of this.#peers.splice(0)) peer.end();
    await Promise.all(this.#servers.splice(0).map((server) => server.close(0)));
  }
}

/** Where the process was started without leave to do so. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
