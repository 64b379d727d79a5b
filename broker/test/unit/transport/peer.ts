/** A peer of a server, or of a client, that speaks in raw frames. */
import { connect, type Socket } from "node:net";
import type { Log } from "../../../src/log.ts";
import type { Command, FieldValues } from "../../../src/protocol/command.ts";
import { encodeRequest, FrameReader } from "../../../src/protocol/frame.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly facts: Readonly<Record<string, unknown>>;
  readonly sentence: string;
}

/** A log that keeps its lines. */
export class KeptLog implements Log {
  readonly lines: LogLine[] = [];
  readonly debug: Log["debug"] = (facts, sentence) => this.#keep("debug", facts, sentence);
  readonly info: Log["info"] = (facts, sentence) => this.#keep("info", facts, sentence);
  readonly warn: Log["warn"] = (facts, sentence) => this.#keep("warn", facts, sentence);
  readonly error: Log["error"] = (facts, sentence) => this.#keep("error", facts, sentence);

  /** Reasons that were logged, of closed connections above all. */
  get reasons(): string[] {
    return this.lines.map(({ facts }) => String(facts.reason ?? ""));
  }

  #keep(level: LogLine["level"], facts: object, sentence: string): void {
    this.lines.push({ level, facts: { ...facts }, sentence });
  }
}

export class Peer {
  readonly socket: Socket;
  readonly received: Command[] = [];
  readonly closed: Promise<void>;
  readonly #reader = new FrameReader();
  #changed: () => void = () => undefined;
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#reader.push(chunk);
      for (let command = this.#reader.next(); command !== undefined; command = this.#reader.next()) {
        this.received.push(command);
      }
      this.#changed();
    });
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.isClosed = true;
        this.#changed();
        resolve();
      });
    });
  }

  static connect(port: number): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Peer(socket)));
    });
  }

  static of(socket: Socket): Peer {
    return new Peer(socket);
  }

  send(code: number, opaque: number, ext: FieldValues = {}, body?: Uint8Array): void {
    this.socket.write(Buffer.concat(encodeRequest({ code, opaque, ext, body })));
  }

  /** Resolves when as many commands have come; rejects if the connection closes before. */
  async has(count: number): Promise<readonly Command[]> {
    while (this.received.length < count) {
      if (this.isClosed) throw new Error(`closed after ${this.received.length} of ${count} commands`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.received;
  }

  end(): void {
    this.socket.destroy();
  }
}

/** Waits until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}
