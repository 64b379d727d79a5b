import { connect } from "node:net";
import type { Log } from "../log.ts";
import type { Command, FieldValues } from "../protocol/command.ts";
import { parseAddress } from "../protocol/hosts.ts";
import { Dispatcher } from "./dispatcher.ts";
import { DEFAULT_LIMITS, type TransportLimits } from "./limits.ts";
import { SocketConnection } from "./socket-connection.ts";
import { TransportError } from "./transport-error.ts";

/** So many requests in a row without an answer, and the connection is left. */
const MAX_TIMEOUTS = 3;

export interface Answer extends Command {
  /** Id of the connection that it came over. */
  readonly connection: number;
}

export interface RemotingClientOptions {
  /** For requests that the other side sends; without it they are answered as not supported. */
  readonly dispatcher?: Dispatcher | undefined;
  readonly limits?: Partial<TransportLimits> | undefined;
  readonly log: Log;
}

/** Requests to other processes: one connection an address (`host:port`), made when it is needed, made again when lost. */
export class RemotingClient {
  readonly #dispatcher: Dispatcher;
  readonly #limits: TransportLimits;
  readonly #log: Log;
  readonly #connections: Map<string, Promise<SocketConnection>> = new Map();
  /** Requests in a row without an answer, and what had come from the peer by then. */
  readonly #silences: WeakMap<SocketConnection, { readonly received: number; readonly timeouts: number }> =
    new WeakMap();
  #closed = false;

  constructor({ dispatcher, limits, log }: RemotingClientOptions) {
    this.#dispatcher = dispatcher ?? new Dispatcher({ handlers: [], log });
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#log = log;
  }

  /** The answer, whatever its code. Rejects with a `TransportError` if there is none; the time includes connecting. */
  async invoke(
    address: string,
    code: number,
    ext: FieldValues,
    body: Uint8Array | undefined,
    timeoutMs: number,
  ): Promise<Answer> {
    const deadline = performance.now() + timeoutMs;
    const connection = await this.#connection(address, timeoutMs);
    const left = Math.max(1, Math.ceil(deadline - performance.now()));
    try {
      const answer = await connection.invoke(code, ext, body, left);
      return { ...answer, connection: connection.id };
    } catch (error) {
      if (error instanceof TransportError && error.code === "REQUEST_TIMEOUT")
        this.#timedOut(connection, error.message);
      throw error;
    }
  }

  /**
   * One that is slow for once keeps its connection: a name server takes a broker whose connection closes for gone. One that
   * says nothing again and again may be gone without a word, which the next request finds out with a new connection.
   */
  #timedOut(connection: SocketConnection, reason: string): void {
    const before = this.#silences.get(connection);
    const { received } = connection;
    const timeouts = before?.received === received ? before.timeouts + 1 : 1;
    this.#silences.set(connection, { received, timeouts });
    if (timeouts >= MAX_TIMEOUTS) connection.close(reason);
  }

  /** Closes all connections; what waits for an answer is rejected. */
  close(): void {
    this.#closed = true;
    for (const connecting of this.#connections.values()) {
      connecting.then(
        (connection) => connection.close("the client stops"),
        () => undefined,
      );
    }
    this.#connections.clear();
  }

  async #connection(address: string, timeoutMs: number): Promise<SocketConnection> {
    if (this.#closed) throw new TransportError("CONNECTION_CLOSED", "the client is closed");
    const known = this.#connections.get(address);
    if (known !== undefined) {
      const connection = await known;
      if (connection.isOpen) return connection;
      // Somebody else may have found that out, too, and be connecting.
      if (this.#connections.get(address) === known) this.#connections.delete(address);
      return this.#connection(address, timeoutMs);
    }
    const connecting = this.#connect(address, Math.min(timeoutMs, this.#limits.connectTimeoutMs));
    this.#connections.set(address, connecting);
    const forget = () => {
      if (this.#connections.get(address) === connecting) this.#connections.delete(address);
    };
    connecting.then((connection) => connection.onClose(forget), forget);
    return connecting;
  }

  #connect(address: string, timeoutMs: number): Promise<SocketConnection> {
    const target = parseAddress(address);
    if (target === undefined) {
      return Promise.reject(new TransportError("CONNECTION_REFUSED", `${JSON.stringify(address)} is no address`));
    }
    return new Promise((resolve, reject) => {
      const socket = connect({ host: target.address, port: target.port, noDelay: true });
      const fail = (reason: string, cause?: Error) => {
        clearTimeout(timer);
        socket.destroy();
        reject(new TransportError("CONNECTION_REFUSED", `no connection to ${address}: ${reason}`, { cause }));
      };
      const onError = (error: Error) => fail(error.message, error);
      const timer = setTimeout(() => fail(`nobody answered in ${timeoutMs} ms`), timeoutMs);
      socket.once("error", onError);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.off("error", onError);
        const parts = { socket, dispatcher: this.#dispatcher, limits: this.#limits, log: this.#log };
        resolve(new SocketConnection(parts));
      });
    });
  }
}
