import type { TransportLimits } from "./limits.ts";

/** Which connections a server takes: so many in all, and so many of one other machine, which could fill it alone otherwise. */
export class Admission {
  readonly #limits: Pick<TransportLimits, "maxConnections" | "maxConnectionsOfAddress">;
  /** Connections by the address of another machine. */
  readonly #addresses: Map<string, number> = new Map();
  #connections = 0;

  constructor(limits: Pick<TransportLimits, "maxConnections" | "maxConnectionsOfAddress">) {
    this.#limits = limits;
  }

  /** Whether there is room for one more; it is counted then. An address of this machine is counted in all alone. */
  take(address: string, isSameMachine: boolean): boolean {
    if (this.#connections >= this.#limits.maxConnections) return false;
    if (!isSameMachine) {
      const known = this.#addresses.get(address) ?? 0;
      if (known >= this.#limits.maxConnectionsOfAddress) return false;
      this.#addresses.set(address, known + 1);
    }
    this.#connections++;
    return true;
  }

  /** One that was taken is closed. */
  leave(address: string): void {
    this.#connections--;
    const known = this.#addresses.get(address);
    if (known === undefined) return;
    if (known === 1) this.#addresses.delete(address);
    else this.#addresses.set(address, known - 1);
  }
}
