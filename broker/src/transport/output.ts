import type { Socket } from "node:net";

/** Pieces below this size are cheaper copied into one than handed to the system one by one. */
const COPIED_BYTES = 4096;

/** Connections with something to write at the end of this turn of the event loop. */
let due: Output[] = [];

function flushDue(): void {
  const outputs = due;
  due = [];
  for (const output of outputs) output.flush();
}

/** What goes out on a socket: all answers of one turn of the event loop in one write. */
export class Output {
  readonly #socket: Socket;
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #addedBytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that the system has not taken yet. */
  get waitingBytes(): number {
    return this.#pieceBytes + this.#socket.writableLength;
  }

  /** Bytes that the system has taken since the beginning. */
  get takenBytes(): number {
    return this.#addedBytes - this.waitingBytes;
  }

  add(pieces: readonly Buffer[]): void {
    if (this.#pieces.length === 0) {
      if (due.length === 0) setImmediate(flushDue);
      due.push(this);
    }
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.#pieceBytes += piece.length;
      this.#addedBytes += piece.length;
    }
  }

  flush(): void {
    const pieces = this.#pieces;
    if (pieces.length === 0) return;
    this.#pieces = [];
    this.#pieceBytes = 0;
    if (!this.#socket.writable) return;
    if (pieces.length === 1) {
      this.#socket.write(pieces[0] as Buffer);
      return;
    }
    // Node hands what is corked over in one call of the system.
    this.#socket.cork();
    for (const piece of joined(pieces)) this.#socket.write(piece);
    this.#socket.uncork();
  }
}

/** Runs of small pieces become one each, large ones stay as they are. */
function joined(pieces: readonly Buffer[]): Buffer[] {
  const result: Buffer[] = [];
  let run: Buffer[] = [];
  const endRun = () => {
    if (run.length > 0) result.push(run.length === 1 ? (run[0] as Buffer) : Buffer.concat(run));
    run = [];
  };
  for (const piece of pieces) {
    if (piece.length < COPIED_BYTES) run.push(piece);
    else {
      endRun();
      result.push(piece);
    }
  }
  endRun();
  return result;
}
