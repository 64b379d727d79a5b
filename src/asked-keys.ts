/** A topic and keys to look up, checked, as the engine takes them. */
import { types } from "node:util";
import { argumentError, shown } from "./errors.ts";

/** Most keys of one call, and their bytes. */
const MAX_KEYS = 65_536;
const MAX_BYTES = 4 * 1024 * 1024;
/** Memory for more than this is not kept for the next call. */
const KEPT_BYTES = 64 * 1024;
/** Bytes in front of each text: its length, the lowest byte first. */
const LENGTH_BYTES = 4;
/** UTF-8 bytes of a UTF-16 code unit at most. */
const UNIT_BYTES = 3;
/** A property string, and so a key, has no more bytes. */
const LONGEST_KEY = 32_767;

/** One text behind the other in memory that is used again by the next lookup. */
export class AskedKeys {
  #bytes: Buffer = Buffer.allocUnsafeSlow(256);
  #length = 0;
  #counts: Float64Array = new Float64Array(16);

  /** The texts, in the first `length` bytes. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** For the number of messages that each key has. */
  counts(keys: number): Float64Array {
    if (keys <= this.#counts.length) return this.#counts;
    const counts = new Float64Array(keys);
    if (counts.byteLength <= KEPT_BYTES) this.#counts = counts;
    return counts;
  }

  /** Begins with a topic that was checked. */
  begin(topic: string): void {
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(256);
    this.#length = 0;
    this.#add(topic);
  }

  /** `argument`: the key's path. */
  add(argument: string, key: unknown): void {
    if (typeof key !== "string" || key === "" || key.includes(" ")) throw keyError(argument, key);
    this.#add(key);
  }

  #add(text: string): void {
    // No message has so long a key, as none has an empty one.
    const written = text.length > LONGEST_KEY ? "" : text;
    const at = this.#room(written.length * UNIT_BYTES);
    this.#end(at, writeText(written, this.#bytes, at));
  }

  /** Where a text goes that has so many bytes at most. */
  #room(most: number): number {
    const at = this.#length + LENGTH_BYTES;
    if (at + most > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (at + most));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    return at;
  }

  #end(at: number, bytes: number): void {
    this.#bytes.writeUInt32LE(bytes, this.#length);
    this.#length = at + bytes;
    if (this.#length > MAX_BYTES) {
      throw argumentError("keys", `keys have more than ${MAX_BYTES} bytes; look them up in several calls`);
    }
  }
}

/** Writes UTF-8 where there is room for it; returns its length. */
function writeText(text: string, bytes: Buffer, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return bytes.write(text, at, "utf8");
    bytes[at + i] = code;
  }
  return text.length;
}

/** The elements of an array, each read once: what reads them may call anything. */
export function readKeys(keys: unknown): unknown[] {
  if (types.isProxy(keys) || !Array.isArray(keys)) {
    throw argumentError("keys", `keys is ${shown(keys)}; it must be an array of strings`);
  }
  if (keys.length > MAX_KEYS) {
    throw argumentError("keys", `keys has ${keys.length} elements; at most ${MAX_KEYS} are looked up in one call`);
  }
  const read: unknown[] = [];
  for (let i = 0, count = keys.length; i < count; i++) {
    try {
      read.push(keys[i]);
    } catch (cause) {
      throw argumentError(`keys[${i}]`, `keys[${i}] could not be read: a getter threw`, cause);
    }
  }
  return read;
}

function keyError(argument: string, key: unknown): Error {
  const right = "it must be a string that is not empty and has no space";
  return argumentError(argument, `${argument} is ${shown(key)}; ${right}`);
}
