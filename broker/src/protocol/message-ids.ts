/** Offset message ids: IP (4 or 16 bytes), port (4), physical offset (8) of a record, as uppercase hexadecimal digits. */
import { addressBytes, bytesAddress, type HostPort } from "./hosts.ts";

const IPV4_DIGITS = 32;
const IPV6_DIGITS = 56;
const OFFSET_DIGITS = 16;
const PORT_DIGITS = 8;
const HEX = /^[0-9a-fA-F]+$/;

/** Ids of the records of one host. Its part of them is made once. */
export class OffsetMessageIds {
  readonly #host: string;

  /** Throws a `TypeError` if the address is a name. */
  constructor({ address, port }: HostPort) {
    const ip = Buffer.from(addressBytes(address)).toString("hex");
    this.#host = (ip + port.toString(16).padStart(PORT_DIGITS, "0")).toUpperCase();
  }

  /** Id of the record at this offset of the commit log. */
  of(physicalOffset: number): string {
    return this.#host + physicalOffset.toString(16).toUpperCase().padStart(OFFSET_DIGITS, "0");
  }
}

export interface OffsetMessageId extends HostPort {
  readonly physicalOffset: number;
}

/** What an id says; `undefined` where it is no offset message id. Ids that clients make have the same look. */
export function parseOffsetMessageId(id: string): OffsetMessageId | undefined {
  if ((id.length !== IPV4_DIGITS && id.length !== IPV6_DIGITS) || !HEX.test(id)) return undefined;
  const offsetAt = id.length - OFFSET_DIGITS;
  const portAt = offsetAt - PORT_DIGITS;
  const physicalOffset = Number(`0x${id.slice(offsetAt)}`);
  if (!Number.isSafeInteger(physicalOffset)) return undefined;
  return {
    address: bytesAddress(Buffer.from(id.slice(0, portAt), "hex")),
    port: Number.parseInt(id.slice(portAt, offsetAt), 16),
    physicalOffset,
  };
}
