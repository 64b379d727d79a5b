import { createServer, type Server, type Socket } from "node:net";
import type { Log } from "../log.ts";
import { plainAddress } from "../protocol/hosts.ts";
import { Admission } from "./admission.ts";
import type { Connection } from "./connection.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { HeldBytes } from "./held-bytes.ts";
import { limitedLog } from "./limited-log.ts";
import { DEFAULT_LIMITS, type TransportLimits } from "./limits.ts";
import { isSameMachine, SocketConnection } from "./socket-connection.ts";

const BACKLOG = 1024;
/** A flood of connections shall not be one of log lines. */
const DROP_LOG_INTERVAL_MS = 10_000;
/** How long requests under way may take to be answered when a server stops. */
const GRACE_MS = 3000;

export interface RemotingServerOptions {
  /** Address to listen at. */
  readonly host: string;
  /** Several ports, one dispatcher; 0 is any free port. */
  readonly ports: readonly number[];
  readonly dispatcher: Dispatcher;
  readonly limits?: Partial<TransportLimits> | undefined;
  /** Of several servers of a process, one for all. Default: one of its own, of `limits.maxHeldBytes`. */
  readonly held?: HeldBytes | undefined;
  readonly log: Log;
}

/** Takes connections and hands their requests to a dispatcher. */
export class RemotingServer {
  readonly #dispatcher: Dispatcher;
  readonly #limits: TransportLimits;
  readonly #log: Log;
  readonly #peersLog: Log;
  readonly #admission: Admission;
  readonly #servers: Server[] = [];
  readonly #ports: number[] = [];
  readonly #connections: Set<SocketConnection> = new Set();
  readonly #held: HeldBytes;
  #closing: Promise<void> | undefined;
  #dropped = 0;
  #dropLoggedAt = Number.NEGATIVE_INFINITY;

  private constructor({ dispatcher, limits, held, log }: RemotingServerOptions) {
    this.#dispatcher = dispatcher;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#held = held ?? new HeldBytes(this.#limits.maxHeldBytes);
    this.#log = log;
    this.#peersLog = limitedLog(log);
    this.#admission = new Admission(this.#limits);
  }

  /** Rejects with the system's error if one of the ports cannot be had; none is kept then. */
  static async listen(options: RemotingServerOptions): Promise<RemotingServer> {
    const server = new RemotingServer(options);
    try {
      for (const port of options.ports) await server.#listen(options.host, port);
    } catch (error) {
      await server.close(0);
      throw error;
    }
    return server;
  }

  /** Ports in the order of the options; those that the system chose are known by now. */
  get ports(): readonly number[] {
    return this.#ports;
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Stops listening, lets requests under way be answered for at most so long, and closes all connections. */
  close(graceMs: number = GRACE_MS): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const stopped = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const connection of this.#connections) connection.drain();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.close("the server stops");
    }, graceMs);
    // A server is closed when its last connection is.
    await Promise.all(stopped);
    clearTimeout(timer);
  }

  #listen(host: string, port: number): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.off("error", reject);
        server.on("error", (error) => this.#log.error({ err: error }, "a listening socket failed"));
        this.#servers.push(server);
        const address = server.address();
        this.#ports.push(typeof address === "object" && address !== null ? address.port : port);
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? "");
    if (this.#closing !== undefined || !this.#admission.take(address, isSameMachine(socket))) {
      socket.destroy();
      this.#logDropped();
      return;
    }
    const connection: SocketConnection = new SocketConnection({
      socket,
      dispatcher: this.#dispatcher,
      limits: this.#limits,
      log: this.#peersLog,
      onHeld: (change) => this.#held.changed(connection, change, this.#peersLog),
    });
    this.#connections.add(connection);
    this.#held.join(connection);
    connection.onClose(() => {
      this.#connections.delete(connection);
      this.#held.leave(connection);
      this.#admission.leave(address);
    });
  }

  #logDropped(): void {
    this.#dropped++;
    const now = performance.now();
    if (now - this.#dropLoggedAt < DROP_LOG_INTERVAL_MS) return;
    this.#dropLoggedAt = now;
    this.#log.warn({ dropped: this.#dropped, connections: this.#connections.size }, "connections are not taken");
    this.#dropped = 0;
  }
}
