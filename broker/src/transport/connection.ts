import type { Command, FieldValues, Response } from "../protocol/command.ts";
import type { HostPort } from "../protocol/hosts.ts";

/** A connection with a peer, as handlers see it. */
export interface Connection {
  /** Unlike any other connection of this process. */
  readonly id: number;
  readonly remote: HostPort;
  /** Whether the peer is a process of this machine: by loopback, or by the very address that it connected to. */
  readonly isSameMachine: boolean;
  readonly isOpen: boolean;
  /**
   * Undefined where the peer has taken what is there for it, but for at most the high-water mark, or the connection is closed;
   * otherwise a promise of that, which never rejects. What is large and easily read again is read only then. All who wait go on
   * together: each asks again before it reads.
   */
  writable(): Promise<void> | undefined;
  /** One-way request to the peer. Nothing tells whether it arrives; on a closed connection it does nothing. */
  notify(code: number, ext?: FieldValues, body?: Uint8Array): void;
  /** Request to the peer. Rejects with a `TransportError` when the connection closes or the time is over. */
  invoke(code: number, ext: FieldValues, body: Uint8Array | undefined, timeoutMs: number): Promise<Command>;
  /** The listener is called once; the function that is returned takes it off. On a closed connection it is called soon. */
  onClose(listener: () => void): () => void;
  close(reason: string): void;
}

export interface RequestContext {
  readonly connection: Connection;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
  /** Aborted when the connection closes; one for all of its requests. */
  readonly signal: AbortSignal;
}

/** Undefined: no answer at all. What it throws is answered: a `RequestError` with its code, others as SYSTEM_ERROR. */
export type Handler = (
  request: Command,
  context: RequestContext,
) => Response | undefined | Promise<Response | undefined>;

export type Handlers = Iterable<readonly [code: number, handler: Handler]>;

/** Runs before the handler of any code. What it throws is the answer, and the handler is not asked. */
export type Hook = (request: Command, context: RequestContext) => void | Promise<void>;
