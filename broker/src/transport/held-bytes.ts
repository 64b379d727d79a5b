/** What the connections of a process hold of its memory together, and which one goes when it is too much. */
import type { Log } from "../log.ts";
import type { HostPort } from "../protocol/hosts.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

/** A connection, as one that holds memory. */
export interface Holder {
  readonly id: number;
  readonly remote: HostPort;
  readonly isSameMachine: boolean;
  readonly heldBytes: number;
  /** Lets go at once of all but requests that are under way. */
  close(reason: string): void;
}

/** What the connections of one address hold. */
class Account {
  readonly open: Set<Holder> = new Set();
  openBytes = 0;
  /** Of those that are closed, too, whose requests are under way. */
  bytes = 0;
}

/**
 * Connections are judged by the sum of their address: otherwise many that hold little would put out everybody who sends what is
 * large. On this machine, where a proxy may stand for many others, each is judged for itself.
 */
export class HeldBytes {
  readonly #maximum: number;
  readonly #accounts: Map<string | Holder, Account> = new Map();
  #bytes = 0;

  constructor(maximum: number = DEFAULT_LIMITS.maxHeldBytes) {
    this.#maximum = maximum;
  }

  /** Addresses of other machines, and connections of this one, that are remembered. */
  get accounts(): number {
    return this.#accounts.size;
  }

  join(holder: Holder): void {
    const account = this.#accountOf(holder);
    account.open.add(holder);
    account.openBytes += holder.heldBytes;
  }

  /** It cannot be closed any more; what it still holds counts until it says that it does not. */
  leave(holder: Holder): void {
    const account = this.#accounts.get(keyOf(holder));
    if (account === undefined) return;
    if (account.open.delete(holder)) account.openBytes -= holder.heldBytes;
    this.#forgetUnused(holder, account);
  }

  /** One of them holds so much more, or less. Where all is too much, of the address that holds most the largest are closed. */
  changed(holder: Holder, change: number, log: Log): void {
    const account = this.#accountOf(holder);
    account.bytes += change;
    if (account.open.has(holder)) account.openBytes += change;
    this.#bytes += change;
    this.#forgetUnused(holder, account);
    if (change < 0 || this.#bytes <= this.#maximum) return;
    // One address a change: what requests of closed connections hold is not had back by closing those of everybody else.
    const largest = this.#largestAccount();
    while (this.#bytes > this.#maximum && largest !== undefined && this.#closeOneOf(largest, log));
  }

  #largestAccount(): Account | undefined {
    let largest: Account | undefined;
    for (const one of this.#accounts.values()) {
      if (one.openBytes > 0 && (largest === undefined || one.bytes > largest.bytes)) largest = one;
    }
    return largest;
  }

  #closeOneOf(account: Account, log: Log): boolean {
    let most: Holder | undefined;
    for (const one of account.open) {
      if (one.heldBytes > (most?.heldBytes ?? 0)) most = one;
    }
    if (most === undefined) return false;
    const { id: connection, remote, heldBytes: bytes } = most;
    const facts = { connection, remote, bytes, ofAddress: account.bytes, all: this.#bytes };
    log.warn(facts, "a connection is closed: all of them hold too much");
    this.leave(most);
    most.close("all connections hold too much");
    return true;
  }

  #accountOf(holder: Holder): Account {
    const key = keyOf(holder);
    let account = this.#accounts.get(key);
    if (account === undefined) {
      account = new Account();
      this.#accounts.set(key, account);
    }
    return account;
  }

  #forgetUnused(holder: Holder, { open, bytes }: Account): void {
    if (open.size === 0 && bytes === 0) this.#accounts.delete(keyOf(holder));
  }
}

function keyOf(holder: Holder): string | Holder {
  return holder.isSameMachine ? holder : holder.remote.address;
}
