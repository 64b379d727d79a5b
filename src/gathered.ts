/** Encoded messages of one turn, one behind the other as a batch: put in one call of the engine. */
import type { EncodedHost } from "./hosts.ts";

const FIRST_BYTES = 64 * 1024;
/** A larger buffer is not kept. */
const KEPT_BYTES = 2 * 1024 * 1024;
const EMPTY = new Uint8Array(0);

export class Gathered {
  bytes: Uint8Array = EMPTY;
  /** Bytes of the messages. */
  used = 0;
  count = 0;
  /** Of each message. */
  storeHosts: EncodedHost[] = [];
  /** Where each message ends. */
  readonly #ends: number[] = [];

  /** Copies a message behind the others. */
  add(bytes: Uint8Array, length: number, storeHost: EncodedHost): void {
    const { used } = this;
    if (used + length > this.bytes.length) this.#grow(used + length);
    this.bytes.set(bytes.subarray(0, length), used);
    this.used = used + length;
    this.#ends.push(this.used);
    this.storeHosts.push(storeHost);
    this.count++;
  }

  /** A copy of the message at a place. */
  message(index: number): Uint8Array {
    return this.bytes.slice(index === 0 ? 0 : this.#ends[index - 1], this.#ends[index]);
  }

  clear(): void {
    this.used = 0;
    this.count = 0;
    this.storeHosts.length = 0;
    this.#ends.length = 0;
    if (this.bytes.length > KEPT_BYTES) this.bytes = EMPTY;
  }

  #grow(bytes: number): void {
    const larger = new Uint8Array(Math.max(bytes, 2 * this.bytes.length, FIRST_BYTES));
    larger.set(this.bytes.subarray(0, this.used));
    this.bytes = larger;
  }
}
