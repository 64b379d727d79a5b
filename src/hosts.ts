/**
 * Addresses of clients and brokers: text on the outside, 4 or 16 bytes and a port in a record (store-format chapter 2.2).
 *
 * As in RocketMQ an IPv4-mapped IPv6 address becomes IPv4, and a scope id is dropped.
 */
import { isIP } from "node:net";
import { argumentError, shown } from "./errors.ts";
import type { Host } from "./message.ts";

const MAX_PORT = 65_535;

/** A host as a record has it; never changed after it was made, so that many messages can share one. */
export class EncodedHost {
  readonly address: string;
  readonly port: number;
  /** 4 or 16 bytes, in network order. */
  readonly bytes: Uint8Array;
  readonly isV6: boolean;
  /** The bytes as little-endian words, ready to be stored; the last three are 0 for IPv4. */
  readonly words: Int32Array;

  constructor(address: string, port: number, bytes: Uint8Array) {
    this.address = address;
    this.port = port;
    this.bytes = bytes;
    this.isV6 = bytes.length === 16;
    this.words = new Int32Array(4);
    for (let i = 0; i < bytes.length; i++) {
      this.words[i >> 2] = (this.words[i >> 2] as number) | ((bytes[i] as number) << ((i & 3) * 8));
    }
  }
}

/** Turns hosts into bytes, remembering the last one: most messages of a run come from one host. */
export class HostEncoder {
  #last: EncodedHost;
  readonly #default: EncodedHost;

  constructor(address: string, port: number) {
    this.#default = new EncodedHost(address, port, addressBytes(address) as Uint8Array);
    this.#last = this.#default;
  }

  /** The host, or the default where none is given; `name` is the field that it stands in. */
  encode(host: Host | undefined, name: string): EncodedHost {
    if (host === undefined) return this.#default;
    if (host === null || typeof host !== "object") {
      throw argumentError(name, `${name} is ${shown(host)}; it must be { address, port }`);
    }
    const { address, port } = host;
    const last = this.#last;
    if (address === last.address && port === last.port) return last;
    const bytes = typeof address === "string" ? addressBytes(address) : undefined;
    if (bytes === undefined) {
      throw argumentError(
        `${name}.address`,
        `${name}.address is ${shown(address)}; it must be an IPv4 or IPv6 address as text, such as "10.0.0.1"`,
      );
    }
    if (!Number.isInteger(port) || port < 0 || port > MAX_PORT) {
      throw argumentError(
        `${name}.port`,
        `${name}.port is ${shown(port)}; it must be an integer from 0 to ${MAX_PORT}`,
      );
    }
    this.#last = new EncodedHost(address, port, bytes);
    return this.#last;
  }
}

/** The bytes of an address, undefined where the text is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  const family = isIP(text);
  if (family === 4) return Uint8Array.from(text.split("."), Number);
  if (family === 6) return withoutMapping(v6Bytes(text));
  return undefined;
}

/** Bytes of a text that is an IPv6 address; the scope id, if any, is dropped. */
function v6Bytes(text: string): Uint8Array {
  const scope = text.indexOf("%");
  const address = scope < 0 ? text : text.slice(0, scope);
  const gap = address.indexOf("::");
  const bytes = new Uint8Array(16);
  if (gap < 0) {
    bytes.set(groupBytes(address), 0);
    return bytes;
  }
  bytes.set(groupBytes(address.slice(0, gap)), 0);
  const behind = groupBytes(address.slice(gap + 2));
  bytes.set(behind, 16 - behind.length);
  return bytes;
}

/** Bytes of groups divided by colons, of which the last may be an IPv4 address. */
function groupBytes(groups: string): number[] {
  const bytes: number[] = [];
  if (groups === "") return bytes;
  for (const group of groups.split(":")) {
    if (group.includes(".")) {
      for (const part of group.split(".")) bytes.push(Number(part));
    } else {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

function withoutMapping(bytes: Uint8Array): Uint8Array {
  const mapped = bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
  return mapped ? bytes.slice(12) : bytes;
}

/** Text of 4 or 16 address bytes that stand in `bytes` at `at`; IPv6 as RFC 5952 wants it. */
export function addressText(bytes: Uint8Array, at: number, isV6: boolean): string {
  if (!isV6) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[at + i] as number) << 8) | (bytes[at + i + 1] as number));
  const gap = longestZeros(groups);
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return gap.length < 2 ? hex(0, 8) : `${hex(0, gap.from)}::${hex(gap.from + gap.length, 8)}`;
}

/** The longest run of zero groups, the first one where two are as long (RFC 5952 chapter 4.2). */
function longestZeros(groups: readonly number[]): { from: number; length: number } {
  let from = 0;
  let length = 0;
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - i > length) {
      from = i;
      length = end - i;
    }
    i = end;
  }
  return { from, length };
}

/** `10.0.0.1:40001` or `[2001:db8::2]:40001`. */
export function hostText(host: Host): string {
  return host.address.includes(":") ? `[${host.address}]:${host.port}` : `${host.address}:${host.port}`;
}

/** RocketMQ's id of a stored message: store address, port and physical offset in upper case hexadecimal digits. */
export function offsetMessageId(address: Uint8Array, port: number, physicalOffset: number): string {
  let id = "";
  for (const byte of address) id += hexDigits(byte, 2);
  id += hexDigits(port >>> 0, 8);
  return id + hexDigits(Math.floor(physicalOffset / 0x1_0000_0000), 8) + hexDigits(physicalOffset >>> 0, 8);
}

function hexDigits(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
