import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { Log } from "../log.ts";
import { ResponseCode } from "../protocol/codes.ts";
import {
  type Command,
  type FieldValues,
  isOneway,
  isResponse,
  OnewayFlag,
  type Response,
} from "../protocol/command.ts";
import { encodeRequest, encodeResponse, FrameReader } from "../protocol/frame.ts";
import { type HostPort, isLoopbackAddress, plainAddress } from "../protocol/hosts.ts";
import { ProtocolError } from "../protocol/protocol-error.ts";
import { Version } from "../protocol/versions.ts";
import type { Connection, RequestContext } from "./connection.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { TransportLimits } from "./limits.ts";
import { Output } from "./output.ts";
import { Outstanding } from "./outstanding.ts";
import { TransportError } from "./transport-error.ts";

/** What a request under way costs beside its body: fields, promises, what its handler keeps. */
const REQUEST_BYTES = 1024;
/** First byte of a TLS handshake; a frame that started so would be far too long. */
const TLS_HANDSHAKE = 0x16;
const MAX_OPAQUE = 0x7fff_ffff;
const GO_AWAY: Response = { code: ResponseCode.GO_AWAY, remark: "please go away" };

/** Why a connection is not read at the moment. */
const PAUSED_BY_REQUESTS = 1;
const PAUSED_BY_OUTPUT = 2;

let connectionsMade = 0;

export interface SocketConnectionParts {
  readonly socket: Socket;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly log: Log;
  /** Told by how many bytes more, or fewer, the connection holds. */
  readonly onHeld?: (change: number) => void;
}

/** A connection over a socket, of a server or a client: requests and answers go both ways. */
export class SocketConnection implements Connection {
  readonly id: number = ++connectionsMade;
  readonly remote: HostPort;
  readonly isSameMachine: boolean;
  readonly #socket: Socket;
  readonly #dispatcher: Dispatcher;
  readonly #limits: TransportLimits;
  readonly #log: Log;
  readonly #reader: FrameReader;
  readonly #output: Output;
  readonly #outstanding: Outstanding = new Outstanding();
  readonly #onHeld: ((change: number) => void) | undefined;
  readonly #closeListeners: Set<() => void> = new Set();
  #aborting: AbortController | undefined;
  #opaque = 0;
  #underWay = 0;
  #underWayBytes = 0;
  #held = 0;
  #paused = 0;
  #reading = false;
  #receivedAt = 0;
  #started = false;
  #draining = false;
  /** No more requests go out; what is still to be written may. */
  #ending = false;
  #closed = false;
  #closeReason: string | undefined;
  #slowReader: NodeJS.Timeout | undefined;
  #writable: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor({ socket, dispatcher, limits, log, onHeld }: SocketConnectionParts) {
    this.#onHeld = onHeld;
    this.#socket = socket;
    this.#dispatcher = dispatcher;
    this.#limits = limits;
    this.#log = log;
    this.remote = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    this.isSameMachine =
      isLoopbackAddress(this.remote.address) || (socket.remoteAddress ?? "") === (socket.localAddress ?? "nowhere");
    this.#reader = new FrameReader(limits.maxFrameBytes);
    this.#output = new Output(socket);
    socket.setNoDelay(true);
    socket.setTimeout(limits.idleMs, () => this.close(`idle for ${limits.idleMs} ms`));
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("error", (error) => {
      this.#closeReason ??= error.message;
    });
    socket.on("end", () => {
      this.#ending = true;
    });
    socket.on("close", () => this.#onClose());
  }

  get isOpen(): boolean {
    return !this.#ending;
  }

  /** Bytes that it was said to hold. */
  get heldBytes(): number {
    return this.#held;
  }

  #reportHeld(): void {
    const waiting = this.#output.waitingBytes;
    // Less is on its way, and nobody would tell when it has gone.
    const written = waiting > this.#limits.writeHighWaterBytes ? waiting : 0;
    this.#holds(this.#socket.destroyed ? 0 : this.#reader.heldBytes + this.#underWayBytes + written);
  }

  #holds(bytes: number): void {
    const change = bytes - this.#held;
    if (change === 0) return;
    this.#held = bytes;
    this.#onHeld?.(change);
  }

  /** One for all requests: whoever never looks at it costs nothing. */
  get signal(): AbortSignal {
    if (this.#aborting === undefined) {
      this.#aborting = new AbortController();
      // Every held pull of the connection may listen.
      setMaxListeners(0, this.#aborting.signal);
      if (this.#closed) this.#aborting.abort();
    }
    return this.#aborting.signal;
  }

  writable(): Promise<void> | undefined {
    if (this.#closed || this.#output.waitingBytes <= this.#limits.writeHighWaterBytes) return undefined;
    if (this.#writable === undefined) {
      let resolve = (): void => undefined;
      const promise = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#writable = { promise, resolve };
    }
    return this.#writable.promise;
  }

  #goOnWriting(): void {
    this.#writable?.resolve();
    this.#writable = undefined;
  }

  notify(code: number, ext?: FieldValues, body?: Uint8Array): void {
    if (this.#ending) return;
    this.#send(encodeRequest({ code, opaque: this.#nextOpaque(), flag: OnewayFlag, ext, body }));
  }

  async invoke(code: number, ext: FieldValues, body: Uint8Array | undefined, timeoutMs: number): Promise<Command> {
    if (this.#ending) {
      throw new TransportError("CONNECTION_CLOSED", `request ${code} cannot be sent: the connection is closed`);
    }
    if (this.#outstanding.size >= this.#limits.maxOutstanding) {
      throw new TransportError("TOO_MANY_REQUESTS", `${this.#outstanding.size} requests have no answer yet`);
    }
    const opaque = this.#nextOpaque();
    const answer = this.#outstanding.add(opaque, code, timeoutMs);
    this.#send(encodeRequest({ code, opaque, ext, body }));
    return answer;
  }

  onClose(listener: () => void): () => void {
    if (this.#closed) queueMicrotask(listener);
    else this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#ending = true;
    this.#closeReason ??= reason;
    this.#socket.destroy();
    this.#holds(0);
  }

  /** New requests are refused where the client knows what that means; closes once all others are answered. */
  drain(): void {
    this.#draining = true;
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (!this.#draining || this.#underWay > 0 || this.#closed) return;
    this.#output.flush();
    this.#ending = true;
    this.#closeReason ??= "the server stops";
    this.#socket.destroySoon();
  }

  #nextOpaque(): number {
    this.#opaque = this.#opaque === MAX_OPAQUE ? 1 : this.#opaque + 1;
    return this.#opaque;
  }

  #onData(chunk: Buffer): void {
    if (!this.#started) {
      this.#started = true;
      if (chunk[0] === TLS_HANDSHAKE) {
        this.#refuse("TLS is not supported yet");
        return;
      }
    }
    this.#receivedAt = Date.now();
    this.#reader.push(chunk);
    this.#read();
    this.#reportHeld();
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#paused === 0 && !this.#socket.destroyed) {
        const command = this.#reader.next();
        if (command === undefined) break;
        if (isResponse(command)) this.#settle(command);
        else this.#serve(command);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(error.message);
    } finally {
      this.#reading = false;
    }
  }

  #refuse(reason: string): void {
    this.#log.warn(
      { connection: this.id, remote: this.remote, reason },
      "a connection is closed for what its peer does",
    );
    this.close(reason);
  }

  #settle(response: Command): void {
    if (this.#outstanding.settle(response)) return;
    this.#log.debug({ connection: this.id, opaque: response.opaque }, "an answer came that nobody waits for");
  }

  #serve(request: Command): void {
    if (this.#draining && request.version > Version.V5_3_1) {
      if (!isOneway(request)) this.#send(encodeResponse(request, GO_AWAY));
      return;
    }
    const answer = this.#dispatcher.dispatch(request, new Context(this, this.#receivedAt));
    if (answer instanceof Promise) void this.#await(request, answer);
    else this.#answer(request, answer);
  }

  async #await(request: Command, answer: Promise<Response | undefined>): Promise<void> {
    const bytes = REQUEST_BYTES + request.body.length;
    this.#underWay++;
    this.#underWayBytes += bytes;
    if (this.#underWay >= this.#limits.maxUnderWay || this.#underWayBytes >= this.#limits.maxUnderWayBytes) {
      this.#pause(PAUSED_BY_REQUESTS);
    }
    // The dispatcher makes an answer of every failure.
    const response = await answer;
    this.#underWay--;
    this.#underWayBytes -= bytes;
    this.#answer(request, response);
    this.#reportHeld();
    if (this.#underWay < this.#limits.maxUnderWay && this.#underWayBytes < this.#limits.maxUnderWayBytes) {
      this.#resume(PAUSED_BY_REQUESTS);
    }
    this.#endIfDrained();
  }

  #answer(request: Command, response: Response | undefined): void {
    if (response === undefined || isOneway(request) || this.#closed) return;
    this.#send(encodeResponse(request, response));
  }

  #send(pieces: Buffer[]): void {
    this.#output.add(pieces);
    const waiting = this.#output.waitingBytes;
    if (waiting <= this.#limits.writeHighWaterBytes) return;
    if (waiting > this.#limits.maxWriteBytes) {
      this.#refuse(`${waiting} bytes wait for a peer that does not read`);
      return;
    }
    this.#reportHeld();
    this.#pause(PAUSED_BY_OUTPUT);
    if (this.#slowReader === undefined) this.#watchReader();
  }

  /** A peer may be slow, but it has to read at least what the high-water mark allows in each interval. */
  #watchReader(): void {
    const taken = this.#output.takenBytes;
    this.#slowReader = setTimeout(() => {
      if (this.#output.takenBytes - taken >= this.#limits.writeHighWaterBytes) this.#watchReader();
      else this.#refuse(`it reads too slowly: ${this.#output.waitingBytes} bytes wait for it`);
    }, this.#limits.slowReaderMs).unref();
  }

  #onDrain(): void {
    clearTimeout(this.#slowReader);
    this.#slowReader = undefined;
    this.#reportHeld();
    this.#goOnWriting();
    this.#resume(PAUSED_BY_OUTPUT);
  }

  #pause(reason: number): void {
    if (this.#paused === 0) this.#socket.pause();
    this.#paused |= reason;
  }

  #resume(reason: number): void {
    if ((this.#paused & reason) === 0) return;
    this.#paused &= ~reason;
    if (this.#paused !== 0 || this.#closed) return;
    // First what had been received before the pause.
    this.#read();
    if (this.#paused === 0) this.#socket.resume();
  }

  #onClose(): void {
    this.#ending = true;
    this.#closed = true;
    this.#holds(0);
    clearTimeout(this.#slowReader);
    const reason = this.#closeReason ?? "the peer closed it";
    this.#log.debug({ connection: this.id, remote: this.remote, reason }, "connection closed");
    this.#outstanding.abandon(reason);
    this.#aborting?.abort();
    this.#goOnWriting();
    const listeners = [...this.#closeListeners];
    this.#closeListeners.clear();
    for (const listener of listeners) listener();
  }
}

class Context implements RequestContext {
  readonly connection: SocketConnection;
  readonly receivedAt: number;

  constructor(connection: SocketConnection, receivedAt: number) {
    this.connection = connection;
    this.receivedAt = receivedAt;
  }

  get signal(): AbortSignal {
    return this.connection.signal;
  }
}
