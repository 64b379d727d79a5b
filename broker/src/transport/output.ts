import type { Socket } from "node:net";

/** Pieces below this size are cheaper copied into one than handed to the system one by one. */
const COPIED_BYTES = 4096;
/** Of one write. Who takes it within `slowReaderMs` reads some 70 kbit a second. */
const WRITE_BYTES = 262_144;

/** Connections with something to write at the end of this turn of the event loop. */
let due: Output[] = [];

function flushDue(): void {
  const outputs = due;
  due = [];
  for (const output of outputs) output.flush();
}

/**
 * What goes out on a socket: all answers of one turn of the event loop in one write, and never so much in one that a slow
 * peer cannot be told from one that takes nothing.
 */
export class Output {
  readonly #socket: Socket;
  /** Called each time that the system has taken something. */
  readonly #onTaken: () => void;
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  /** Bytes of the write under way. */
  #writing = 0;
  #isDue = false;
  #takenBytes = 0;
  #ended = false;

  constructor(socket: Socket, onTaken: () => void) {
    this.#socket = socket;
    this.#onTaken = onTaken;
  }

  /** Bytes that the system has not taken yet. */
  get waitingBytes(): number {
    return this.#pieceBytes + this.#writing;
  }

  /** Bytes that the system has taken since the beginning. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  add(pieces: readonly Buffer[]): void {
    if (!this.#isDue && this.#writing === 0) {
      this.#isDue = true;
      if (due.length === 0) setImmediate(flushDue);
      due.push(this);
    }
    for (const piece of pieces) {
      if (piece.length === 0) continue;
      this.#pieces.push(piece);
      this.#pieceBytes += piece.length;
    }
  }

  flush(): void {
    this.#isDue = false;
    if (this.#writing > 0) return;
    if (!this.#socket.writable) {
      this.#pieces = [];
      this.#pieceBytes = 0;
    }
    if (this.#pieceBytes === 0) {
      if (this.#ended) this.#socket.destroySoon();
      return;
    }
    const pieces = joined(this.#batch());
    for (const piece of pieces) this.#writing += piece.length;
    this.#pieceBytes -= this.#writing;
    const last = pieces.pop() as Buffer;
    if (pieces.length === 0) {
      this.#socket.write(last, this.#written);
      return;
    }
    // Node hands what is corked over in one call of the system.
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.write(last, this.#written);
    this.#socket.uncork();
  }

  /** Closes the socket once all is taken. */
  end(): void {
    this.#ended = true;
    this.flush();
  }

  /** Takes the next pieces off, cut where they are too large for one write. */
  #batch(): Buffer[] {
    const pieces = this.#pieces;
    if (this.#pieceBytes <= WRITE_BYTES) {
      this.#pieces = [];
      return pieces;
    }
    let bytes = 0;
    let count = 0;
    for (const piece of pieces) {
      if (bytes + piece.length > WRITE_BYTES) break;
      bytes += piece.length;
      count++;
    }
    const batch = pieces.slice(0, count);
    this.#pieces = pieces.slice(count);
    const room = WRITE_BYTES - bytes;
    const cut = this.#pieces[0];
    if (room > 0 && cut !== undefined) {
      batch.push(cut.subarray(0, room));
      this.#pieces[0] = cut.subarray(room);
    }
    return batch;
  }

  /** On a socket that has failed, too: its end is told elsewhere. */
  readonly #written = (): void => {
    this.#takenBytes += this.#writing;
    this.#writing = 0;
    this.flush();
    this.#onTaken();
  };
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
