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

/** What a request under way costs beside its bytes: promises, what its handler keeps. */
const REQUEST_BYTES = 1024;
/** A character of a header is two bytes in memory at most. */
const HEADER_FACTOR = 2;
/** What waits to be written and is less than this is not told: it would be told twice for each answer. */
const UNTOLD_BYTES = 16_384;
/** First byte of a TLS handshake; a frame that started so would be far too long. */
const TLS_HANDSHAKE = 0x16;
const MAX_OPAQUE = 0x7fff_ffff;
const GO_AWAY: Response = { code: ResponseCode.GO_AWAY, remark: "please go away" };

/** Why a connection is not read at the moment. */
const PAUSED_BY_REQUESTS = 1;
const PAUSED_BY_OUTPUT = 2;

let connectionsMade = 0;

/** What is needed of a request to answer it. */
type Asked = Pick<Command, "opaque" | "serialization" | "flag">;

export interface SocketConnectionParts {
  readonly socket: Socket;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly log: Log;
  /** Told by how many bytes more, or fewer, the connection holds. */
  readonly onHeld?: (change: number) => void;
}

/** By loopback, or by the very address that the peer connected to. */
export function isSameMachine(socket: Socket): boolean {
  const { remoteAddress, localAddress } = socket;
  if (remoteAddress === undefined) return false;
  return isLoopbackAddress(plainAddress(remoteAddress)) || remoteAddress === localAddress;
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
  /** Some time after it was closed: what handlers have not let go of by then counts, though nobody waits for their answers. */
  #isGone = false;
  #closeReason: string | undefined;
  #slowReader: NodeJS.Timeout | undefined;
  #commands = 0;
  /** Since the last look at a frame that is not whole. */
  #wasPaused = false;
  #frameWatch: NodeJS.Timeout | undefined;
  #writable: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor({ socket, dispatcher, limits, log, onHeld }: SocketConnectionParts) {
    this.#onHeld = onHeld;
    this.#socket = socket;
    this.#dispatcher = dispatcher;
    this.#limits = limits;
    this.#log = log;
    this.remote = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    this.isSameMachine = isSameMachine(socket);
    this.#reader = new FrameReader(limits.maxFrameBytes);
    this.#output = new Output(socket, () => this.#onTaken());
    socket.setNoDelay(true);
    socket.setTimeout(limits.idleMs, () => this.close(`idle for ${limits.idleMs} ms`));
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
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

  /** Commands that have come from the peer. */
  get received(): number {
    return this.#commands;
  }

  /** Bytes that it was said to hold. */
  get heldBytes(): number {
    return this.#held;
  }

  #reportHeld(): void {
    if (this.#socket.destroyed) {
      this.#holds(this.#isGone ? this.#underWayBytes : 0);
      return;
    }
    const waiting = this.#output.waitingBytes;
    this.#holds(this.#reader.heldBytes + this.#underWayBytes + (waiting > UNTOLD_BYTES ? waiting : 0));
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
    const opaque = this.#nextOpaque();
    try {
      this.#send(encodeRequest({ code, opaque, flag: OnewayFlag, ext, body }));
    } catch (error) {
      this.#log.error({ err: error, code, connection: this.id }, "a request cannot be written");
    }
  }

  async invoke(code: number, ext: FieldValues, body: Uint8Array | undefined, timeoutMs: number): Promise<Command> {
    if (this.#ending) {
      throw new TransportError("CONNECTION_CLOSED", `request ${code} cannot be sent: the connection is closed`);
    }
    if (this.#outstanding.size >= this.#limits.maxOutstanding) {
      throw new TransportError("TOO_MANY_REQUESTS", `${this.#outstanding.size} requests have no answer yet`);
    }
    const opaque = this.#nextOpaque();
    const frame = encodeRequest({ code, opaque, ext, body });
    const answer = this.#outstanding.add(opaque, code, timeoutMs);
    this.#send(frame);
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
    this.#reportHeld();
  }

  /** New requests are refused where the client knows what that means; closes once all others are answered. */
  drain(): void {
    this.#draining = true;
    this.#endIfDrained();
  }

  #endIfDrained(): void {
    if (!this.#draining || this.#underWay > 0 || this.#closed) return;
    this.#ending = true;
    this.#closeReason ??= "the server stops";
    this.#output.end();
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
    if (this.#reader.isWithinFrame && this.#frameWatch === undefined) this.#watchFrame();
    this.#reportHeld();
  }

  /** A byte now and then is no silence, and would keep a place for ever. */
  #watchFrame(): void {
    const commands = this.#commands;
    this.#wasPaused = this.#paused !== 0;
    this.#frameWatch = setTimeout(() => {
      this.#frameWatch = undefined;
      if (this.#closed || !this.#reader.isWithinFrame) return;
      if (this.#wasPaused || this.#commands !== commands) this.#watchFrame();
      else this.#refuse(`a frame is not whole after ${this.#limits.frameMs} ms`);
    }, this.#limits.frameMs).unref();
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#paused === 0 && !this.#socket.destroyed) {
        const command = this.#reader.next();
        if (command === undefined) break;
        this.#commands++;
        if (isResponse(command)) this.#settle(command);
        else this.#serve(command);
      }
    } catch (error) {
      if (error instanceof ProtocolError) this.#refuse(error.message);
      else this.#failed(error);
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

  /** What nobody foresaw ends the connection, not the process. */
  #failed(error: unknown): void {
    this.#log.error(
      { err: error, connection: this.id, remote: this.remote },
      "a connection is closed for an error of ours",
    );
    this.close("an error of ours");
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
    if (!(answer instanceof Promise)) {
      this.#answer(request, answer);
      return;
    }
    const { opaque, serialization, flag, body } = request;
    const bytes = REQUEST_BYTES + HEADER_FACTOR * this.#reader.headerBytes + body.length;
    void this.#await({ opaque, serialization, flag }, bytes, answer);
  }

  /** Keeps nothing of the request but what its answer needs: a handler may have let go of the rest. */
  async #await(asked: Asked, bytes: number, answer: Promise<Response | undefined>): Promise<void> {
    this.#underWay++;
    this.#underWayBytes += bytes;
    if (this.#underWay >= this.#limits.maxUnderWay || this.#underWayBytes >= this.#limits.maxUnderWayBytes) {
      this.#pause(PAUSED_BY_REQUESTS);
    }
    try {
      // The dispatcher makes an answer of every failure.
      const response = await answer;
      this.#underWay--;
      this.#underWayBytes -= bytes;
      this.#answer(asked, response);
      this.#reportHeld();
      if (this.#underWay < this.#limits.maxUnderWay && this.#underWayBytes < this.#limits.maxUnderWayBytes) {
        this.#resume(PAUSED_BY_REQUESTS);
      }
      this.#endIfDrained();
    } catch (error) {
      this.#failed(error);
    }
  }

  #answer(asked: Asked, response: Response | undefined): void {
    if (response === undefined || (asked.flag & OnewayFlag) !== 0 || this.#socket.destroyed) return;
    this.#send(this.#encode(asked, response));
  }

  /** An answer that cannot be written becomes one that says so. */
  #encode(asked: Asked, response: Response): Buffer[] {
    try {
      return encodeResponse(asked, response);
    } catch (error) {
      this.#log.error({ err: error, code: response.code, connection: this.id }, "an answer cannot be written");
      const remark = `the answer cannot be written: ${(error as Error).message}`;
      return encodeResponse(asked, { code: ResponseCode.SYSTEM_ERROR, remark });
    }
  }

  #send(pieces: Buffer[]): void {
    this.#output.add(pieces);
    const waiting = this.#output.waitingBytes;
    if (waiting > UNTOLD_BYTES) this.#reportHeld();
    if (waiting <= this.#limits.writeHighWaterBytes) return;
    this.#pause(PAUSED_BY_OUTPUT);
    if (this.#slowReader === undefined) this.#watchReader();
  }

  /** A peer may be slow, and never so slow that it takes nothing at all for long. */
  #watchReader(): void {
    const taken = this.#output.takenBytes;
    this.#slowReader = setTimeout(() => {
      if (this.#output.takenBytes > taken) this.#watchReader();
      else this.#refuse(`it reads nothing: ${this.#output.waitingBytes} bytes wait for it`);
    }, this.#limits.slowReaderMs).unref();
  }

  #onTaken(): void {
    if (this.#held > 0) this.#reportHeld();
    if ((this.#paused & PAUSED_BY_OUTPUT) === 0) return;
    if (this.#output.waitingBytes > this.#limits.writeHighWaterBytes) return;
    clearTimeout(this.#slowReader);
    this.#slowReader = undefined;
    this.#goOnWriting();
    this.#resume(PAUSED_BY_OUTPUT);
  }

  #pause(reason: number): void {
    if (this.#paused === 0) this.#socket.pause();
    this.#paused |= reason;
    this.#wasPaused = true;
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
    this.#reportHeld();
    clearTimeout(this.#slowReader);
    clearTimeout(this.#frameWatch);
    const reason = this.#closeReason ?? "the peer closed it";
    this.#log.debug({ connection: this.id, remote: this.remote, reason }, "connection closed");
    this.#outstanding.abandon(reason);
    this.#aborting?.abort();
    this.#goOnWriting();
    const listeners = [...this.#closeListeners];
    this.#closeListeners.clear();
    for (const listener of listeners) listener();
    if (this.#underWay === 0) return;
    setImmediate(() => {
      this.#isGone = true;
      this.#reportHeld();
    });
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
