/** Addresses of hosts: text, and the 4 or 16 bytes that ids and records carry. */
import { isIPv4, isIPv6 } from "node:net";

export interface HostPort {
  readonly address: string;
  readonly port: number;
}

const MAPPED_IPV4 = "::ffff:";

/** An IPv4 address that a socket of both families reports as IPv6 is IPv4 to everybody else. */
export function plainAddress(address: string): string {
  const mapped = address.toLowerCase().startsWith(MAPPED_IPV4) ? address.slice(MAPPED_IPV4.length) : "";
  return isIPv4(mapped) ? mapped : address;
}

export function isLoopbackAddress(address: string): boolean {
  const plain = plainAddress(address);
  return plain === "::1" || (isIPv4(plain) && plain.startsWith("127."));
}

const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** Whether an address stands for all of a machine's. */
export function isAnyAddress(address: string): boolean {
  return ANY_ADDRESS.has(address);
}

/** `host:port`, an IPv6 host in brackets. */
export function printAddress({ address, port }: HostPort): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

const ADDRESS = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/;

/** What `printAddress` writes; host names are taken as they are. `undefined` where it is none. */
export function parseAddress(text: string): HostPort | undefined {
  const [, bracketed, plain, digits] = ADDRESS.exec(text.trim()) ?? [];
  const address = bracketed ?? plain;
  const port = Number(digits);
  return address === undefined || port > 65_535 ? undefined : { address, port };
}

/** 4 or 16 bytes of an IP address; throws a `TypeError` for a name. */
export function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split("."), Number);
  if (!isIPv6(address)) throw new TypeError(`${JSON.stringify(address)} is no IP address`);
  const [head = "", tail] = (address.split("%")[0] ?? "").split("::");
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The 16-bit groups of a part of an IPv6 address, whose end may be IPv4. */
function groups(part: string): number[] {
  if (part === "") return [];
  return part.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [first = 0, second = 0, third = 0, fourth = 0] = group.split(".").map(Number);
    return [(first << 8) | second, (third << 8) | fourth];
  });
}

/** Text of 4 or 16 bytes; IPv6 without any shortening. */
export function bytesAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 2) {
    parts.push((((bytes[at] as number) << 8) | (bytes[at + 1] as number)).toString(16));
  }
  return parts.join(":");
}
