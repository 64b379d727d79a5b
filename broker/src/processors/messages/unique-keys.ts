/**
 * Ids for messages whose senders gave them none, of the form of RocketMQ's clients: 32 hexadecimal digits of address, process,
 * a number of this process, time within the month, and a count.
 */
import { randomInt } from "node:crypto";
import { addressBytes, type HostPort } from "../../protocol/hosts.ts";

const MAX_UINT32 = 0xffff_ffff;

export class UniqueKeys {
  readonly #host: string;
  #count = 0;
  #monthStart = 0;
  #monthEnd = 0;

  constructor({ address }: HostPort, pid: number = process.pid) {
    const ip = Buffer.from(addressBytes(address)).toString("hex");
    this.#host = (ip + digits(pid & 0xffff, 4) + digits(randomInt(MAX_UINT32), 8)).toUpperCase();
  }

  next(now: number = Date.now()): string {
    if (now < this.#monthStart || now >= this.#monthEnd) this.#setMonth(now);
    this.#count = (this.#count + 1) & 0xffff;
    return this.#host + digits(now - this.#monthStart, 8).toUpperCase() + digits(this.#count, 4).toUpperCase();
  }

  #setMonth(now: number): void {
    const date = new Date(now);
    this.#monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime();
    this.#monthEnd = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime();
  }
}

function digits(value: number, length: number): string {
  return value.toString(16).padStart(length, "0");
}
