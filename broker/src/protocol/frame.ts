/**
 * Frames: length 4, serialization 1, length of the header 3, header, body. The length counts what comes behind it.
 */
import { decodeBinaryHeader, encodeBinaryHeader } from "./binary-header.ts";
import type { Command, FieldValues, Response, Serialization } from "./command.ts";
import { ResponseFlag } from "./command.ts";
import { decodeJsonHeader, encodeJsonHeader } from "./json-header.ts";
import { ProtocolError } from "./protocol-error.ts";
import { OWN_VERSION } from "./versions.ts";

/** RocketMQ's `com.rocketmq.remoting.frameMaxLength`. */
export const MAX_FRAME_BYTES = 16_777_216;
/** The longest property string there may be (32 KiB), each of its characters escaped, and what stands beside it. */
export const MAX_HEADER_BYTES = 262_144;

const LENGTH_BYTES = 4;
/** Both lengths. */
const PREFIX_BYTES = 8;
const HEADER_LENGTH_MASK = 0xff_ffff;
/** Of what we write. Its length has three bytes. */
const MAX_HEADER_LENGTH = HEADER_LENGTH_MASK;
const JSON_TYPE = 0;
const BINARY_TYPE = 1;
const EMPTY: Uint8Array = new Uint8Array(0);
/** Least room for a frame that arrives in pieces. */
const FIRST_PIECE_BYTES = 4096;

/**
 * Commands out of the bytes of a connection, however these are cut. A frame within one chunk is not copied; one over many
 * is gathered, in room that grows with what has arrived and not with what the length claims.
 */
export class FrameReader {
  readonly #maxFrameBytes: number;
  /** What has come and is not read yet: of the first chunk from `#at` on. */
  #chunks: Buffer[] = [];
  #at = 0;
  /** A frame whose end has not arrived. */
  #partial: Buffer | undefined;
  #filled = 0;
  #headerBytes = 0;

  constructor(maxFrameBytes: number = MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes that are kept until a frame is whole, or until somebody asks for the next one. */
  get heldBytes(): number {
    let bytes = this.#partial?.length ?? 0;
    for (const chunk of this.#chunks) bytes += chunk.length;
    return bytes;
  }

  /** Whether a part of a frame is there whose rest is still to come. */
  get isWithinFrame(): boolean {
    return this.#partial !== undefined;
  }

  /** Of the command that came last. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length > 0) this.#chunks.push(chunk);
  }

  /** The next command; `undefined` until more bytes have come. Throws a `ProtocolError` for what is no frame. */
  next(): Command | undefined {
    for (;;) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return undefined;
      if (this.#partial !== undefined) {
        const frame = this.#fill(chunk, this.#partial);
        if (frame !== undefined) return this.#decode(frame, 0, frame.length);
        continue;
      }
      const from = this.#at;
      const there = chunk.length - from;
      const needed = there < LENGTH_BYTES ? LENGTH_BYTES : this.#frameBytes(chunk, from);
      if (there >= needed && there >= LENGTH_BYTES) {
        this.#advance(chunk, needed);
        return this.#decode(chunk, from, from + needed);
      }
      this.#partial = Buffer.allocUnsafe(Math.min(Math.max(FIRST_PIECE_BYTES, there), Math.max(needed, PREFIX_BYTES)));
      this.#filled = 0;
    }
  }

  /** Bytes of the whole frame that starts at `at`. */
  #frameBytes(bytes: Buffer, at: number): number {
    const length = bytes.readInt32BE(at);
    if (length < LENGTH_BYTES || length > this.#maxFrameBytes) {
      throw new ProtocolError(`a frame of ${length} bytes, where 4 to ${this.#maxFrameBytes} are allowed`);
    }
    return LENGTH_BYTES + length;
  }

  #advance(chunk: Buffer, bytes: number): void {
    this.#at += bytes;
    if (this.#at < chunk.length) return;
    this.#at = 0;
    this.#chunks.shift();
  }

  /** Takes from the chunk what the partial frame lacks; the frame, once whole. */
  #fill(chunk: Buffer, partial: Buffer): Buffer | undefined {
    const needed = this.#filled < LENGTH_BYTES ? LENGTH_BYTES : this.#frameBytes(partial, 0);
    const taken = Math.min(needed - this.#filled, chunk.length - this.#at);
    const filled = this.#filled + taken;
    let room = partial;
    if (filled > partial.length) {
      room = Buffer.allocUnsafe(Math.min(needed, Math.max(filled, 2 * partial.length)));
      partial.copy(room, 0, 0, this.#filled);
      this.#partial = room;
    }
    chunk.copy(room, this.#filled, this.#at, this.#at + taken);
    this.#filled = filled;
    this.#advance(chunk, taken);
    // The length is all there, and no more: a wrong one is refused now.
    if (filled === LENGTH_BYTES) this.#frameBytes(room, 0);
    if (filled === LENGTH_BYTES || filled < needed) return undefined;
    this.#partial = undefined;
    return room.subarray(0, needed);
  }

  /** The command of a whole frame in `bytes` from `from` to `to`. */
  #decode(bytes: Buffer, from: number, to: number): Command {
    const mark = bytes.readUInt32BE(from + LENGTH_BYTES);
    const type = mark >>> 24;
    const headerLength = mark & HEADER_LENGTH_MASK;
    const headerAt = from + PREFIX_BYTES;
    if (headerLength > to - headerAt)
      throw new ProtocolError(`a header of ${headerLength} bytes is longer than its frame`);
    if (headerLength > MAX_HEADER_BYTES) throw new ProtocolError(`a header of ${headerLength} bytes is too long`);
    this.#headerBytes = headerLength;
    const bodyAt = headerAt + headerLength;
    const body = bodyAt === to ? EMPTY : bytes.subarray(bodyAt, to);
    switch (type) {
      case JSON_TYPE:
        return decodeJsonHeader(bytes, headerAt, bodyAt, body);
      case BINARY_TYPE:
        return decodeBinaryHeader(bytes, headerAt, bodyAt, body);
      default:
        throw new ProtocolError(`serialization type ${type} is unknown`);
    }
  }
}

/**
 * The frame of a response, in the pieces that go out one behind the other, in the serialization of its request. Throws
 * a `RangeError` where it is larger than clients take.
 */
export function encodeResponse(request: Pick<Command, "opaque" | "serialization">, response: Response): Buffer[] {
  return encodeFrame(
    {
      code: response.code,
      opaque: request.opaque,
      flag: ResponseFlag,
      remark: response.remark,
      ext: response.ext,
      serialization: request.serialization,
    },
    response.body,
  );
}

export interface RequestParts {
  readonly code: number;
  readonly opaque: number;
  /** `OnewayFlag`, or nothing. */
  readonly flag?: number | undefined;
  readonly ext?: FieldValues | undefined;
  readonly body?: Uint8Array | readonly Uint8Array[] | undefined;
  readonly serialization?: Serialization | undefined;
}

/** The frame of a request of ours. */
export function encodeRequest(request: RequestParts): Buffer[] {
  const { code, opaque, flag = 0, ext, body, serialization = "json" } = request;
  return encodeFrame({ code, opaque, flag, remark: undefined, ext, serialization }, body);
}

interface Header {
  readonly code: number;
  readonly opaque: number;
  readonly flag: number;
  readonly remark: string | undefined;
  readonly ext: FieldValues | undefined;
  readonly serialization: Serialization;
}

function encodeFrame(header: Header, body: Response["body"]): Buffer[] {
  const pieces = body === undefined ? [] : body instanceof Uint8Array ? [body] : body;
  let bodyLength = 0;
  for (const piece of pieces) bodyLength += piece.length;
  const head = header.serialization === "json" ? jsonHead(header) : binaryHead(header);
  const bytes = head.length + bodyLength;
  if (head.length > MAX_HEADER_LENGTH || bytes > MAX_FRAME_BYTES)
    throw new RangeError(`a frame would have ${bytes} bytes`);
  head.writeInt32BE(head.length - LENGTH_BYTES + bodyLength, 0);
  if (bodyLength === 0) return [head];
  return [head, ...pieces.map(asBuffer)];
}

function asBuffer(piece: Uint8Array): Buffer {
  return Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
}

function jsonHead(header: Header): Buffer {
  const text = encodeJsonHeader(header);
  const length = Buffer.byteLength(text);
  const head = Buffer.allocUnsafe(PREFIX_BYTES + length);
  head.writeUInt32BE(length, LENGTH_BYTES);
  // Where every character is one byte, they are all ASCII: the encoder has nothing to do.
  head.write(text, PREFIX_BYTES, length === text.length ? "latin1" : "utf8");
  return head;
}

function binaryHead(header: Header): Buffer {
  const head = encodeBinaryHeader({ ...header, version: OWN_VERSION }, PREFIX_BYTES);
  head.writeUInt32BE(((BINARY_TYPE << 24) | (head.length - PREFIX_BYTES)) >>> 0, LENGTH_BYTES);
  return head;
}
