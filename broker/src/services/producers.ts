/** Producers that are connected: their groups. */
import type { Connection } from "../transport/connection.ts";
import { type Client, ClientGroups, type ClientIdentity } from "./clients.ts";
import { monotonicNow } from "./clock.ts";

export interface RegistryOptions {
  /** How long a client lives after a heartbeat, in milliseconds. */
  readonly expiryMs: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: (() => number) | undefined;
}

export class ProducerRegistry {
  readonly #clients: ClientGroups;

  constructor({ expiryMs, now = monotonicNow }: RegistryOptions) {
    this.#clients = new ClientGroups({ now, expiryMs, onClosed: () => {} });
  }

  /** A heartbeat of a producer. */
  register(group: string, client: ClientIdentity): void {
    this.#clients.touch(group, client);
  }

  /** Returns whether the connection was one of the group. */
  unregister(group: string, connection: Connection): boolean {
    return this.#clients.remove(group, connection);
  }

  clients(group: string): readonly Client[] {
    return this.#clients.clients(group);
  }

  groups(): Iterable<string> {
    return this.#clients.groups();
  }

  stop(): void {
    this.#clients.stop();
  }
}
