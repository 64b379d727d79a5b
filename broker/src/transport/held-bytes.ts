/** What the connections of a process hold of its memory together, and which one goes when it is too much. */
import type { Log } from "../log.ts";
import type { HostPort } from "../protocol/hosts.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

/** A connection, as one that holds memory. */
export interface Holder {
  readonly id: number;
  readonly remote: HostPort;
  readonly heldBytes: number;
  close(reason: string): void;
}

export class HeldBytes {
  readonly #maximum: number;
  readonly #holders: Set<Holder> = new Set();
  #bytes = 0;

  constructor(maximum: number = DEFAULT_LIMITS.maxHeldBytes) {
    this.#maximum = maximum;
  }

  join(holder: Holder): void {
    this.#holders.add(holder);
  }

  /** It cannot be closed any more; what it still holds counts until it says that it does not. */
  leave(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** One of them holds so much more, or less. Where that is too much, the one that holds most is closed. */
  changed(change: number, log: Log): void {
    this.#bytes += change;
    if (change < 0 || this.#bytes <= this.#maximum) return;
    let most: Holder | undefined;
    for (const holder of this.#holders) {
      if (most === undefined || holder.heldBytes > most.heldBytes) most = holder;
    }
    if (most === undefined) return;
    this.leave(most);
    const facts = { connection: most.id, remote: most.remote, bytes: most.heldBytes, all: this.#bytes };
    log.warn(facts, "a connection is closed: all of them hold too much, and it the most");
    most.close("all connections hold too much, and it the most");
  }
}
