/**
 * Reads for peers: what is read takes memory until the peer has taken it, so few are read at once, and none for a peer that has
 * not taken what was read for it before.
 */
import type { Connection } from "../transport/connection.ts";

export interface ReadGateOptions {
  /** Reads of a connection that are under way at once. */
  readonly perConnection?: number | undefined;
  /** Reads of all connections that are under way at once. */
  readonly inAll?: number | undefined;
  /** Bytes that a connection is given in one turn of the event loop; a read that was begun below it may go beyond. */
  readonly bytesATurn?: number | undefined;
}

interface Line {
  readonly connection: Connection;
  readonly waiting: Set<() => void>;
  underWay: number;
  /** Given in this turn of the event loop: only its end shows what of it waits for the peer. */
  bytes: number;
  /** It goes on when the peer has taken what waits for it. */
  isStuck: boolean;
}

const PER_CONNECTION = 4;
const IN_ALL = 64;
const BYTES_A_TURN = 1_048_576;

export class ReadGate {
  readonly #perConnection: number;
  readonly #inAll: number;
  readonly #bytesATurn: number;
  readonly #lines: WeakMap<Connection, Line> = new WeakMap();
  /** Lines that have been given something in this turn of the event loop. */
  readonly #given: Set<Line> = new Set();
  /** Lines that could go on, were there not so many reads of others. */
  readonly #behind: Set<Line> = new Set();
  #underWay = 0;

  constructor({ perConnection = PER_CONNECTION, inAll = IN_ALL, bytesATurn = BYTES_A_TURN }: ReadGateOptions = {}) {
    this.#perConnection = perConnection;
    this.#inAll = inAll;
    this.#bytesATurn = bytesATurn;
  }

  /** Reads once it is the turn of it; undefined, and nothing is read, where the connection was closed meanwhile. */
  async read<T>(
    connection: Connection,
    read: () => T | Promise<T>,
    sizeOf: (result: T) => number,
  ): Promise<T | undefined> {
    const line = this.#lineOf(connection);
    if (line.waiting.size > 0 || !this.#mayBegin(line)) {
      await new Promise<void>((resolve) => {
        line.waiting.add(resolve);
      });
    } else this.#begin(line);
    try {
      if (!connection.isOpen) return undefined;
      const result = await read();
      const bytes = sizeOf(result);
      if (bytes > 0) this.#give(line, bytes);
      return result;
    } finally {
      line.underWay--;
      this.#underWay--;
      this.#goOn(line);
      for (const other of [...this.#behind]) {
        if (this.#underWay >= this.#inAll) break;
        this.#behind.delete(other);
        this.#goOn(other);
      }
    }
  }

  #lineOf(connection: Connection): Line {
    const known = this.#lines.get(connection);
    if (known !== undefined) return known;
    const line: Line = { connection, waiting: new Set(), underWay: 0, bytes: 0, isStuck: false };
    this.#lines.set(connection, line);
    return line;
  }

  /** Where it may not, what lets it go on is seen to. */
  #mayBegin(line: Line): boolean {
    if (line.isStuck || line.underWay >= this.#perConnection || line.bytes >= this.#bytesATurn) return false;
    if (this.#underWay >= this.#inAll) {
      this.#behind.add(line);
      return false;
    }
    const taken = line.connection.writable();
    if (taken === undefined) return true;
    line.isStuck = true;
    void taken.then(() => {
      line.isStuck = false;
      this.#goOn(line);
    });
    return false;
  }

  #begin(line: Line): void {
    line.underWay++;
    this.#underWay++;
  }

  #goOn(line: Line): void {
    for (const resolve of line.waiting) {
      if (!this.#mayBegin(line)) return;
      line.waiting.delete(resolve);
      this.#begin(line);
      resolve();
    }
  }

  #give(line: Line, bytes: number): void {
    line.bytes += bytes;
    if (this.#given.size === 0) setImmediate(() => this.#endTurn());
    this.#given.add(line);
  }

  #endTurn(): void {
    const given = [...this.#given];
    this.#given.clear();
    for (const line of given) {
      line.bytes = 0;
      this.#goOn(line);
    }
  }
}
